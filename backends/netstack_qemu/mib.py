"""Counters of a socket that carries an emulator's frames, beside those of the link above it."""

from netstack.counters import Group


class QemuMib(Group):
    MEANING = {
        "InFrames": "frames that came",
        "InJoined": "frames that went up as one with the frame before them",
        "OutFrames": "frames sent, or waiting to be",
        "OutCut": "frames that were cut from super-segments, sent or not",
        "OutQueued": "frames that had to wait for the socket",
        "InTooShort": "dropped: shorter than a link header",
        "InTooLong": "dropped: longer than this device's frames",
        "InGreeting": "datagrams that only said who is there (vfkit's VFKT)",
        "InNameless": "dropped: from a socket without an address, which can't be answered",
        "InBadLength": "connections ended: a length that no frame has, so that the next one can't be found",
        "OutNoRoom": "dropped: too much waits already, since the guest does not read",
        "OutNobody": "dropped: no guest is there",
        "OutRefused": "dropped: the socket refused the frame, or it can't be cut",
        "OutNotReached": "dropped: cut behind a frame that was",
        "Arrivals": "guests that connected, or spoke first",
        "Departures": "guests that went away",
        "TurnedAway": "connections refused: another guest is there",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.InJoined = 0
        self.OutFrames = 0
        self.OutCut = 0
        self.OutQueued = 0
        self.InTooShort = 0
        self.InTooLong = 0
        self.InGreeting = 0
        self.InNameless = 0
        self.InBadLength = 0
        self.OutNoRoom = 0
        self.OutNobody = 0
        self.OutRefused = 0
        self.OutNotReached = 0
        self.Arrivals = 0
        self.Departures = 0
        self.TurnedAway = 0
