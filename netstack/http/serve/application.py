"""A handler as an application: `Request` in, `Response` out (message.py), over one exchange."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Protocol, cast

from .exchange import Application, Exchange
from .message import Handler, HttpError, Request, RequestBody, Response

JOIN = 16384  # up to here, copying a body behind its head costs less than a segment of its own


class FilePart(Protocol):
    """A body that lies in an open file, so that the stack may fetch it from there. What has a `fileno` is one."""

    offset: int
    length: int
    data: memoryview | None  # the same in memory, for stacks that would have to read it first

    def fileno(self) -> int: ...


def handler_application(handler: Handler) -> Application:
    """What `HttpServer` makes of a handler. An HttpError that it raises is its answer; any other exception is the session's."""

    async def application(exchange: Exchange) -> None:
        body = RequestBody(exchange.receive)
        try:
            try:
                response = await handler(Request(exchange.head, body, exchange.remote_address, exchange.local_address))
            except HttpError as error:
                response = Response.text(f"{error.status} {error.reason}\n", error.status, headers=error.headers)
            await answer(exchange, response)
        finally:
            body.detach()

    return application


async def answer(exchange: Exchange, response: Response) -> None:
    """Send `response`, and close its body."""
    fields = response.headers.raw()
    body = response.body
    if isinstance(body, bytes):
        await exchange.start(response.status, fields, len(body))
        if len(body) > JOIN:
            await exchange.send(body)
            body = b""
        await exchange.finish(data=body)
        return
    try:
        await exchange.start(response.status, fields, getattr(body, "length", None))
        if hasattr(body, "fileno"):
            await _send_part(exchange, cast(FilePart, body))
        elif not exchange.silent:
            await _send_pieces(exchange, body)
        await exchange.finish()
    finally:
        aclose = getattr(body, "aclose", None)
        if aclose is not None:
            await aclose()


async def _send_part(exchange: Exchange, part: FilePart) -> None:
    if part.data is None or getattr(exchange, "sendfile", False):
        await exchange.send_file(part.fileno(), part.offset, part.length)
    else:
        await exchange.send(part.data)


async def _send_pieces(exchange: Exchange, body: AsyncIterable[bytes | memoryview]) -> None:
    async for piece in body:
        await exchange.send(piece)
