"""The door to a server on our own stack: a UDP port whose datagrams are answered in the turn of the crank that brought them."""

from collections.abc import Callable

from ... import const, raw
from ...cores import DatagramUser, Frame
from ...errors import NetstackError
from ...udp.core import UdpPort
from .quick import Quick

Desk = Callable[[bytes, int, int, int], bytes | None]  # a message, its sender, now; the answer, if it is there


class Door(DatagramUser):
    """The user of `port`, which is set when it is bound. What `quick` hands on goes to `desk`, inside the turn: it must not wait.
    It answers, now or later, by `port.send`, from `asked`: the address that the datagram was sent to, during the call, or 0."""

    __slots__ = ("asked", "desk", "port", "quick")

    def __init__(self, quick: Quick, desk: Desk) -> None:
        self.quick = quick
        self.desk = desk
        self.asked = 0
        self.port: UdpPort = None  # type: ignore[assignment]  # set before anything can come in

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        q = self.quick
        if sport == 0:
            q.mib.InBadPort += 1
            return
        n = q.turn(f.buf, f.off, f.end - f.off, 0, f.src, False, now)
        if n > 0:
            try:
                self.port.answer(f, sport, q.ask.buf, n, now)
            except NetstackError:
                q.mib.OutFailed += 1
        elif n < 0:
            self.asked = f.dst if f.cast == const.UNICAST else 0
            said = self.desk(raw.take(f.buf, f.off, f.end - f.off), f.src, sport, now)
            q.changed()
            if said is not None:
                try:
                    self.port.answer(f, sport, said, len(said), now)
                except NetstackError:
                    q.mib.OutFailed += 1

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        """He who asked is gone."""
