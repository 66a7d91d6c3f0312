"""Paths to try a stack with: bytes to fetch, and two that take some."""

import hashlib
import re
from collections.abc import AsyncIterator
from functools import lru_cache

from ..serve.message import HttpError, Request, Response

_MOST = 1 << 40  # of /bytes/N: it costs no memory, and a client that wants more can ask twice
_PERIOD = 1048573  # prime, so that a block lost, doubled or moved shows wherever blocks have an even size
_BLOCK = 262144


@lru_cache(maxsize=1)
def _pattern() -> bytes:
    return hashlib.shake_256(b"netstack").digest(_PERIOD) * 2


def fixed_bytes(start: int, stop: int) -> bytes:
    """Bytes `start` to `stop` of the stream of /bytes: at most 1 MiB at once."""
    assert 0 <= stop - start <= _PERIOD
    at = start % _PERIOD
    return _pattern()[at : at + stop - start]


class FixedBytes:
    """`length` bytes of the same stream, as a response body."""

    def __init__(self, length: int) -> None:
        self.length = length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, self.length, _BLOCK):
            yield fixed_bytes(at, min(at + _BLOCK, self.length))


def some_bytes(number: str, client: str) -> Response:
    """`client`: who asked, so that a page can find its own transfer among the connections."""
    if not re.fullmatch("[0-9]{1,13}", number) or int(number) > _MOST:
        raise HttpError(404, f"A number of bytes up to {_MOST} follows /bytes/.")
    headers = {"content-type": "application/octet-stream", "cache-control": "no-store", "netstack-client": client}
    return Response(200, headers, FixedBytes(int(number)))


async def sha256(request: Request) -> Response:
    digest = hashlib.sha256()
    async for piece in request.body:
        digest.update(piece)
    return Response.text(digest.hexdigest() + "\n")


async def echo(request: Request) -> Response:
    # the first piece before the answer begins: a client that waits for 100 (Continue) would never send it after
    first = await anext(request.body, b"")

    async def pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in request.body:
            yield piece

    return Response(200, {"content-type": request.headers.get("content-type") or "application/octet-stream"}, pieces())
