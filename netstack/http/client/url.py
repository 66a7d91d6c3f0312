"""What a client is told to fetch: a URL (RFC 3986, RFC 9110 4.2) as the parts that it needs."""

from __future__ import annotations

import base64
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from attrs import frozen

from ...errors import UsageError

PORTS = {"http": 80, "https": 443}
# what may stand in a path or a query, and what is escaped already. Browsers send []|{}^ as they are, and so servers take them
_KEPT = "!#$%&'()*+,/:;=?@[]~|{}^\\`\"<>"


@frozen
class Url:
    """`host` is a name in ASCII or an address, without brackets; `target` what stands in the request line."""

    scheme: str
    host: str
    port: int
    target: str
    user: str | None = None
    password: str = ""
    fragment: str = ""

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """For the Host field: without the port that the scheme has anyway."""
        return self.bracketed if self.port == PORTS[self.scheme] else f"{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def credentials(self) -> str | None:
        """The value of an Authorization field, of what stood before the @."""
        return None if self.user is None else basic(self.user, self.password)

    def __str__(self) -> str:
        """Without the credentials: it goes into messages and logs."""
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, reference: str) -> Url:
        """What a Location means here (RFC 9110 10.2.2). Raises UsageError."""
        try:
            joined = parse(urljoin(str(self), reference))
        except UsageError:
            raise
        except ValueError as error:  # urljoin's
            raise UsageError(f"{reference!r} is not a URL: {error}") from None
        if not joined.fragment and self.fragment:
            return parse(f"{joined}#{self.fragment}")
        return joined


def parse(text: str) -> Url:
    """Raises UsageError for what can't be fetched."""
    if any(ord(char) <= 32 or ord(char) == 127 for char in text.strip()):
        raise UsageError(f"{text!r} has blanks or control characters: a URL has them escaped, as %20")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not a URL: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise UsageError(f"{text!r} can't be fetched: it must begin with http:// or https://")
    host = parts.hostname
    if not host:
        raise UsageError(f"{text!r} names no host")
    if port == 0:
        raise UsageError(f"{text!r}: port 0 can't be reached")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise UsageError(f"{host!r} is no name of a host: {error}") from None
    if any(char in host for char in "/?#@\\%<>^|`{}\"'") and ":" not in host:
        raise UsageError(f"{host!r} is no name of a host")
    target = quote(parts.path, safe=_KEPT.replace("?", "").replace("#", "")) or "/"
    if parts.query:
        target += "?" + quote(parts.query, safe=_KEPT.replace("#", ""))
    user, password = parts.username, parts.password or ""
    return Url(
        scheme,
        host,
        port or PORTS[scheme],
        target,
        None if user is None else _unescaped(user),
        _unescaped(password),
        parts.fragment,
    )


def basic(user: str, password: str) -> str:
    """RFC 7617."""
    if ":" in user:
        raise UsageError("a user's name can't have a colon in it: the password begins there")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")
