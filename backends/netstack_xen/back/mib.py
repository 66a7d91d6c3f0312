"""Counters of a netback. *In* is what comes from the frontend, *Out* what goes to it, as the stack behind it sees it."""

from netstack.counters import Group


class BackMib(Group):
    MEANING = {
        "InFrames": "frames taken out of the frontend's pages",
        "InGso": "of these, super-segments",
        "InBlank": "of these, those whose checksum was left undone",
        "InMulticast": "requests to hear a multicast address, or no longer",
        "InSlots": "slots of the ring that they stood in, extras among them",
        "InShort": "refused: no Ethernet header in the first slot",
        "InTooManySlots": "refused: more slots than every backend must take",
        "InLengths": "refused: its slots are longer than the packet",
        "InBadRef": "refused: a page that is not granted",
        "InBadBlank": "dropped: a checksum was left undone where none can be found, or nobody above takes it",
        "InBadGso": "dropped: a super-segment that is no TCP, or that nobody above takes",
        "InGroupsFull": "refused: more multicast addresses than a frontend may ask for",
        "FatalRing": "vif disabled: the frontend claims more requests than its ring holds",
        "FatalPageBorder": "vif disabled: a slot goes past the border of its page",
        "FatalSlots": "vif disabled: a packet of far too many slots",
        "FatalMissing": "vif disabled: a packet that says it goes on, and doesn't",
        "FatalExtra": "vif disabled: an extra of a kind that doesn't exist",
        "FatalGso": "vif disabled: a super-segment of no size or kind",
        "OutFrames": "frames copied into the frontend's pages",
        "OutGso": "of these, super-segments",
        "OutBlank": "of these, those whose checksum was left undone",
        "OutSlots": "slots of the ring that they took, extras among them",
        "OutCut": "frames that were cut from super-segments, sent or not",
        "OutQueued": "frames that had to wait for buffers of the frontend",
        "OutDown": "dropped: the vif is not connected, disabled, or its carrier is off",
        "OutFiltered": "dropped: a multicast that the frontend has not asked for",
        "OutNoRoom": "dropped: as much as may wait for buffers did",
        "OutExpired": "dropped: waited too long for buffers",
        "OutPurged": "dropped: still waited for buffers when the connection was closed",
        "OutStalled": "dropped: the frontend has given no buffers for a minute",
        "OutTooLong": "dropped: needs several slots, of which the frontend takes one",
        "OutBadRef": "lost: the frontend's page is not granted to us for writing",
        "OutRefused": "dropped: can't be cut",
        "OutNotReached": "dropped: cut behind a frame that was",
        "Stalls": "times that the frontend was found to give no buffers",
        "Notified": "notifications that the frontend wanted",
        "Connects": "connections that were made",
        "Refusals": "frontends that asked for what can't be",
        "ControlRequests": "requests on the control ring",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.InGso = 0
        self.InBlank = 0
        self.InMulticast = 0
        self.InSlots = 0
        self.InShort = 0
        self.InTooManySlots = 0
        self.InLengths = 0
        self.InBadRef = 0
        self.InBadBlank = 0
        self.InBadGso = 0
        self.InGroupsFull = 0
        self.FatalRing = 0
        self.FatalPageBorder = 0
        self.FatalSlots = 0
        self.FatalMissing = 0
        self.FatalExtra = 0
        self.FatalGso = 0
        self.OutFrames = 0
        self.OutGso = 0
        self.OutBlank = 0
        self.OutSlots = 0
        self.OutCut = 0
        self.OutQueued = 0
        self.OutDown = 0
        self.OutFiltered = 0
        self.OutNoRoom = 0
        self.OutExpired = 0
        self.OutPurged = 0
        self.OutStalled = 0
        self.OutTooLong = 0
        self.OutBadRef = 0
        self.OutRefused = 0
        self.OutNotReached = 0
        self.Stalls = 0
        self.Notified = 0
        self.Connects = 0
        self.Refusals = 0
        self.ControlRequests = 0
