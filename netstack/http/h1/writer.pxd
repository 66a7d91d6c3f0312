cimport cython


cpdef bytes field_lines(object fields)
cpdef void _check_value(bytes name, bytes value) except *
cpdef bytes status_line(int status)


@cython.final
cdef class Writer:
    cdef readonly bint silent, close
    cdef bint _chunked
    cdef object _left
    @cython.locals(parts=list, told=bytes, dated=bint, name=bytes, value=bytes, line=bytes)
    cpdef bytes start(self, int status, object fields, object length, str method, int minor, bint keep_alive, bytes date)
    @cython.locals(parts=list, told=bytes, name=bytes, value=bytes, line=bytes)
    cpdef bytes ask(self, str method, str target, object fields, object length)
    cpdef object body(self, object data)
    cpdef tuple span(self, object count)
    cpdef bytes finish(self, object trailers=*)
