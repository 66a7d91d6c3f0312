"""Counters of a link and of ARP."""

from ..counters import Group


class LinkMib(Group):
    MEANING = {
        "InFrames": "frames received",
        "OutFrames": "frames sent",
        "InTooShort": "dropped: shorter than a link header",
        "InOtherHost": "dropped: addressed to another host",
        "InBadSource": "dropped: a group address as source",
        "InOwnEcho": "dropped: our own source address came back",
        "InUnknownType": "dropped: an EtherType that nobody handles",
        "OutTooLong": "dropped: longer than the device carries",
        "OutErrors": "lost: the device raised an error",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.OutFrames = 0
        self.InTooShort = 0
        self.InOtherHost = 0
        self.InBadSource = 0
        self.InOwnEcho = 0
        self.InUnknownType = 0
        self.OutTooLong = 0
        self.OutErrors = 0


class ArpMib(Group):
    MEANING = {
        "InRequests": "requests received, announcements and probes among them",
        "InReplies": "replies received",
        "OutRequests": "requests sent, to all or to one neighbour",
        "OutReplies": "replies sent",
        "OutProbes": "probes sent: is an address free? (RFC 5227 2.1)",
        "OutAnnouncements": "announcements sent (RFC 5227 2.3)",
        "InTooShort": "dropped: shorter than an ARP packet",
        "InBadFormat": "dropped: not IPv4 over Ethernet, or neither request nor reply",
        "InBadSource": "dropped: the sender's link address is not the frame's, or no station's",
        "InBadAddress": "dropped: the sender's internet address is no host's",
        "InUnasked": "dropped: a reply about an address that nobody here asked for",
        "InLocked": "not believed: a new link address for a static or a lately confirmed neighbour",
        "Conflicts": "packets of another host that uses one of our addresses",
        "Defences": "announcements sent in defence of an address",
        "AddressesLost": "addresses given up to another host, before or after their first use",
        "Resolved": "neighbours found",
        "ResFailed": "neighbours that did not answer",
        "ResRefused": "packets dropped: the neighbour had failed a moment ago",
        "UnresolvedDiscards": "packets dropped while they waited for a neighbour",
        "TableFulls": "entries that had to go for others",
        "OutBadNextHop": "packets dropped: the next hop is no neighbour, group or broadcast address",
        "OutNoSource": "requests not sent: no address of our own to ask for",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InRequests = 0
        self.InReplies = 0
        self.OutRequests = 0
        self.OutReplies = 0
        self.OutProbes = 0
        self.OutAnnouncements = 0
        self.InTooShort = 0
        self.InBadFormat = 0
        self.InBadSource = 0
        self.InBadAddress = 0
        self.InUnasked = 0
        self.InLocked = 0
        self.Conflicts = 0
        self.Defences = 0
        self.AddressesLost = 0
        self.Resolved = 0
        self.ResFailed = 0
        self.ResRefused = 0
        self.UnresolvedDiscards = 0
        self.TableFulls = 0
        self.OutBadNextHop = 0
        self.OutNoSource = 0
