cimport cython
from netstack.counters cimport Group


@cython.final
cdef class NatMib(Group):
    cdef public long long TcpFlows, TcpRefused, TcpUnreachable, TcpSilent, TcpForsaken, TcpResets, TcpIdle, TcpTableFull, TcpGuestFull
    cdef public long long UdpFlows, UdpOut, UdpIn, UdpFiltered, UdpEvicted, UdpWaiting, UdpNoRoom, UdpFailed
    cdef public long long EchoFlows, EchoOut, EchoIn, EchoEvicted, EchoUnavailable, EchoFailed
    cdef public long long Denied, TtlExceeded, ErrorsIn, ErrorsUnmatched, NoSocket
