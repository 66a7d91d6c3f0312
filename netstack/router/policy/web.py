"""What a program does to the HTTP requests of its guests: functions that see each one, and secrets that they never hold.

    @policy.on_request("api.example.com")
    def sign(request: Request) -> None:
        request.set("x-signed", sign_of(request.method, request.target))

    policy.secret("api.github.com", "authorization", "token ghp_…", placeholder="token GUEST")

**What is seen.** Requests in the clear on the ports of `PolicyConfig.http_ports`, and, after `intercept`, those under TLS to names
for which a function or a secret was given. Everything else passes untouched.

**When a secret leaves.** Only towards its host: where TLS has shown that it is (the certificate is verified by what the host of
this program trusts), or, for a secret that was given `scheme="http"` as well, where the address is one that our own DNS gave for
the name. A guest that connects to an address of its own and says the name gets nothing.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field, frozen

from ...errors import UsageError
from ...http.events import RawFields
from ...http.headers import Headers, HeadersLike
from ..flow import Flow
from .hostnames import Pattern

if TYPE_CHECKING:
    from .authority import Authority
    from .policy import Policy

F = TypeVar("F", bound=Callable[..., Any])
SCHEMES = ("http", "https")
# the framing and what holds for one hop are the proxy's; Host decides where it goes, and that is decided
FIXED = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"keep-alive", b"expect", b"te"))


@frozen
class Reply:
    """An answer that the far side never sees. Content-Length is added."""

    status: int = 200
    body: bytes = b""
    headers: HeadersLike = ()


class Request:
    """A request on its way out. What a function changes is what leaves; the body is not here, it streams."""

    __slots__ = ("_fields", "_target", "flow", "host", "method", "scheme")

    def __init__(self, flow: Flow, scheme: str, host: str, method: str, target: str, fields: RawFields) -> None:
        self.flow = flow
        self.scheme = scheme
        self.host = host  # canonical, without a port; "" where the guest said an address
        self.method = method
        self._target = target
        self._fields = list(fields)

    @property
    def target(self) -> str:
        """The path and the query, as they leave."""
        return self._target

    @target.setter
    def target(self, target: str) -> None:
        if not target.startswith("/") and target != "*":
            raise UsageError(f"{target!r} is no path: one begins with /, and the host can't be changed here (on_flow can)")
        self._target = target

    @property
    def headers(self) -> Headers:
        """As they are now; `set`, `add` and `remove` change them."""
        return Headers.from_raw(tuple(self._fields))

    @property
    def fields(self) -> RawFields:
        return tuple(self._fields)

    def set(self, name: str, value: str) -> None:
        """In place of all of that name. Raises UsageError for headers that frame the message or say where it goes."""
        self.remove(name)
        self.add(name, value)

    def add(self, name: str, value: str) -> None:
        key = self._key(name)
        if any(character in value for character in "\r\n\0"):
            raise UsageError(f"the value of header {name} has a line break: it would end the header early")
        self._fields += Headers([(key.decode(), value)]).raw()

    def remove(self, name: str) -> None:
        """Where there is none, nothing."""
        key = self._key(name)
        self._fields = [pair for pair in self._fields if pair[0] != key]

    def replace(self, key: bytes, change: Callable[[bytes], bytes]) -> int:
        """Change the values of a header. How many are others now."""
        old = self._fields
        self._fields = [(name, change(value) if name == key else value) for name, value in old]
        return sum(a != b for a, b in zip(old, self._fields, strict=True))

    @staticmethod
    def _key(name: str) -> bytes:
        key = name.lower().encode("ascii", "replace")
        if key in FIXED:
            raise UsageError(f"{name} is the proxy's own: it says where the request goes, or how it is framed")
        return key

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.scheme}://{self.host or self.flow.dst}{self._target}>"


@frozen
class Secret:
    """Made by `Web.secret`. Its value is not shown."""

    host: Pattern
    header: bytes
    value: str | Callable[[], str] = field(repr=False)
    placeholder: str = ""
    schemes: tuple[str, ...] = ("https",)

    def put(self, request: Request) -> bool:
        """Into a request that goes to its host, which the caller has made sure of. Did that change it?"""
        if self.placeholder and not any(name == self.header for name, _ in request.fields):
            return False
        value = self.value if isinstance(self.value, str) else self.value()
        if not self.placeholder:
            request.set(self.header.decode(), value)
            return True
        old, new = self.placeholder.encode(), value.encode("latin-1")
        if any(byte in new for byte in b"\r\n\0"):
            raise UsageError(f"the secret for {self.host} has a line break: it would end the header early")
        return request.replace(self.header, partial(_replaced, old=old, new=new)) > 0


def _replaced(value: bytes, old: bytes, new: bytes) -> bytes:
    """Also within the base64 of Basic (RFC 7617 2): git and curl put a password there before anybody can see it."""
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() == b"basic" and old not in value:
        try:
            plain = base64.b64decode(rest.strip(), validate=True)
        except binascii.Error:
            return value
        return scheme + b" " + base64.b64encode(plain.replace(old, new)) if old in plain else value
    return value.replace(old, new)


class Web:
    """What is done to requests, and for which flows."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._functions: list[tuple[Pattern, tuple[str, ...], Callable[[Request], Any]]] = []
        self._secrets: list[Secret] = []
        self.http = False  # does anybody want to see requests in the clear?
        self._https: list[Pattern] = []
        self.authority: Authority | None = None
        self.trust: ssl.SSLContext | None = None
        self.upgrades: frozenset[bytes] = frozenset((b"websocket",))

    # -- what it is told ------------------------------------------------------------------------------------------------------

    def on_request(self, host: str = "*", scheme: str | tuple[str, ...] = "http") -> Callable[[F], F]:
        """A decorator. `function(request)`, plain or a coroutine, says what becomes of a request: None, it goes on, changed or
        not; a Reply, which is the answer; False, denied. One that raises, or takes too long, denies."""
        pattern, schemes = self._for(host, scheme)

        def add(function: F) -> F:
            self._functions.append((pattern, schemes, function))
            self._want(pattern, schemes)
            return function

        return add

    def secret(
        self,
        host: str,
        header: str,
        value: str | Callable[[], str],
        *,
        placeholder: str = "",
        scheme: str | tuple[str, ...] = "https",
    ) -> None:
        """Put `value`, or what it gives when called, into `header` of each request to `host`: in place of `placeholder`, wherever
        that stands in the header; without one, in place of the whole header, which is added if it isn't there."""
        pattern, schemes = self._for(host, scheme)
        if pattern.text == "*":
            raise UsageError("a secret is for somebody: say which host, * would tell it to everybody")
        key = header.lower().encode("ascii", "replace")
        if key in FIXED:
            raise UsageError(f"{header} can't hold a secret: it says where the request goes, or how it is framed")
        self._secrets.append(Secret(pattern, key, value, placeholder, schemes))
        self._want(pattern, schemes)

    def intercept(self, authority: Authority, trust: ssl.SSLContext | None = None) -> None:
        """Open TLS to the names that functions and secrets are for, with certificates of `authority`, which guests must trust.
        `trust` is by what the far side is judged, the host's own store if it isn't given."""
        self.authority = authority
        if trust is None:  # now: a router may give up its files later
            from ...tls.contexts import client_context

            trust = client_context(("http/1.1",))
        self.trust = trust

    def _for(self, host: str, scheme: str | Iterable[str]) -> tuple[Pattern, tuple[str, ...]]:
        schemes = (scheme,) if isinstance(scheme, str) else tuple(scheme)
        if not schemes or any(one not in SCHEMES for one in schemes):
            raise UsageError(f"scheme={scheme!r} is none that is read: write http, https, or both in a tuple")
        if "https" in schemes and self.authority is None:
            raise UsageError("requests under TLS can't be seen without an authority that the guest trusts: call intercept() first")
        return Pattern(host), schemes

    def _want(self, pattern: Pattern, schemes: tuple[str, ...]) -> None:
        self._policy.looking = True
        self.http = self.http or "http" in schemes
        if "https" in schemes:
            self._https.append(pattern)
            if pattern.name and self.authority is not None:
                self.authority.context_for(pattern.name)  # the first guest needn't wait, and files may be given up

    # -- flows ------------------------------------------------------------------------------------------------------------------

    def wants(self, name: str, protocol: str) -> bool:
        """Would requests to `name` be looked at, in a flow of "tls" or "http"?"""
        return protocol == "tls" and any(pattern.matches(name) for pattern in self._https)

    # -- requests -----------------------------------------------------------------------------------------------------------------

    def functions(self, request: Request) -> list[Callable[[Request], Any]]:
        """Those that are to see it."""
        return [
            function
            for pattern, schemes, function in self._functions
            if request.scheme in schemes and (pattern.matches(request.host) if request.host else pattern.text == "*")
        ]

    def put_secrets(self, request: Request) -> None:
        """Into a request that leaves now. Raises what a secret's own function raises."""
        if request.scheme == "http" and request.host not in request.flow.names:
            return
        if request.method == "TRACE":  # RFC 9110 9.3.8: the answer to it is the request
            return
        for secret in self._secrets:
            if request.scheme in secret.schemes and request.host and secret.host.matches(request.host) and secret.put(request):
                self._policy.mib.Secrets += 1
