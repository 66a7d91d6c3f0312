"""Counters of the internet layer: the groups Ip and IpExt, and Icmp. The names below the rule are ours."""

from ..counters import Group


class IpMib(Group):
    MEANING = {
        "InReceives": "datagrams received from the links, and those we sent to ourselves",
        "InHdrErrors": "dropped: any error of the header, each counted a second time by its own name",
        "InAddrErrors": "dropped: addressed to another host",
        "ForwDatagrams": "forwarded; this host does not forward",
        "InUnknownProtos": "dropped: a protocol that nobody handles",
        "InDiscards": "dropped: lawful, but we were short of room",
        "InDelivers": "delivered to a transport",
        "OutRequests": "datagrams that transports asked to send",
        "OutDiscards": "dropped on the way out: no room in the queue to ourselves",
        "OutNoRoutes": "refused: no route, or no source address that fits",
        "ReasmTimeout": "datagrams of which pieces were missing when the time was over",
        "ReasmReqds": "fragments received",
        "ReasmOKs": "datagrams put together",
        "ReasmFails": "datagrams given up, for whatever reason",
        "FragOKs": "datagrams cut into fragments",
        "FragFails": "refused: too long, and not to be cut",
        "FragCreates": "fragments made",
        "InTruncatedPkts": "dropped: the header promises more than the frame holds",
        "InMcastPkts": "received for a multicast group",
        "OutMcastPkts": "sent to a multicast group",
        "InBcastPkts": "received for a broadcast address",
        "OutBcastPkts": "sent to a broadcast address",
        "InOctets": "bytes of datagrams received",
        "OutOctets": "bytes of datagrams sent",
        "InCsumErrors": "dropped: header checksum wrong",
        # ours
        "InTooShort": "dropped: shorter than a header",
        "InBadVersion": "dropped: not version 4",
        "InBadLength": "dropped: header length below 20 or beyond the datagram",
        "InMartians": "dropped: an address that cannot be on a wire, LAND among them (RFC 1122 3.2.1.3)",
        "InReversePath": "dropped by a host that is every address: an answer would leave by another way than it came (RFC 3704)",
        "InLinkCast": "dropped: for one host, but sent to all or many by the link (RFC 1122 3.3.6)",
        "InOtherGroup": "dropped: for a multicast group that nobody here has joined",
        "InSourceRoute": "dropped: source routed",
        "InBadOptions": "dropped: an option's length runs out of the header",
        "ReasmOverlaps": "datagrams given up: fragments overlap without being the same",
        "ReasmTooBig": "datagrams given up: beyond 65535 bytes, the ping of death",
        "ReasmInconsistent": "datagrams given up: the last fragment is not the end, or its length is not a multiple of 8",
        "ReasmTiny": "datagrams given up: the first fragment cuts the transport header (RFC 1858)",
        "ReasmEcn": "datagrams given up: congestion marked on one fragment, not allowed on another (RFC 3168 5.3)",
        "ReasmLimit": "datagrams given up: a bound on memory or number was reached",
        "ReasmLate": "dropped: a fragment of a datagram already given up",
        "OutNoNeighbour": "given back by the link: nobody answers for the next hop",
        "LoopDrops": "dropped: the queue of datagrams to ourselves was full",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InReceives = 0
        self.InHdrErrors = 0
        self.InAddrErrors = 0
        self.ForwDatagrams = 0
        self.InUnknownProtos = 0
        self.InDiscards = 0
        self.InDelivers = 0
        self.OutRequests = 0
        self.OutDiscards = 0
        self.OutNoRoutes = 0
        self.ReasmTimeout = 0
        self.ReasmReqds = 0
        self.ReasmOKs = 0
        self.ReasmFails = 0
        self.FragOKs = 0
        self.FragFails = 0
        self.FragCreates = 0
        self.InTruncatedPkts = 0
        self.InMcastPkts = 0
        self.OutMcastPkts = 0
        self.InBcastPkts = 0
        self.OutBcastPkts = 0
        self.InOctets = 0
        self.OutOctets = 0
        self.InCsumErrors = 0
        self.InTooShort = 0
        self.InBadVersion = 0
        self.InBadLength = 0
        self.InMartians = 0
        self.InReversePath = 0
        self.InLinkCast = 0
        self.InOtherGroup = 0
        self.InSourceRoute = 0
        self.InBadOptions = 0
        self.ReasmOverlaps = 0
        self.ReasmTooBig = 0
        self.ReasmInconsistent = 0
        self.ReasmTiny = 0
        self.ReasmEcn = 0
        self.ReasmLimit = 0
        self.ReasmLate = 0
        self.OutNoNeighbour = 0
        self.LoopDrops = 0


class IcmpMib(Group):
    MEANING = {
        "InMsgs": "messages received",
        "InErrors": "dropped: too short, checksum wrong, or quoting nonsense",
        "InCsumErrors": "dropped: checksum wrong",
        "InDestUnreachs": "destination unreachable received",
        "InTimeExcds": "time exceeded received",
        "InParmProbs": "parameter problem received",
        "InSrcQuenchs": "source quench received, and ignored (RFC 6633)",
        "InRedirects": "redirect received, and ignored",
        "InEchos": "echo request received",
        "InEchoReps": "echo reply received",
        "InTimestamps": "timestamp request received, and ignored",
        "InTimestampReps": "timestamp reply received, and ignored",
        "InAddrMasks": "address mask request received, and ignored",
        "InAddrMaskReps": "address mask reply received, and ignored",
        "OutMsgs": "messages that we tried to send",
        "OutErrors": "messages that could not be sent",
        "OutRateLimitGlobal": "errors not sent: too many of them",
        "OutDestUnreachs": "destination unreachable sent",
        "OutTimeExcds": "time exceeded sent",
        "OutParmProbs": "parameter problem sent",
        "OutEchos": "echo request sent",
        "OutEchoReps": "echo reply sent",
        # ours
        "InUnknownTypes": "dropped: a type that we don't know (RFC 1122 3.2.2)",
        "InEchosIgnored": "dropped: echo request to a broadcast or multicast address, or echo switched off",
        "InEchoRepsUnasked": "dropped: echo reply that nobody waits for",
        "InBadQuote": "dropped: an error that quotes too little, or no packet of ours",
        "InForeignReports": "dropped by a host that is every address: an error about one neighbour, from another",
        "InBadMtu": "dropped: fragmentation needed with an MTU that can't be true, or below 552",
        "OutForbidden": "errors not sent: RFC 1122 3.2.2 forbids them",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InMsgs = 0
        self.InErrors = 0
        self.InCsumErrors = 0
        self.InDestUnreachs = 0
        self.InTimeExcds = 0
        self.InParmProbs = 0
        self.InSrcQuenchs = 0
        self.InRedirects = 0
        self.InEchos = 0
        self.InEchoReps = 0
        self.InTimestamps = 0
        self.InTimestampReps = 0
        self.InAddrMasks = 0
        self.InAddrMaskReps = 0
        self.OutMsgs = 0
        self.OutErrors = 0
        self.OutRateLimitGlobal = 0
        self.OutDestUnreachs = 0
        self.OutTimeExcds = 0
        self.OutParmProbs = 0
        self.OutEchos = 0
        self.OutEchoReps = 0
        self.InUnknownTypes = 0
        self.InEchosIgnored = 0
        self.InEchoRepsUnasked = 0
        self.InBadQuote = 0
        self.InForeignReports = 0
        self.InBadMtu = 0
        self.OutForbidden = 0


class IgmpMib(Group):
    MEANING = {
        "InMsgs": "messages received",
        "InErrors": "dropped: too short or checksum wrong",
        "InQueries": "queries received",
        "InReports": "reports of other members received",
        "InOther": "dropped: of no interest to a host",
        "OutReports": "reports sent",
        "OutLeaves": "leaves sent",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InMsgs = 0
        self.InErrors = 0
        self.InQueries = 0
        self.InReports = 0
        self.InOther = 0
        self.OutReports = 0
        self.OutLeaves = 0
