"""DNS over HTTPS (RFC 8484): a handler for an HTTP server that hands queries to a DNS server.

    dns = DnsServer(net, net, [zone])
    await HttpServer(Tls(net, context), DnsOverHttps(dns)).listen(443)

    curl --doh-url https://ns.example/dns-query http://www.example/         dig @ns.example +https www.example

HTTP has its own errors and DNS its own: what is no message is 4xx, and every answer to one is 200, whatever its rcode. An answer
may be kept for as long as its records may (5.1). Answers are padded where the query is (RFC 8467), since the desk knows that the
way is encrypted. Transfers are not carried: one request has one answer (RFC 8484 4.1).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from ...errors import TimedOut, WireError
from ...http.serve.message import HttpError, Request, Response
from ...instant import SECOND, Duration
from ...runtime.waits import waits_here
from .. import const as dc
from .. import message as messages
from ..numbers import Type
from .client import Client
from .server import DnsServer

PATH = "/dns-query"
TYPE = "application/dns-message"
LONGEST = 65535  # octets of a message, RFC 8484 6
LONGEST_TEXT = (LONGEST + 2) // 3 * 4

Handler = Callable[[Request], Awaitable[Response]]


class DnsOverHttps:
    """Answers at `path`; what is asked for elsewhere is `otherwise`'s, or 404."""

    def __init__(self, server: DnsServer[Any, Any], path: str = PATH, otherwise: Handler | None = None) -> None:
        self._server = server
        self._path = path
        self._otherwise = otherwise

    async def __call__(self, request: Request) -> Response:
        if request.path != self._path:
            if self._otherwise is None:
                raise HttpError(404, "Not found.")
            return await self._otherwise(request)
        wire = await _message(request)
        answers = await self._ask(wire, Client(*request.remote_address, stream=True, encrypted=True))
        if not answers:
            raise HttpError(400, "That is not a query.")
        if len(answers) > 1:
            raise HttpError(501, "Transfers are not carried by HTTP.")
        (answer,) = answers
        return Response(200, {"content-type": TYPE, "cache-control": _freshness(answer)}, answer)

    async def _ask(self, wire: bytes, client: Client) -> list[bytes]:
        """Raises HttpError when the server is closed before it has answered."""
        waits = waits_here()
        came = waits.event()
        found: list[bytes] = []

        async def send(wires: Iterable[bytes]) -> None:
            found.extend(wires)
            came.set()

        await self._server.ask(wire, client, send)
        try:
            await waits.wait(came, Duration(self._server.desk.config.pending_timeout + SECOND))
        except TimedOut:
            raise HttpError(504, "There was no answer in time.") from None
        return found


async def _message(request: Request) -> bytes:
    """Raises HttpError."""
    if request.method in ("GET", "HEAD"):
        said = parse_qs(request.query, max_num_fields=16).get("dns", []) if request.query.count("&") < 16 else []
        if len(said) != 1:
            raise HttpError(400, "There is one parameter dns, the message in base64url (RFC 8484 4.1).")
        if len(said[0]) > LONGEST_TEXT:
            raise HttpError(414, "The message is too long.")
        try:
            # without padding (RFC 8484 6); who pads it is understood
            text = said[0].rstrip("=")
            return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise HttpError(400, "The parameter dns is not base64url.") from None
    if request.method != "POST":
        raise HttpError(405, "Allowed: GET, HEAD, POST.", {"allow": "GET, HEAD, POST"})
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if kind != TYPE:
        raise HttpError(415, f"A query is {TYPE}.")
    return await request.body.read(LONGEST)


def _freshness(answer: bytes) -> str:
    """Of the answer's records the one that runs out first; of a denial, its SOA (RFC 2308 5). Errors are not kept."""
    try:
        m = messages.decode(answer)
    except WireError:
        return "no-store"
    if m.flags & dc.TC or m.flags & 15 not in (0, 3):
        return "no-store"
    times = [record.ttl for record in m.answer]
    if not times or m.flags & 15:
        times += [min(record.ttl, int.from_bytes(record.rdata[-4:], "big")) for record in m.authority if record.type == Type.SOA]
    return f"max-age={min(times)}" if times else "no-store"
