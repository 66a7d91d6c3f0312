"""What was read from a capture and what was passed over, counted: every packet that is not used has one name here."""

from ..counters import Group


class CapturesMib(Group):
    MEANING = {
        "Packets": "packets in the file",
        "Datagrams": "IPv4 datagrams, each counted once however many fragments it came in",
        "Fragments": "fragments of IPv4 datagrams",
        "Others": "packets of other protocols than IPv4",
        "Cut": "packets of which the capture has only the beginning",
        "CutFiles": "files that end in the middle of a packet: whoever wrote them was killed, or is still writing",
        "NoLength": "datagrams whose length was left to the device that cuts them (TSO): the captured length is taken",
        "BadTimes": "packets of a time that no clock shows: taken as without one",
        "ShortLink": "passed over: too short for the header of their link",
        "UnknownLink": "passed over: of a link whose headers are not read",
        "BadHeader": "passed over: no lawful IPv4 header",
        "CutFragments": "passed over: fragments of which only the beginning was captured",
        "Incomplete": "IPv4 datagrams of which fragments are missing, or were refused: `Reader.ip` says why",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Packets = 0
        self.Datagrams = 0
        self.Fragments = 0
        self.Others = 0
        self.Cut = 0
        self.CutFiles = 0
        self.NoLength = 0
        self.BadTimes = 0
        self.ShortLink = 0
        self.UnknownLink = 0
        self.BadHeader = 0
        self.CutFragments = 0
        self.Incomplete = 0


class StreamsMib(CapturesMib):
    """Of the segments of a capture, beside what its packets are counted by."""

    MEANING = {
        **CapturesMib.MEANING,
        "Segments": "TCP segments",
        "BadSegments": "passed over: no lawful TCP header, or one that was cut",
        "BadChecksums": "passed over: the checksum was wrong, where checksums were to be looked at",
        "Connections": "connections found",
        "StraySyns": "passed over: a SYN in the middle of a connection that nobody answered, or an answer to no SYN",
        "StrayResets": "passed over: an RST beyond any window",
        "AfterClose": "passed over: segments of a connection that had been given out already",
        "GivenOut": "connections given out before their end, because too many were open or too many bytes were held",
    }
    __slots__ = tuple(name for name in MEANING if name not in CapturesMib.MEANING)

    def __init__(self) -> None:
        super().__init__()
        self.Segments = 0
        self.BadSegments = 0
        self.BadChecksums = 0
        self.Connections = 0
        self.StraySyns = 0
        self.StrayResets = 0
        self.AfterClose = 0
        self.GivenOut = 0
