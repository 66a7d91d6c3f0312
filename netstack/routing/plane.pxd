cimport cython
cimport netstack.const as const
cimport netstack.raw as raw
cimport netstack.routing.const as rc
from netstack.buffers cimport Pool
from netstack.cores cimport Frame
from netstack.routing.dispatch cimport Dispatch
from netstack.routing.nat cimport Nat
from netstack.routing.pieces cimport Piece, Pieces
from netstack.routing.sums cimport patch
from netstack.routing.track cimport Way
from netstack.routing.ways cimport Egress, Port


cdef class Plane(Dispatch):
    cdef public Nat nat
    cdef public Pieces pieces
    cdef public bint redirects, reject
    cdef readonly int lifted
    cdef Pool pool
    cdef void lift(self, Port port, Frame f) except *
    @cython.locals(b=bytearray, o=Py_ssize_t, have=Py_ssize_t, vihl=int, tos=int, total=int, ident=int, frag=int, ttl=int, proto=int,
                   src="unsigned int", dst="unsigned int", ihl=int, top=int, e=Egress, nat=Nat, ends="long long", w=Way, verdict=int)
    cdef void enter(self, Port port, Frame f) except *
    @cython.locals(kind=int, word="long long")
    cdef long long endpoints(self, bytearray b, Py_ssize_t o, Py_ssize_t n, int proto) except *
    @cython.locals(nat=Nat, outside=bint, e=Egress, flags=int, w=Way)
    cdef int begin(self, Port port, Frame f, int ihl, int frag, long long ends) except -1
    cpdef unsigned int paired(self, Port port, unsigned int src) except *
    cdef int own(self, Port port, Frame f, Egress e) except -1
    @cython.locals(nat=Nat, crosses=bint, r=Way)
    cdef int error(self, Port port, Frame f, int ihl, int frag, Egress e, bint outside) except -1
    @cython.locals(e=Egress, hl=int)
    cdef int route(self, Port port, Frame f, int ihl, int frag) except -1
    @cython.locals(nat=Nat, e=Egress, b=bytearray, o=Py_ssize_t, at=Py_ssize_t, n=Py_ssize_t, proto=int, hl=int)
    cdef void translate(self, Port port, Frame f, Way w, int ihl, int frag) except *
    @cython.locals(piece=Piece, g=Frame, datagram=bytes)
    cdef void lead(self, Port port, Frame f, int frag, int ident, int verdict, Way w, unsigned int src, unsigned int dst) except *
    @cython.locals(nat=Nat, e=Egress, piece=Piece)
    cdef void follow(self, Port port, Frame f, int ihl, int frag, int ident) except *
    @cython.locals(nat=Nat, w=Way, e=Egress, b=bytearray, o=Py_ssize_t)
    cdef void later(self, Port port, Frame f, int ihl, int frag, Piece piece) except *
    @cython.locals(b=bytearray, src="unsigned int", n=Py_ssize_t, r=Way, e=Egress)
    cpdef bint undeliverable(self, bytes packet, long long now) except -1
