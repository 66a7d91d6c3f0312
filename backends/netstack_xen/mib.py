"""Counters of a network interface on Xen. `fatal` are what ends a connection: see front/queue.py for why these and no others."""

from netstack.counters import Group


class XenMib(Group):
    """What both ends count alike."""

    MEANING = {
        "InFrames": "frames and super-segments that came",
        "OutFrames": "frames and super-segments that were put into the ring",
        "OutCut": "frames that were cut from super-segments, sent or not",
        "Notified": "times that the other end was notified",
        "OutDown": "dropped: there was no connection, or no carrier",
        "OutNoRoom": "dropped: the ring was full, and what waits for it as well",
        "OutTooLong": "dropped: longer than the other end takes",
        "OutRefused": "dropped: a super-segment that can't be cut",
        "OutNotReached": "dropped: cut behind a frame that was",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.OutFrames = 0
        self.OutCut = 0
        self.Notified = 0
        self.OutDown = 0
        self.OutNoRoom = 0
        self.OutTooLong = 0
        self.OutRefused = 0
        self.OutNotReached = 0


class FrontMib(XenMib):
    MEANING = {
        **XenMib.MEANING,
        "OutWaited": "frames that had to wait for room in the ring",
        "OutErrors": "slots that the back end answered with an error: what was in them is lost",
        "OutDropped": "slots that the back end answered by saying that it dropped them",
        "OutBadStatus": "slots that it answered with a status that means nothing",
        "InErrors": "dropped: the back end said that something went wrong with the frame",
        "InBadId": "dropped: the answer stands in another slot than the request it names",
        "InBadSize": "dropped: a piece would reach over the border of its page",
        "InBadExtra": "dropped: something beside the frame that nobody asked for, or twice",
        "InBadGso": "dropped: a super-segment of a kind that was not asked for",
        "InTooLong": "dropped: longer than any frame can be",
        "InTooShort": "dropped: shorter than a link header",
        "InUnfinished": "dropped: an unfinished checksum in what is neither TCP nor UDP",
        "FatalProducer": "connections ended: the back end claimed to have answered what was not asked",
        "FatalId": "connections ended: it answered a request that was not under way",
        "FatalNull": "connections ended: it answered more extras than there were",
        "CtrlBad": "answers in the control ring that answer nothing",
        "Connects": "connections to the back end",
        "Losses": "connections that ended without our wish",
        "CarrierLost": "times that the back end said the link is down",
        "PagesRefused": "times that the machine gave no more pages to share",
    }
    __slots__ = tuple(set(MEANING) - set(XenMib.MEANING))

    def __init__(self) -> None:
        super().__init__()
        self.OutWaited = 0
        self.OutErrors = 0
        self.OutDropped = 0
        self.OutBadStatus = 0
        self.InErrors = 0
        self.InBadId = 0
        self.InBadSize = 0
        self.InBadExtra = 0
        self.InBadGso = 0
        self.InTooLong = 0
        self.InTooShort = 0
        self.InUnfinished = 0
        self.FatalProducer = 0
        self.FatalId = 0
        self.FatalNull = 0
        self.CtrlBad = 0
        self.Connects = 0
        self.Losses = 0
        self.CarrierLost = 0
        self.PagesRefused = 0
