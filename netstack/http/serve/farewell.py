"""How a session of HTTP/1.1 ends for a client who can't be served: what is counted, and how long it is listened to."""

from __future__ import annotations

import logging

from ...errors import ClosedError
from ...instant import Duration, Instant
from ...signatures import Address, Stream
from ..events import Refusal, RequestHead
from ..mib import HttpMib
from .environment import Environment

log = logging.getLogger("netstack.http")
RECEIVE = 65536  # asked of the stream at once


def count(mib: HttpMib, refusal: Refusal, client: Address) -> None:
    """Each refusal once, and one line."""
    log.info("refused %s:%d: %d %s", *client, refusal.status, refusal.reason)
    if refusal.truncated:
        mib.Truncated += 1
    elif refusal.status == 408:
        mib.TimedOut += 1
    else:
        mib.Refused += 1


def blame(mib: HttpMib, head: RequestHead, error: Exception) -> None:
    mib.HandlerErrors += 1
    log.error("the handler of %s %s failed", head.method, head.target, exc_info=error)


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
