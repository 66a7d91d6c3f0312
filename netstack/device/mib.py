"""Counters of a tap or tun device, beside those of the link above it."""

from ..counters import Group


class DeviceMib(Group):
    MEANING = {
        "InFrames": "frames read",
        "InJoined": "frames that went up as one with the frame before them",
        "OutFrames": "frames written",
        "OutCut": "frames that were cut from super-segments, sent or not",
        "InTruncated": "dropped: longer than a slab, so its end is missing",
        "InTooShort": "dropped: shorter than its vnet header",
        "InBadGso": "dropped: a super-segment of a kind that was not asked for, or left unfinished where nothing is",
        "OutNoRoom": "dropped: the device's queue was full",
        "OutDown": "dropped: the interface is down",
        "OutGone": "dropped: the device is closed, or was removed",
        "OutRefused": "dropped: the kernel refused the frame, or it can't be cut",
        "OutNotReached": "dropped: cut behind a frame that was",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.InJoined = 0
        self.OutFrames = 0
        self.OutCut = 0
        self.InTruncated = 0
        self.InTooShort = 0
        self.InBadGso = 0
        self.OutNoRoom = 0
        self.OutDown = 0
        self.OutGone = 0
        self.OutRefused = 0
        self.OutNotReached = 0
