"""The UDP echo of `netstack smallservers`, on the lowest face that there is: it runs inside the batch, and no loop hears of it."""

from .. import raw
from ..cores import DatagramUser, Frame
from ..errors import NetstackError
from ..udp.core import UdpPort

LAST_SMALL = 19  # the character generator: the highest port of the small services


class EchoPort(DatagramUser):
    """Gives back each datagram, but never to one of the small services: two of them would echo each other for ever."""

    __slots__ = ("port",)

    def __init__(self) -> None:
        self.port: UdpPort | None = None

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        if self.port is None or sport <= LAST_SMALL:
            return
        try:
            self.port.send(raw.take(f.buf, f.off, f.end - f.off), f.src, sport, now)
        except NetstackError:
            return  # no way back to where it came from: the counters of UDP and IP have it

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        """He who asked is gone."""
