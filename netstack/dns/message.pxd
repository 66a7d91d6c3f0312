cimport cython
cimport netstack.raw as raw
cimport netstack.dns.const as dc
from netstack.dns.builder cimport Builder
from netstack.dns.reader cimport Reader


@cython.final
cdef class Question:
    cdef public bytes name
    cdef public int type, rclass


@cython.final
cdef class Record:
    cdef public bytes name, rdata
    cdef public int type, rclass
    cdef public long long ttl


@cython.final
cdef class Message:
    cdef public int id, flags
    cdef public list question, answer, authority, additional
    cdef public object edns


@cython.locals(mark=Py_ssize_t, done=int, before=Record, r=Record)
cdef bint _put(Builder b, int section, list records) except -1

@cython.locals(r=Reader, m=Message, qd=int, an=int, ns=int, ar=int)
cpdef Message decode(object data, bint multicast=*)

@cython.locals(i=int, name=bytes, type=int, rclass=int, ttl="long long", size=int)
cdef void records(Reader r, Message m, int section, int n, list into) except *

@cython.locals(r=Reader, qd=int, n=int, ar=int, i=int, at=Py_ssize_t)
cpdef Py_ssize_t last_record(bytes data) except -2
