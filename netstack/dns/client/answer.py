"""What a question was answered: records with their meaning, how long they live, and who said so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from ...errors import UsageError, WireError
from ...instant import Duration
from .. import name as names
from .. import rdata
from ..edns import ExtendedError
from ..message import Record
from ..numbers import Ede, Rcode, Type, type_number, type_text
from ..resolve.job import Outcome
from .errors import LookupTimedOut, NameNotFound, NoData, ServerFailure, Unanswerable


@frozen
class Answer:
    """Iterate it for the records' data, `rdata.A(address="192.0.2.1")` and the like; `outcome` has the rest, in wire form."""

    name: str
    type: str
    records: tuple[Any, ...]
    canonical: str  # where the aliases of `name` lead
    ttl: int  # seconds that all of it is good for
    outcome: Outcome

    def __iter__(self) -> Iterator[Any]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> Any:
        return self.records[i]

    @property
    def addresses(self) -> list[str]:
        """Of A and AAAA records."""
        return [each.address for each in self.records if isinstance(each, rdata.A | rdata.AAAA)]

    @property
    def texts(self) -> list[str]:
        """The data as a zone file has it."""
        return [rdata.to_text(r.type, r.rdata) for r in final(self.outcome)]

    @property
    def server(self) -> tuple[str, int] | None:
        """Who said so just now; None where it was known."""
        return self.outcome.server

    @property
    def rtt(self) -> Duration:
        """How long that took, in nanoseconds; 0 where it was known."""
        return Duration(self.outcome.rtt)

    @property
    def from_cache(self) -> bool:
        return self.outcome.server is None

    @property
    def stale(self) -> bool:
        """It had expired, and the servers were silent (RFC 8767)."""
        return self.outcome.stale

    @property
    def authentic(self) -> bool:
        """Somebody who is trusted has validated it."""
        return self.outcome.authentic


def final(outcome: Outcome) -> list[Record]:
    """The records that answer the question, without the aliases before them."""
    asked = outcome.question.type
    return [r for r in outcome.answer if r.type == asked or asked == Type.ANY]


def answer(outcome: Outcome) -> Answer:
    """Raises NameNotFound, NoData, ServerFailure, LookupTimedOut, Unanswerable."""
    question = outcome.question
    name, type = names.text(question.name), type_text(question.type)
    if outcome.error is not None:
        code, text = outcome.error
        if code == Ede.NO_REACHABLE_AUTHORITY:
            raise LookupTimedOut(f"nobody said anything about {type} of {name}: {text}", outcome)
        if code == Ede.NETWORK_ERROR:
            raise ServerFailure(f"nobody could be asked for {type} of {name}: {text}", outcome)
        raise ServerFailure(f"no server could say {type} of {name}: {ExtendedError(code, text)}", outcome)
    if outcome.rcode == Rcode.NXDOMAIN:
        raise NameNotFound(f"there is no name {_end(outcome)}", outcome)
    if outcome.rcode != Rcode.NOERROR:
        raise ServerFailure(f"no server could say {type} of {name}", outcome)
    records = final(outcome)
    if not records:
        raise NoData(f"{_end(outcome)} has no {type} records", outcome)
    try:
        data = tuple(rdata.unpack(r.type, r.rdata) for r in records)
    except WireError as error:
        raise Unanswerable(f"{type} of {name} is not lawful: {error}", outcome) from error
    ttl = min(r.ttl for r in outcome.answer)
    return Answer(name, type, data, names.text(records[0].name), ttl, outcome)


def _end(outcome: Outcome) -> str:
    """The name of which it is said, and whose alias it is."""
    asked = names.text(outcome.question.name)
    last = next((r for r in reversed(outcome.answer) if r.type == Type.CNAME), None)
    return asked if last is None else f"{names.text(last.rdata)}, which {asked} stands for"


def wire_name(name: str | bytes) -> bytes:
    """A name as programs say it: text, in any script, with or without the last dot; or its wire form. Raises UsageError."""
    if isinstance(name, bytes):
        try:
            return names.check(name)
        except WireError as error:
            raise UsageError(f"{name!r} is not a name in wire form: {error}; text is a str") from None
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise UsageError(f"{name!r} can't be written in the DNS: {error}") from None
    return names.parse(name)


def wire_type(type: str | int) -> int:
    """Raises UsageError."""
    if isinstance(type, str):
        return type_number(type)
    if not 0 < type <= 0xFFFF:
        raise UsageError(f"{type} is not a record type: write a name like AAAA, or a number up to 65535")
    return type
