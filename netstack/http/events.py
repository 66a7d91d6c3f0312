"""What a connection says and hears: small frozen values, the same words in both directions.

Bytes from the peer become `RequestHead`, then `Body` any number of times, then `End`. What can't become that is one `Refusal`,
after which the connection says nothing more. `Closed` is an orderly end between two requests. We answer with any number of
`Interim`, a `ResponseHead`, `Body` any number of times, and `End`.
"""

from typing import TypeAlias

from attrs import frozen

RawFields = tuple[tuple[bytes, bytes], ...]
"""Field names in lower case and values without the white space around them, in the order of arrival."""

Version = tuple[int, int]


class RequestHead:
    """The request line and the header section (RFC 9112 3, 5)."""

    __slots__ = ("method", "target", "version", "fields", "length", "keep_alive", "expects_continue", "upgrade")

    def __init__(
        self,
        method: str,
        target: str,
        version: Version,
        fields: RawFields,
        length: int | None,
        keep_alive: bool,
        expects_continue: bool,
        upgrade: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target  # as it stood in the request line
        self.version = version  # (1, 0) or (1, 1): a higher minor version is read as 1.1 (RFC 9110 2.5)
        self.fields = fields
        self.length = length  # of the body, or None when it comes in chunks
        self.keep_alive = keep_alive  # the client's wish (RFC 9112 9.3)
        self.expects_continue = expects_continue  # it waits for a 100 before it sends the body (RFC 9110 10.1.1)
        self.upgrade = upgrade  # the protocols that it would rather speak (RFC 9110 7.8); of HTTP/2 the :protocol (RFC 8441 4)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RequestHead) and all(getattr(self, name) == getattr(other, name) for name in RequestHead.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RequestHead({', '.join(f'{name}={getattr(self, name)!r}' for name in RequestHead.__slots__)})"


@frozen
class Body:
    """Some bytes of the body, at least one."""

    data: bytes


@frozen
class End:
    """The message is complete; `trailers` stand only after a chunked body (RFC 9110 6.5)."""

    trailers: RawFields = ()


@frozen
class Refusal:
    """What came is not a request that we take: answer `status`, if nothing was answered yet, and close."""

    status: int
    reason: str  # one short sentence of ours: nothing of the peer's bytes is in it
    truncated: bool = False  # all that came was lawful, and then the stream ended


@frozen
class Closed:
    """The client ended its side between two requests, or an idle connection came to its time."""


@frozen
class Interim:
    """A 1xx response (RFC 9110 15.2): the real one follows."""

    status: int = 100
    fields: RawFields = ()


@frozen
class ResponseHead:
    """Status and fields of a response; the writer adds the framing, `Connection` and `Date`."""

    status: int
    fields: RawFields = ()
    length: int | None = None  # of the body that follows; None where it isn't known: chunks, or the end of the stream


# -- what a client hears ------------------------------------------------------------------------------------------------------


@frozen
class ReplyHead:
    """The status line and the header section of a response that is not interim (RFC 9112 4)."""

    status: int
    reason: str  # what stood behind the number, in ISO 8859-1; HTTP/2 has none
    version: Version
    fields: RawFields
    length: int | None = None  # of the body; None where its end will tell
    keep_alive: bool = True
    switched: bool = False  # what follows is another protocol's: 101, or a 2xx to CONNECT
    section: bytes = b""  # status line and fields as they came, without the empty line


@frozen
class Fault:
    """What came is not a response, or did not come in time. The connection has no further use."""

    reason: str
    truncated: bool = False  # all that came was lawful, and then the stream ended
    late: str = ""  # the phase that took too long: "first byte" or "read"
    unanswered: bool = False  # not one byte of a response had come


Event: TypeAlias = RequestHead | Body | End | Refusal | Closed
Heard: TypeAlias = Interim | ReplyHead | Body | End | Fault | Closed
Sent: TypeAlias = Interim | ResponseHead | Body | End
