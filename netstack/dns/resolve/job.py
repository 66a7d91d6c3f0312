"""What everything that finds answers has in common, whether it asks one server for all or walks from the root: a `Finder` either
knows, and gives an `Outcome` at once, or gives a `Job`.

A job is moved by what happens, as a `Query` is, and like it has one thing under way at a time: `start`, `datagram`, `message`,
`failed` and `expired` say what is to be done next, `SendDatagram`, `SendStream` or, at the end, `Settled`; None is to go on waiting
until `deadline`. Who drives it needs sockets, a clock and nothing else.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from ..message import Message, Question, Record
from ..numbers import Rcode
from .query import SendDatagram, SendStream


@frozen(kw_only=True)
class Outcome:
    """What was found out about `question`. `answer` starts at its name and follows its aliases; TTLs are what is left, in seconds.

    `error` is why there is no answer (rcode SERVFAIL), as (extended code, text): RFC 8914. `server` is who said it, None for the
    cache; `rtt` in ns, of that server, 0 for the cache.
    """

    question: Question
    rcode: int = int(Rcode.NOERROR)
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    authentic: bool = False  # AD
    stale: bool = False  # RFC 8767
    error: tuple[int, str] | None = None
    server: tuple[str, int] | None = None
    rtt: int = 0
    over_stream: bool = False
    refresh: bool = False  # the cache wants to know it anew: seek it again in the background, with `fresh=True`

    def message(self, id: int = 0, flags: int = 0) -> Message:
        """As a response to the question; `flags` are what else is to be set: RD and CD as the client had them."""
        m = Message(id, 0x8080 | (0x0020 if self.authentic else 0) | flags | self.rcode & 15)
        m.question.append(self.question)
        m.answer, m.authority, m.additional = list(self.answer), list(self.authority), list(self.additional)
        return m


@frozen
class Settled:
    """The end of a job."""

    outcome: Outcome


Step = SendDatagram | SendStream | Settled


class Job(Protocol):
    """One question on its way. Between two of these calls nothing happens."""

    @property
    def deadline(self) -> int | None:
        """An instant in ns: `expired` is to be called then."""

    def start(self, now: int) -> Step: ...
    def moved(self, source: int) -> None:
        """The datagram goes from port `source`: the one that it was to have was taken."""

    def datagram(self, now: int, data: bytes, address: str, port: int, to_port: int) -> Step | None: ...
    def message(self, now: int, data: bytes) -> Step | None:
        """A whole message from the stream of the last `SendStream`."""

    def failed(self, now: int, reason: str) -> Step | None:
        """What was under way can't succeed."""

    def expired(self, now: int) -> Step | None: ...
    def cancel(self) -> None:
        """Nobody waits any longer."""


class Finder(Protocol):
    """A forwarder, or an iterative resolver; both have a cache. Never raises for what servers say."""

    def seek(
        self, question: Question, now: int, *, dnssec: bool = False, checking_disabled: bool = False, fresh: bool = False
    ) -> Outcome | Job:
        """What is known, or a job that finds out. `dnssec`: signatures are wanted too. `fresh`: whatever the cache has."""
