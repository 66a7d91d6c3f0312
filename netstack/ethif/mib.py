"""Counters of a link."""

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
