"""Where a response sends the client, and what it asks there (RFC 9110 15.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import evolve

from ...errors import UsageError
from .errors import TooManyRedirects
from .request import Outgoing, RequestContent
from .url import Url

REDIRECTS = frozenset((301, 302, 303, 307, 308))
Follow: TypeAlias = "Callable[[Outgoing, int, str], Outgoing | None]"
"""As `follow`: what is asked after a request, by the status and the Location that answered it."""
OF_BODY = (b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-location", b"transfer-encoding")
# what was meant for one origin: another one must not see it (CVE-2018-1000007)
_OF_ORIGIN = (b"authorization", b"cookie", b"proxy-authorization", b"host")


def follow(
    request: Outgoing, status: int, location: str, *, posts: frozenset[int] = frozenset(), trusted: bool = False
) -> Outgoing | None:
    """The next request, or None where the body that must go with it can't be sent again. Raises TooManyRedirects, with its phase,
    for a place that can't be asked. `posts`: the statuses after which a POST stays one. `trusted`: another origin may see what was
    meant for this one."""
    try:
        url = request.url.join(location)
    except UsageError as error:
        raise TooManyRedirects(f"redirected to what can't be fetched: {error}", "redirect", str(request.url)) from None
    method = request.method
    # 301 and 302 have always been read so for POST; 303 says it for all
    turns = (status in (301, 302) and method == "POST") or (status == 303 and method != "HEAD")
    if turns and not (method == "POST" and status in posts):
        next_request = evolve(request, method="GET", content=RequestContent(None), expect=False).without(*OF_BODY)
    elif request.content.replayable:
        next_request = request
    else:
        return None
    if not same_origin(request.url, url):
        next_request = next_request.without(*((b"host",) if trusted else _OF_ORIGIN))
        fields = ((b"host", url.authority.encode("ascii")), *next_request.fields)
        next_request = evolve(next_request, fields=fields)
    if url.credentials is not None and not next_request.has(b"authorization"):
        next_request = next_request.adding(b"authorization", url.credentials)
    return evolve(next_request, url=url)


def same_origin(a: Url, b: Url) -> bool:
    """May `b` see what was meant for `a`? Scheme, host and port are the same (RFC 6454 4)."""
    return a.origin == b.origin
