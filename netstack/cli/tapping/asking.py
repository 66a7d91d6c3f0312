"""Talking to a router's control socket, for `ctl` and `top`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ...errors import UsageError
from ...http.client.client import HttpClient
from ...http.client.errors import FetchError
from ...router.services.unixdoor import UnixStreams

SOCKET = "NETSTACK_TAP_CONTROL"
LINE = 16 << 20  # bytes of one line about flows: ten thousand rows are 4 MiB


class Refusal(OSError):
    """What the router said instead."""


def add_socket_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--socket", metavar="PATH", help=f"the router's control socket (default: ${SOCKET})")


def socket_of(args: argparse.Namespace) -> str:
    """Raises UsageError."""
    path: str = args.socket or os.environ.get(SOCKET, "")
    if not path:
        raise UsageError(f"which router? Say --socket PATH, as its --control says, or set {SOCKET}")
    return path


class Asking:
    """One router. Raises Refusal for what it refuses, OSError where it isn't there."""

    def __init__(self, client: HttpClient[UnixStreams]) -> None:
        self._client = client

    async def ask(self, method: str, path: str, said: Any = None) -> bytes:
        body = None if said is None else json.dumps(said).encode()
        try:
            response = await self._client.request(method, f"http://router{path}", body=body)
            answer = await response.read()
        except FetchError as error:
            raise _plain(error) from None
        if response.status != 200:
            raise Refusal(_reason(response.status, answer))
        return answer

    async def get(self, path: str) -> Any:
        return json.loads(await self.ask("GET", path))

    async def pieces(self, path: str) -> AsyncIterator[bytes]:
        """The body as it comes."""
        try:
            response = await self._client.get(f"http://router{path}")
            if response.status != 200:
                raise Refusal(_reason(response.status, await response.read()))
            async for piece in response:
                yield bytes(piece)
        except FetchError as error:
            raise _plain(error) from None

    async def lines(self, path: str) -> AsyncIterator[Any]:
        """JSON, a line at a time."""
        rest = b""
        async for piece in self.pieces(path):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield json.loads(line)
            if len(rest) > LINE:
                raise Refusal("a line of more than 16 MiB")


@asynccontextmanager
async def asking(path: str) -> AsyncIterator[Asking]:
    async with HttpClient(UnixStreams(path)) as client:
        yield Asking(client)


def _plain(error: FetchError) -> OSError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return cause if isinstance(cause, OSError) and cause.strerror else Refusal(str(error))


def _reason(status: int, body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip().splitlines()
    return shown(text[-1].removeprefix(f"{status} ")) if text else f"the router answered {status}"


def shown(text: str, width: int = 0) -> str:
    """Fit for a terminal: names come from guests and from far away, and may carry what moves cursors and rewrites titles."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if not width or len(clean) <= width else clean[: width - 1] + "~"


def size(count: float) -> str:
    """Bytes, in four letters and a unit: `999 `, `1.2k`, `34M`."""
    for unit in (" ", "k", "M", "G", "T"):
        if count < 1000 or unit == "T":
            return f"{count:.0f}{unit}" if unit == " " or count >= 10 else f"{count:.1f}{unit}"
        count /= 1000
    raise AssertionError("unreachable")
