"""What happens to frames in a world, counted: on a line, and at a node that forwards."""

from ..counters import Group


class FaultMib(Group):
    """What happened to the frames of a line or a wire."""

    MEANING = {
        "Frames": "frames that entered",
        "TooLong": "dropped: longer than the mtu",
        "QueueFull": "dropped: the queue before the line was full",
        "Picked": "dropped: on the list of segments to drop",
        "AckLost": "dropped: an acknowledgement without data, lost on the way",
        "Lost": "dropped: lost on the way",
        "Corrupted": "arrived with one bit flipped",
        "Duplicated": "arrived twice",
        "Reordered": "held back while others overtook",
        "Cut": "dropped: the cable between the two was cut, or they are in different partitions",
        "Tampered": "dropped or changed by the test's own function",
        "InboxFull": "dropped: the receiver has not polled for too long",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Frames = 0
        self.TooLong = 0
        self.QueueFull = 0
        self.Picked = 0
        self.AckLost = 0
        self.Lost = 0
        self.Corrupted = 0
        self.Duplicated = 0
        self.Reordered = 0
        self.Cut = 0
        self.Tampered = 0
        self.InboxFull = 0


class NodeMib(Group):
    """What a node of a world did with datagrams, beside what its links count."""

    MEANING = {
        "Forwarded": "datagrams sent on to the next node",
        "Fragmented": "datagrams cut in pieces for a link with a smaller mtu",
        "BadHeader": "dropped: no lawful IPv4 header",
        "TimeExceeded": "dropped: their time to live ran out",
        "NoRoute": "dropped: no way leads to their destination",
        "TooBig": "dropped: larger than the next link's mtu and not to be fragmented",
        "NotForwarded": "dropped: to a broadcast or multicast address, which stays on its link",
        "Local": "datagrams for the router itself; echo requests are answered",
        "Errors": "ICMP errors sent",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Forwarded = 0
        self.Fragmented = 0
        self.BadHeader = 0
        self.TimeExceeded = 0
        self.NoRoute = 0
        self.TooBig = 0
        self.NotForwarded = 0
        self.Local = 0
        self.Errors = 0
