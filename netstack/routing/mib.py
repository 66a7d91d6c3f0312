"""Counters of the forwarding plane, and of connection tracking. In the second group the first ones mean what they mean in Linux's
/proc/net/stat/nf_conntrack, where early_drop is our EarlyDrop."""

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
        "Entries": "flows now",
        "Found": "packets whose flow was there (new ones and those handed up are not)",
        "Invalid": "dropped: begins no flow, and belongs to none",
        "Insert": "flows begun",
        "InsertFailed": "dropped: another flow looks the same from the other side",
        "Drop": "dropped: no room for another flow",
        "EarlyDrop": "flows ended before their time, to make room",
        "IcmpError": "dropped: an ICMP error that quotes no flow, or nonsense",
        # ours
        "Expired": "flows ended by their time",
        "Filtered": "dropped: from somebody to whom the inside endpoint has not spoken (RFC 4787 5)",
        "HostFull": "dropped: this inside host has its share of flows",
        "PortsFull": "dropped: no outside port was found for another mapping",
        "NotPreserved": "mappings that did not get the port of the inside endpoint",
        "Hairpins": "flows from inside to inside by an outside address (RFC 4787 REQ-9)",
        "ResetsDoubted": "RSTs and FINs outside of the window: passed on, and not believed",
        "BadProtocol": "dropped: a protocol that can't be translated",
        "Pieces": "later fragments that followed their first one",
        "PiecesWaited": "later fragments that came before their first one, and waited",
        "PiecesLost": "dropped: later fragments whose first one did not come, or that found no room to wait",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Entries = 0
        self.Found = 0
        self.Invalid = 0
        self.Insert = 0
        self.InsertFailed = 0
        self.Drop = 0
        self.EarlyDrop = 0
        self.IcmpError = 0
        self.Expired = 0
        self.Filtered = 0
        self.HostFull = 0
        self.PortsFull = 0
        self.NotPreserved = 0
        self.Hairpins = 0
        self.ResetsDoubted = 0
        self.BadProtocol = 0
        self.Pieces = 0
        self.PiecesWaited = 0
        self.PiecesLost = 0
