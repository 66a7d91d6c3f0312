"""Whole messages of clients: what is asked, what can't be, and the response with what was found out."""

from __future__ import annotations

from attrs import frozen

from ...errors import WireError
from .. import const as dc
from ..edns import Edns, error_option
from ..message import Message, Question, decode
from ..numbers import Ede, Opcode, Rcode, Type
from ..resolve.job import Outcome

PAYLOAD = 1232  # octets that fit into one packet nearly everywhere (DNS flag day 2020)
META = frozenset((Type.OPT, Type.TKEY, Type.TSIG, Type.IXFR, Type.AXFR, Type.MAILB, Type.MAILA))  # nothing to look up


@frozen
class Whole:
    """A query that can be answered, in at most `limit` octets."""

    asked: Message
    limit: int

    @property
    def question(self) -> Question:
        return self.asked.question[0]

    @property
    def dnssec(self) -> bool:
        return self.asked.edns is not None and self.asked.edns.do

    def failure(self, rcode: int, error: tuple[int, str] | None = None) -> bytes:
        """The response without records; `error` as (extended code, text)."""
        return _finish(self._response(), rcode, self.limit, error)

    def answer(self, outcome: Outcome) -> bytes:
        """The response with what was found out."""
        m = self._response()
        m.answer, m.authority, m.additional = list(outcome.answer), list(outcome.authority), list(outcome.additional)
        if outcome.authentic and (self.dnssec or self.asked.ad):  # RFC 6840 5.8
            m.flags |= dc.AD
        error = outcome.error
        if outcome.stale and error is None:  # RFC 8914 4.4, 4.20
            error = (Ede.STALE_NXDOMAIN_ANSWER if outcome.rcode == Rcode.NXDOMAIN else Ede.STALE_ANSWER), ""
        return _finish(m, outcome.rcode, self.limit, error)

    def _response(self) -> Message:
        asked = self.asked
        m = Message(asked.id, dc.QR | dc.RA | asked.flags & (dc.RD | dc.CD))
        m.question = [self.question]
        m.edns = None if asked.edns is None else Edns(PAYLOAD, do=asked.edns.do)
        return m


def read(wire: bytes, limit: int = dc.MAX_MESSAGE) -> Whole | bytes:
    """The query that `wire` is, or the response that refuses it. Raises WireError for what can't be answered: octets without a
    header, and responses."""
    if len(wire) < dc.HEADER or wire[2] & 0x80:
        raise WireError("not a query: there is nobody to answer")
    try:
        m = decode(wire)
    except WireError:
        return _refusal(wire, Rcode.FORMERR)
    if m.opcode != Opcode.QUERY:
        return _refusal(wire, Rcode.NOTIMP)
    if len(m.question) != 1:
        return _refusal(wire, Rcode.FORMERR)
    whole = Whole(m, max(limit, dc.MIN_PAYLOAD))
    if m.edns is not None and m.edns.version > 0:
        return whole.failure(Rcode.BADVERS)
    if not m.rd or whole.question.type in META or whole.question.rclass == dc.ANY_CLASS:
        return whole.failure(Rcode.REFUSED)
    return whole


def _refusal(wire: bytes, rcode: int) -> bytes:
    """No more than a header: of what is not understood, nothing is repeated."""
    flags = dc.QR | dc.RA | (wire[2] << 8 | wire[3]) & (dc.OPCODE | dc.RD) | rcode
    return wire[:2] + flags.to_bytes(2, "big") + bytes(8)


def _finish(m: Message, rcode: int, limit: int, error: tuple[int, str] | None) -> bytes:
    m.flags |= rcode & 15
    if m.edns is not None:
        options = () if error is None else (error_option(*error),)
        m.edns = Edns(m.edns.payload, do=m.edns.do, options=options, ext_rcode=rcode >> 4)
    return m.encode(limit)
