"""A jar of cookies, for who asks for one: RFC 6265, by the standard library's `http.cookiejar`, which keeps them in memory.

HttpClient(net, cookies=CookieJar())
"""

from __future__ import annotations

import http.cookiejar
from email.message import Message
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from ..events import ReplyHead
from .request import Outgoing
from .url import Url

MOST = 3000  # a server that sets a new one with each response must not fill us: RFC 6265 6.1 asks for as many in all


class CookieJar:
    """`jar` is the library's own: to look into, to save."""

    def __init__(self, jar: http.cookiejar.CookieJar | None = None) -> None:
        policy = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrict)
        self.jar = http.cookiejar.CookieJar(policy) if jar is None else jar

    def add(self, request: Outgoing) -> Outgoing:
        """`request` with what the jar has for it, unless it has cookies of its own."""
        if request.has(b"cookie"):
            return request
        asking = _Asking(request.url)
        self.jar.add_cookie_header(asking)  # type: ignore[arg-type]  # all that it needs of a urllib Request
        return request if asking.cookie is None else request.adding(b"cookie", asking.cookie)

    def keep(self, url: Url, head: ReplyHead) -> None:
        """What a response sets."""
        if len(self.jar) < MOST and any(name == b"set-cookie" for name, _ in head.fields):
            self.jar.extract_cookies(_Answer(head), _Asking(url))  # type: ignore[arg-type]


class _Asking:
    """What `http.cookiejar` wants to know of a request."""

    unverifiable = False

    def __init__(self, url: Url) -> None:
        self._url = url
        self.cookie: str | None = None
        self.host = self.origin_req_host = url.bracketed
        self.type = url.scheme

    def get_full_url(self) -> str:
        return str(self._url)

    def has_header(self, name: str) -> bool:
        return False

    def get_header(self, name: str, default: Any = None) -> Any:
        return default

    def add_unredirected_header(self, name: str, value: str) -> None:
        self.cookie = value


class _Answer:
    def __init__(self, head: ReplyHead) -> None:
        self._message = Message()
        for name, value in head.fields:
            self._message[name.decode("ascii")] = value.decode("latin-1")

    def info(self) -> Message:
        return self._message
