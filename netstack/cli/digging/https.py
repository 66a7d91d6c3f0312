"""+https and its kin: a question as a request of HTTP (RFC 8484)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...http.client.client import HttpClient, speaks_http2
from ...http.client.response import ClientResponse
from ...http.config import HttpClientConfig
from ...instant import Duration

if TYPE_CHECKING:
    from .ask import Server
    from .lookup import Lookup

TYPE = "application/dns-message"


class NoAnswer(Exception):
    """In words for who looks on."""


async def post_or_get(net: Any, lookup: Lookup, server: Server, wire: bytes, patience: Duration, context: Any) -> bytes:
    """The body of the answer. Raises FetchError, NoAnswer."""
    host = lookup.tls_hostname or server.said
    host = f"[{host}]" if ":" in host else host
    url = f"{'http' if lookup.http_plain else 'https'}://{host}:{server.port}{lookup.https}"

    async def where(host: str, port: int) -> Sequence[tuple[str, int]]:
        return [(server.address, port)]

    times = HttpClientConfig(
        connect_timeout=patience, tls_timeout=patience, write_timeout=patience, first_byte_timeout=patience, read_timeout=patience,
        redirects=0,
    )  # fmt: skip
    protocols: Any = "2 prior knowledge" if lookup.http_plain and speaks_http2() else "auto"
    async with HttpClient(net, where, config=times, context=context, protocols=protocols, user_agent="", decode=False) as client:
        response = await _ask(client, url, wire, lookup.https_get)
        async with response:
            if response.status != 200:
                raise NoAnswer(f"HTTP status {response.status}")
            kind = (response.headers.get("content-type", "") or "").partition(";")[0].strip().lower()
            if kind != TYPE:
                raise NoAnswer(f"HTTP answer is {kind or 'of no type'} and not {TYPE}")
            return await response.read(65535)


async def _ask(client: HttpClient[Any], url: str, wire: bytes, get: bool) -> ClientResponse:
    if get:
        joint = "&" if "?" in url else "?"
        text = base64.urlsafe_b64encode(wire).decode().rstrip("=")
        return await client.request("GET", f"{url}{joint}dns={text}", headers=(("accept", TYPE),))
    return await client.request("POST", url, headers=(("content-type", TYPE), ("accept", TYPE)), body=wire)
