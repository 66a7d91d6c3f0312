cimport cython
cimport netstack.dns.const as dc
cimport netstack.dns.name as names
from netstack.dns.authority.node cimport Node, Set
from netstack.dns.authority.store cimport Store
from netstack.dns.message cimport Record


@cython.final
cdef class Reply:
    cdef public int rcode
    cdef public bint aa, glue
    cdef public list answer, authority, additional


@cython.final
cdef class Walk:
    cdef Store tree, hashes
    cdef bytes origin
    cdef Node apex
    cdef object chain
    cdef bint dnssec
    cdef readonly Reply reply
    cdef list proven
    @cython.locals(target=bytes)
    cpdef Reply answer(self, bytes name, int type)
    @cython.locals(key=bytes, ends=list, o=Py_ssize_t, end=Py_ssize_t, depth=Py_ssize_t, last=Py_ssize_t, closest=bytes, below=bytes, target=bytes,
                   found="unsigned int")
    cdef bytes step(self, bytes name, int type)
    @cython.locals(sets=dict, kept=Set, kind=int, target=bytes)
    cdef bytes at(self, bytes name, bytes key, int type, Node node, bytes closest)
    @cython.locals(kind=int, kept=Set)
    cdef int some(self, dict sets) except -1
    @cython.locals(kept=Set)
    cdef signatures(self, bytes name, bytes key, Node node, bytes closest)
    cdef nothing(self, bytes key, bytes closest)
    @cython.locals(kept=Set, owner=bytes, target=bytes)
    cdef bytes rename(self, bytes name, Py_ssize_t n, unsigned int found)
    @cython.locals(reply=Reply, node=Node, servers=Set, kept=Set, target=bytes)
    cdef refer(self, unsigned int found, bytes cut)
    @cython.locals(key=bytes, r=Record)
    cdef bint said(self, bytes owner, int type) except -1
    cdef put(self, list section, bytes owner, int type, Set kept, bint dnssec)
    @cython.locals(kept=Set, ttl="long long")
    cdef deny(self)
    @cython.locals(type=int, store=Store, id="unsigned int", kept=Set)
    cdef prove(self, list ids)
    @cython.locals(done=list, section=list, r=Record, target=bytes, found="unsigned int", type=int, kept=Set)
    cdef add_addresses(self)
    @cython.locals(first=bint, found="unsigned int")
    cdef bint hidden(self, bytes key) except -1
