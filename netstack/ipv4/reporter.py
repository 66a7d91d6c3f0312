"""What the packet path asks of whoever sends ICMP errors."""

from ..cores import Frame
from .reassembly import Partial


class Reporter:
    """Sends ICMP errors, where and as often as they may be sent: `icmp.Reporter4` does."""

    __slots__ = ()

    def report(self, f: Frame, type: int, code: int, rest: int) -> None:
        """About the datagram in `f`; `rest` is the second word of the message."""
        raise NotImplementedError

    def timed_out(self, t: Partial, now: int) -> None:
        """About a datagram whose pieces did not all come."""
        raise NotImplementedError

    def send(self, quote: bytes, src: int, dst: int, type: int, code: int, rest: int, now: int) -> None:
        """To `src`, in the name of `dst`, about the datagram that begins with `quote`."""
        raise NotImplementedError
