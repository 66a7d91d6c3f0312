"""Counters of a packet socket: those of any descriptor that carries frames, and two of its own."""

from netstack.device.mib import DeviceMib


class PacketMib(DeviceMib):
    MEANING = {
        **DeviceMib.MEANING,
        "InNoRoom": "dropped by the kernel: what came before had not been read (as of the last look)",
        "InDowns": "times that the interface went down",
    }
    __slots__ = ("InDowns", "InNoRoom")

    def __init__(self) -> None:
        super().__init__()
        self.InNoRoom = 0
        self.InDowns = 0
