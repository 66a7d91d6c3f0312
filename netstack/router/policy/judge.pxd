cimport cython
from netstack.router.conversation cimport Flow
from netstack.router.policy.bucket cimport TokenBucket
from netstack.router.policy.learnt cimport Learnt
from netstack.router.policy.mib cimport PolicyMib
from netstack.router.policy.table cimport Table


cdef class Judge:
    cdef readonly object config
    cdef readonly PolicyMib mib
    cdef public bint loopback, looking
    cdef readonly bint _allow
    cdef public bint _stale
    cdef long long _max_flows
    cdef Table _table
    cdef readonly list _rules, _hooks
    cdef readonly dict _decisions, _bound, _flows
    cdef readonly Learnt _learnt
    cdef public object _own
    cdef readonly set _foreign, _open
    cdef long long _foreign_until, _gateway
    cdef public long long _base, _mask
    cdef dict _fresh, _shares, _homes
    cdef readonly dict _limits
    @cython.locals(src="long long", count="long long", names=tuple)
    cpdef object decide(self, Flow flow)
    @cython.locals(left="long long")
    cpdef object over(self, Flow flow)
    @cython.locals(table=Table, dst="long long", kind=int, proto=int, checked=bint, denied=bint)
    cpdef object judge(self, Flow flow)
    cdef object _home(self, int port, object rate)
    cdef tuple _at_home(self, long long dst, long long now, int kind, str what)
    @cython.locals(settled=bint, denied=bint, must=bint, table=Table, port=int, guest=str, name=str)
    cdef tuple _by_names(self, Flow flow, int proto, long long dst, int kind)
    cdef bint _must_say(self, object rule, int port) except *
    cdef bint _is_patient(self, object key, long long now) except *
    cpdef Table table(self)
