"""Joining two streams: what one receives the other sends, in compiled code, until both have ended (tcp/splice.py)."""

from __future__ import annotations

from ..errors import BrokenError, BusyError, ClosedError, UsageError
from ..tcp import const as tc
from ..tcp.splice import Joint
from .streams import TcpStream


async def splice(a: TcpStream, b: TcpStream) -> tuple[int, int]:
    """Pass on everything between two streams, both ways; return how many bytes went from `a` to `b` and from `b` to `a`.

    The end of either side is passed on, after what came before it, and the other direction goes on; a slow reader at one end
    stops the writer at the other by his window, with no more between them than a receive buffer. It returns when both connections
    are over, everything acknowledged. Nothing is copied on the way, but little pieces. The streams may be of two nets on one
    loop; they are closed afterwards, and nobody else may use them meanwhile (BusyError). What was received and not yet read is
    passed on too.

    A reset or a time-out of one side resets the other, and raises BrokenError with that as its cause. A cancelled splice resets
    both. Raises UsageError where one of them is not ours or has sent its end already, BusyError, ClosedError.
    """
    for stream in (a, b):
        _check(stream)
    if a is b:
        raise UsageError("a stream can't be spliced to itself: that is an echo, and two lines of Python")
    loop = a._loop
    over = loop.create_future()
    busy = loop.create_future()
    cranks = {id(stream._crank): stream._crank for stream in (a, b)}.values()

    def nudge() -> None:
        loop.call_soon(catch_up)

    def catch_up() -> None:
        joint.stirred = False
        for crank in cranks:
            crank.rearm()

    def ended() -> None:
        if not over.done():
            over.set_result(None)

    now = a._crank.now()
    joint = Joint(a.connection, b.connection, ended, nudge if len(cranks) > 1 else None)
    counts = [_pass_on(a, b, now), _pass_on(b, a, now)]
    for stream in (a, b):
        stream.user.reader = stream.user.writer = busy
    try:
        joint.start(now)
        for stream, other in ((a, b), (b, a)):
            if stream.user.eof_seen:
                other.connection.shutdown(now)
        catch_up()
        await over
    finally:
        joint.abort(a._crank.now())
        for stream in (a, b):
            stream.user.reader = stream.user.writer = None
            stream.leave()
        busy.cancel()
        catch_up()
    counts[0] += joint.a.count
    counts[1] += joint.b.count
    if joint.error is not None:
        raise BrokenError(f"the splice broke after {counts[0]} and {counts[1]} bytes: {joint.error}") from joint.error
    return counts[0], counts[1]


def _check(stream: TcpStream) -> None:
    if not isinstance(stream, TcpStream):
        raise UsageError(f"splice() joins streams of connect_stream and serve_streams, not a {type(stream).__name__}")
    core = stream.user
    if core.reader is not None or core.writer is not None:
        raise BusyError("somebody is using this stream: splice it when he is done")
    if stream.closed or core.ended:
        raise ClosedError(f"this stream is over: {core.error or 'it was closed'}")
    if stream.connection.state not in (tc.ESTABLISHED, tc.CLOSE_WAIT):
        raise UsageError("this stream has sent its end already, so nothing could be passed on to it")


def _pass_on(stream: TcpStream, to: TcpStream, now: int) -> int:
    """What was received before. How many bytes that was."""
    n = 0
    while stream.user.unread:
        segment = stream.user.take_view()
        n += len(segment)
        to.connection.write_kept([segment], now)
    return n
