"""Counters of a packet socket: those of any descriptor that carries frames, and two of its own."""

from netstack_tuntap.mib import TapMib


class PacketMib(TapMib):
    MEANING = {
        **TapMib.MEANING,
        "InNoRoom": "dropped by the kernel: what came before had not been read (as of the last look)",
        "InDowns": "times that the interface went down",
    }
    __slots__ = ("InDowns", "InNoRoom")

    def __init__(self) -> None:
        super().__init__()
        self.InNoRoom = 0
        self.InDowns = 0
