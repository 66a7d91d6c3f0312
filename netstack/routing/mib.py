"""Counters of the forwarding plane, and of connection tracking. In the second group the first names are those of Linux's
/proc/net/stat/nf_conntrack, and mean the same."""

from ..counters import Group


class ForwardMib(Group):
    MEANING = {
        "InReceives": "datagrams that arrived on any of the ports",
        "InDelivers": "handed up: for this host itself, or no lawful datagram, which the internet layer counts",
        "ForwDatagrams": "forwarded; a super-segment is one",
        "ForwOctets": "bytes of datagrams forwarded",
        "FragOKs": "datagrams cut into fragments",
        "FragFails": "dropped: too long for the next link, and not to be cut",
        "FragCreates": "fragments made",
        "OutNoRoutes": "dropped: no route",
        "InTtlExceeded": "dropped: its time to live was over",
        "InMartians": "dropped: from or to an address that is not forwarded (RFC 1812 5.3.7; link-local: RFC 3927 7)",
        "InSpoofed": "dropped: the way back to its source is not the port on which it came (RFC 2827, BCP 38)",
        "InSourceRoute": "dropped: source routed",
        "InBadOptions": "dropped: an option's length runs out of the header",
        "InLinkCast": "dropped: for one host, but sent to all or many by the link (RFC 1812 5.3.4)",
        "InDirectedBcast": "dropped: a broadcast to another network (RFC 2644)",
        "InWrongSide": "dropped: from outside, to an address that this host has inside",
        "InUnsolicited": "dropped: from outside, to a host inside, by its own address",
        "InCutShort": "dropped: too short for its transport's header, so its flow can't be told (RFC 1858)",
        "InBadOffload": "dropped: left unfinished for a device, in a way that nobody can finish",
        "OutTooLong": "dropped: a super-segment that could not be cut",
        "OutRedirects": "redirects sent",
        "OutErrorsLimited": "errors not sent: too many of them",
        "OutErrorsForbidden": "errors not sent: RFC 1812 4.3.2.7 forbids them",
        "OutErrors": "errors that could not be sent: no way back",
        "OutNoNeighbour": "given back by the link: nobody answers for the next hop",
        "MssClamped": "SYNs whose MSS was lowered",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InReceives = 0
        self.InDelivers = 0
        self.ForwDatagrams = 0
        self.ForwOctets = 0
        self.FragOKs = 0
        self.FragFails = 0
        self.FragCreates = 0
        self.OutNoRoutes = 0
        self.InTtlExceeded = 0
        self.InMartians = 0
        self.InSpoofed = 0
        self.InSourceRoute = 0
        self.InBadOptions = 0
        self.InLinkCast = 0
        self.InDirectedBcast = 0
        self.InWrongSide = 0
        self.InUnsolicited = 0
        self.InCutShort = 0
        self.InBadOffload = 0
        self.OutTooLong = 0
        self.OutRedirects = 0
        self.OutErrorsLimited = 0
        self.OutErrorsForbidden = 0
        self.OutErrors = 0
        self.OutNoNeighbour = 0
        self.MssClamped = 0


class ConntrackMib(Group):
    MEANING = {
        "entries": "flows now",
        "found": "packets whose flow was there (new ones and those handed up are not)",
        "invalid": "dropped: begins no flow, and belongs to none",
        "insert": "flows begun",
        "insert_failed": "dropped: another flow looks the same from the other side",
        "drop": "dropped: no room for another flow",
        "early_drop": "flows ended before their time, to make room",
        "icmp_error": "dropped: an ICMP error that quotes no flow, or nonsense",
        # ours
        "expired": "flows ended by their time",
        "filtered": "dropped: from somebody to whom the inside endpoint has not spoken (RFC 4787 5)",
        "host_full": "dropped: this inside host has its share of flows",
        "ports_full": "dropped: no outside port was found for another mapping",
        "not_preserved": "mappings that did not get the port of the inside endpoint",
        "hairpins": "flows from inside to inside by an outside address (RFC 4787 REQ-9)",
        "resets_doubted": "RSTs and FINs outside of the window: passed on, and not believed",
        "bad_protocol": "dropped: a protocol that can't be translated",
        "pieces": "later fragments that followed their first one",
        "pieces_waited": "later fragments that came before their first one, and waited",
        "pieces_lost": "dropped: later fragments whose first one did not come, or that found no room to wait",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.entries = 0
        self.found = 0
        self.invalid = 0
        self.insert = 0
        self.insert_failed = 0
        self.drop = 0
        self.early_drop = 0
        self.icmp_error = 0
        self.expired = 0
        self.filtered = 0
        self.host_full = 0
        self.ports_full = 0
        self.not_preserved = 0
        self.hairpins = 0
        self.resets_doubted = 0
        self.bad_protocol = 0
        self.pieces = 0
        self.pieces_waited = 0
        self.pieces_lost = 0
