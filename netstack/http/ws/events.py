"""What a WebSocket hears: small frozen values.

Messages are whole. `Closed` comes once, and nothing follows it.
"""

from typing import TypeAlias

from attrs import frozen

from .errors import NO_STATUS


@frozen
class Text:
    data: str


@frozen
class Bytes:
    data: bytes


@frozen
class Ping:
    """It was answered already."""

    data: bytes


@frozen
class Pong:
    """The answer to a ping of ours, or one that nobody asked for (RFC 6455 5.5.3)."""

    data: bytes


@frozen
class Closed:
    """`code` as RFC 6455 7.1.5 has it: the peer's, 1005 where it gave none, 1006 where it went without a word."""

    code: int = NO_STATUS
    reason: str = ""


Event: TypeAlias = Text | Bytes | Ping | Pong | Closed
