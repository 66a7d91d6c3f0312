"""How a session of HTTP/1.1 ends with a client who can't be served: what is counted, and how long it is listened to."""

from __future__ import annotations

from ...errors import ClosedError
from ...instant import Duration, Instant
from ...signatures import Stream
from ..events import Refusal
from ..mib import HttpMib
from .environment import Environment

RECEIVE = 65536  # asked of the stream at once


def count(mib: HttpMib, refusal: Refusal) -> None:
    if refusal.truncated:
        mib.Truncated += 1
    elif refusal.status == 408:
        mib.TimedOut += 1
    else:
        mib.Refused += 1


async def linger(stream: Stream, env: Environment) -> None:
    """RFC 9112 9.6: end our side, and read on for a little, so that no reset overtakes the response."""
    env.mib.Lingered += 1
    end = Instant(env.clock() + env.config.linger_timeout)
    spare = env.config.limits.drain
    try:
        await stream.send_eof()
        while spare > 0:
            left = end - env.clock()
            if left <= 0:
                break
            data = await stream.receive(RECEIVE, Duration(left))
            if not data:
                break
            spare -= len(data)
    except (OSError, ClosedError):
        pass  # the response is on its way or lost: there is nobody to tell
