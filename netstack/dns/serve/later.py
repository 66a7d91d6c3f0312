"""Answers that somebody else gives: a callback that waits for something, a forwarder that asks.

A `Flight` is one piece of work, and all who wait for it. The desk makes it; whoever has tasks begins it once, and hands what came
of it back to the desk, which says what goes to whom. Equal questions share a flight: a popular name that has just run out is asked
for once, and not as often as there are clients (and who forges answers has one port and id to guess, not hundreds: RFC 5452 5).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from ..resolve.job import Job
from .client import Client

Send = Callable[[Iterable[bytes]], Awaitable[None]]


class Case:
    """A query that is being answered. `wire` is what is read again when the answer comes: header, question, OPT."""

    __slots__ = ("client", "cookie", "key", "known", "prefix", "seal", "todo", "view", "wire")

    def __init__(self, wire: bytes | bytearray | memoryview, client: Client) -> None:
        self.wire = wire
        self.client = client
        self.view: Any = None
        self.todo: list[Any] = []  # callbacks that have not been asked, the next one last
        self.prefix: list[Any] = []  # records of our own zones that lead to the question which others are asked
        self.seal: Any = None  # signs what is sent, where the query was signed
        self.key: bytes | None = None  # the name of the key that signed it
        self.cookie = b""  # the option that goes back
        self.known = False  # he has shown a cookie of ours: his address is not forged


class Flight:
    """`job` for a driver, or `work` to await."""

    __slots__ = ("begun", "deadline", "job", "key", "waiting", "what", "work")

    def __init__(self, key: object, deadline: int, what: str, job: Job | None = None, work: Awaitable[Any] | None = None) -> None:
        self.key = key  # what equal ones have in common; None: there are none
        self.deadline = deadline  # an instant in ns
        self.what = what  # for the log
        self.job = job
        self.work = work
        self.waiting: list[Later] = []
        self.begun = False

    def begin(self) -> bool:
        """True for the first who asks: he does the work."""
        first = not self.begun
        self.begun = True
        return first

    def drop(self) -> None:
        """Nobody will do it."""
        if self.job is not None:
            self.job.cancel()
        if isinstance(self.work, Coroutine) and not self.begun:
            self.work.close()


class Later:
    """The answer of `handle` when it is not there yet. The face says where it goes, `later.send = …`, before it does anything else,
    and begins the flight if nobody has."""

    __slots__ = ("case", "flight", "send")

    def __init__(self, flight: Flight, case: Case) -> None:
        self.flight = flight
        self.case = case
        self.send: Send | None = None
        flight.waiting.append(self)
