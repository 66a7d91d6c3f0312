"""Names that are nobody's to ask for: answered here, so that no server learns of them."""

from .. import const as dc
from .. import name as names
from ..message import Question, Record
from ..numbers import Rcode, Type
from .job import Outcome

LOCALHOST = names.parse("localhost.")
LOOPBACK = names.parse("127.in-addr.arpa.")
LOOPBACK6 = names.parse("1" + ".0" * 31 + ".ip6.arpa.")
NOBODYS = tuple(
    names.parse(text)
    for text in (
        "invalid.",  # RFC 6761 6.4
        "onion.",  # RFC 7686 2: a leak would tell who visits what
        "local.",  # RFC 6762 3: asked by multicast. Where a domain of that name has servers of its own, these are asked
    )
)
TTL = 604800  # of what can't change


def special(question: Question) -> Outcome | None:
    """What is known of it for ever, if anything is."""
    if question.rclass != dc.IN:
        return None
    key = question.name.lower()
    if names.under(key, LOCALHOST):  # RFC 6761 6.3
        data = {Type.A: bytes([127, 0, 0, 1]), Type.AAAA: bytes(15) + b"\1"}.get(question.type)  # type: ignore[call-overload]
        return Outcome(question=question, answer=(_record(question, data),) if data else ())
    if question.type == Type.PTR and (names.under(key, LOOPBACK) or key == LOOPBACK6):
        return Outcome(question=question, answer=(_record(question, LOCALHOST),))
    if any(names.under(key, nobodys) for nobodys in NOBODYS):
        return Outcome(question=question, rcode=int(Rcode.NXDOMAIN))
    return None


def _record(question: Question, data: bytes) -> Record:
    return Record(question.name, question.type, question.rclass, TTL, data)
