"""Counters of NAT to sockets."""

from ...counters import Group


class NatMib(Group):
    MEANING = {
        "TcpFlows": "TCP flows that the far side answered",
        "TcpRefused": "TCP flows that the far side refused",
        "TcpUnreachable": "TCP flows for which the network said that there is no way",
        "TcpSilent": "TCP flows that nobody answered",
        "TcpForsaken": "TCP flows that the guest gave up before the far side answered",
        "TcpResets": "open TCP flows that one side reset, or that broke",
        "TcpIdle": "TCP flows dropped: nothing has come for too long (RFC 5382)",
        "TcpTableFull": "SYNs dropped: there are `max_tcp` flows",
        "TcpGuestFull": "SYNs dropped: their guest has `tcp_per_guest` flows",
        "UdpFlows": "UDP flows begun",
        "UdpOut": "datagrams from guests that went on, units of several counted once",
        "UdpIn": "datagrams to guests, units of several counted once",
        "UdpFiltered": "datagrams dropped: from somebody to whom the guest has sent nothing",
        "UdpEvicted": "UDP flows forgotten for want of room",
        "UdpWaiting": "datagrams dropped: too many came before it was decided what becomes of them",
        "UdpNoRoom": "datagrams dropped: the host's socket had no room",
        "UdpFailed": "datagrams that the host could not send",
        "EchoFlows": "identifiers of echo requests for which a socket was opened",
        "EchoOut": "echo requests that went on",
        "EchoIn": "echo replies to guests",
        "EchoEvicted": "identifiers forgotten for want of room",
        "EchoUnavailable": "echo requests dropped: this host allows no ping sockets (net.ipv4.ping_group_range)",
        "EchoFailed": "echo requests that the host could not send",
        "Denied": "flows denied by the gate",
        "TtlExceeded": "packets whose time to live ended here: answered",
        "ErrorsIn": "ICMP errors from the host's network, passed on to guests",
        "ErrorsUnmatched": "ICMP errors from the host's network about nothing that is known",
        "NoSocket": "flows that failed: the host had no socket for them",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.TcpFlows = 0
        self.TcpRefused = 0
        self.TcpUnreachable = 0
        self.TcpSilent = 0
        self.TcpForsaken = 0
        self.TcpResets = 0
        self.TcpIdle = 0
        self.TcpTableFull = 0
        self.TcpGuestFull = 0
        self.UdpFlows = 0
        self.UdpOut = 0
        self.UdpIn = 0
        self.UdpFiltered = 0
        self.UdpEvicted = 0
        self.UdpWaiting = 0
        self.UdpNoRoom = 0
        self.UdpFailed = 0
        self.EchoFlows = 0
        self.EchoOut = 0
        self.EchoIn = 0
        self.EchoEvicted = 0
        self.EchoUnavailable = 0
        self.EchoFailed = 0
        self.Denied = 0
        self.TtlExceeded = 0
        self.ErrorsIn = 0
        self.ErrorsUnmatched = 0
        self.NoSocket = 0
