"""Counters of UDP."""

from ..counters import Group


class UdpMib(Group):
    MEANING = {
        "InDatagrams": "datagrams delivered to a port",
        "NoPorts": "dropped: nobody is bound to the port",
        "InErrors": "dropped: any error, or no room; each counted a second time by its own name",
        "OutDatagrams": "datagrams sent",
        "RcvbufErrors": "dropped: the receive queue was full",
        "SndbufErrors": "refused by the layer below: no route, too long, no room",
        "InCsumErrors": "dropped: checksum wrong",
        "IgnoredMulti": "dropped: broadcast or multicast to a port that nobody is bound to",
        "MemErrors": "dropped: no memory; here the bounds of the queues come first",
        # ours
        "InTooShort": "dropped: shorter than a header",
        "InBadLength": "dropped: the length field is below 8, or beyond the datagram",
        "InErrorsUnmatched": "ICMP errors about a port that nobody is bound to, or quoting too little",
        "InErrorsMatched": "ICMP errors told to a port",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InDatagrams = 0
        self.NoPorts = 0
        self.InErrors = 0
        self.OutDatagrams = 0
        self.RcvbufErrors = 0
        self.SndbufErrors = 0
        self.InCsumErrors = 0
        self.IgnoredMulti = 0
        self.MemErrors = 0
        self.InTooShort = 0
        self.InBadLength = 0
        self.InErrorsUnmatched = 0
        self.InErrorsMatched = 0
