"""A UDP port whose datagrams go to a function at once, with the link address of their sender: by that a guest is known."""

from collections.abc import Callable

from .. import raw
from ..cores import DatagramUser, Frame


class Received(DatagramUser):
    """`take(data, source, mac, now)` gets them; `mac` is 0 on links without addresses."""

    __slots__ = ("take",)

    def __init__(self, take: Callable[[bytes, int, int, int], None]) -> None:
        self.take = take

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        self.take(raw.take(f.buf, f.off, f.end - f.off), f.src, f.lsrc, now)

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        """A client is gone, or a server is: both find out by themselves."""
