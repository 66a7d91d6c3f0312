"""Through a proxy: its address, and CONNECT (RFC 9110 9.3.6), by which a stream leads to the server behind it."""

from __future__ import annotations

from attrs import frozen

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import Duration, Instant
from ...runtime.waits import Waits
from ...signatures import Stream
from ..config import HttpClientConfig
from ..events import Fault, RawFields, ReplyHead
from ..h1.clientconnection import ClientConnection
from ..serve.upgraded import Upgraded
from .errors import FetchTimedOut, ProxyFailed
from .url import Url, parse


@frozen
class Proxy:
    """`http://host:port`, or `https://…` for TLS with the proxy itself; user and password before an @."""

    url: Url
    tunnel: bool = False  # CONNECT also for http URLs

    @classmethod
    def parse(cls, text: str, tunnel: bool = False) -> Proxy:
        """Raises UsageError. Without a port it is 8080 for http, as nobody has a proxy on 80; 443 for https."""
        if "://" not in text:
            text = f"http://{text}"
        if text.startswith("socks"):
            raise UsageError("proxies are spoken to in HTTP: write http://host:port")
        url = parse(text)
        if url.target != "/":
            raise UsageError(f"a proxy is a host and a port: {text!r} has a path")
        return cls(url, tunnel)

    @property
    def fields(self) -> RawFields:
        """What it is to be told with each request."""
        credentials = self.url.credentials
        return () if credentials is None else ((b"proxy-authorization", credentials.encode("latin-1")),)


async def tunnel(
    stream: Stream, proxy: Proxy, url: Url, config: HttpClientConfig, waits: Waits, user_agent: str, timeout: Duration
) -> Stream:
    """What leads through `stream`, a connection with the proxy, to the server of `url`. Raises ProxyFailed, FetchTimedOut, and what
    the stream does; the stream is the caller's to close then."""
    start = waits.now()
    conn = ClientConnection(config)
    where = f"{url.bracketed}:{url.port}"
    fields: RawFields = ((b"host", where.encode("ascii")), *proxy.fields)
    if user_agent:
        fields = (*fields, (b"user-agent", user_agent.encode("latin-1")))
    now = Instant(start)
    await_until = start + timeout
    try:
        await stream.send_all(conn.start("CONNECT", where, fields, 0, now) + conn.finish(now), timeout)
        while True:
            left = Duration(max(await_until - waits.now(), 0))
            for event in conn.receive_data(await stream.receive(65536, left), Instant(waits.now())):
                if isinstance(event, ReplyHead):
                    if event.switched:
                        return Upgraded(stream, conn.release())
                    failed = ProxyFailed(f"the proxy answered {event.status} to CONNECT {where}", "proxy", str(url))
                    failed.status = event.status
                    raise failed
                if isinstance(event, Fault):
                    raise ProxyFailed(f"the proxy's answer can't be read: {event.reason}", "proxy", str(url))
    except TimedOut as error:
        raise FetchTimedOut(f"the proxy did not connect to {where} in time", "proxy", str(url)) from error
    except ProxyFailed:
        raise
    except (OSError, ClosedError) as error:
        raise ProxyFailed(f"the proxy went away: {error}", "proxy", str(url)) from error
