"""Python that answers queries: for sinkholes, split horizons, services that are made when somebody asks for them.

    @server.answer("*.svc.example.")
    async def service(question: Question, client: Client) -> Answer | None:
        address = await registry.find(question.text)
        return Answer.of(question, 30, address) if address else None

None passes the question on: to the next callback, and then to the zones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from attrs import field, frozen

from ...errors import UsageError
from .. import const as dc
from .. import name as names
from .. import rdata
from ..message import Message, Question, Record
from ..numbers import Class, Rcode, type_number
from .client import Client


def _tuple(said: Iterable[Record]) -> tuple[Record, ...]:
    return tuple(said)


@frozen
class Answer:
    """What is to be answered. `keep`: for so many seconds the same may be said to everybody who asks the same, without the callback
    being called (TTLs run down); 0 asks it each time. `error`: extended code and text (RFC 8914)."""

    answer: tuple[Record, ...] = field(default=(), converter=_tuple)
    authority: tuple[Record, ...] = field(default=(), converter=_tuple)
    additional: tuple[Record, ...] = field(default=(), converter=_tuple)
    rcode: int = int(Rcode.NOERROR)
    aa: bool = True
    keep: int = 0
    error: tuple[int, str] | None = None

    @classmethod
    def of(cls, question: Question, ttl: int, *values: str | bytes, keep: int = 0) -> Answer:
        """The set of records that the question asks for; values as in a zone file (`10.0.0.1`), or in wire form."""
        return cls(records(question.name, question.type, ttl, *values), keep=keep)


def records(name: bytes | str, type: int | str, ttl: int, *values: str | bytes) -> list[Record]:
    """Records of one set. Raises UsageError for a value that isn't of that type."""
    owner = names.parse(name) if isinstance(name, str) else name
    kind = type_number(type) if isinstance(type, str) else int(type)
    return [Record(owner, kind, Class.IN, ttl, rdata.from_text(kind, each) if isinstance(each, str) else each) for each in values]


Result = Answer | Message | Sequence[Record] | int | None  # an int is an rcode
Handler = Callable[[Question, Client], Result | Awaitable[Result]]


def message_of(result: Answer | Message | Sequence[Record]) -> tuple[Message, list[tuple[int, str]]]:
    """What a callback gave, as sections and flags, and its extended errors. Raises UsageError for what is no answer."""
    m = Message(0, dc.AA)
    if isinstance(result, Message):
        m.flags = result.flags & (dc.AA | dc.TC | dc.RA | dc.AD | 15)
        m.answer, m.authority, m.additional = result.answer, result.authority, result.additional
        return m, [] if result.edns is None else [(each.code, each.text) for each in result.edns.errors]
    if isinstance(result, Answer):
        m.flags = (dc.AA if result.aa else 0) | result.rcode & 15
        m.answer, m.authority, m.additional = list(result.answer), list(result.authority), list(result.additional)
        return m, [] if result.error is None else [result.error]
    if isinstance(result, Sequence) and all(isinstance(each, Record) for each in result):
        m.answer = list(result)
        return m, []
    raise UsageError(f"a callback gave {result!r}: an Answer, a Message, records, an rcode or None would be right")


H = TypeVar("H", bound=Callable[..., Any])


class Handlers:
    """Callbacks by name. `*.svc.example.` is for all below svc.example., however deep, and not for itself; `*.` for everything."""

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Handler]] = {}
        self._below: dict[bytes, list[Handler]] = {}
        self.count = 0

    def add(self, pattern: str, handler: Handler) -> None:
        if not callable(handler):
            raise UsageError(f"{handler!r} can't be called: a callback takes a Question and a Client")
        if pattern.startswith("*."):
            key = names.key(names.parse(pattern[2:] or "."))
            self._below.setdefault(key, []).append(handler)
        else:
            self._exact.setdefault(names.key(names.parse(pattern)), []).append(handler)
        self.count += 1

    def find(self, key: bytes) -> list[Handler]:
        """Who is to be asked, the first one last: the exact name's, then those of the nearest name above; of one name in the order
        in which they were added."""
        if not self.count:
            return []
        found = list(self._exact.get(key, ()))
        while len(key) > 1 and self._below:
            key = names.parent(key)
            found += self._below.get(key, ())
        found.reverse()
        return found
