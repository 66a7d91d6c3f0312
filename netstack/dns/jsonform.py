"""Messages as JSON in the shapes of RFC 8427: `ID`, `QR`, …, `answerRRs` with `NAME`, `TYPEname`, `TTL`, `RDATAHEX`, and the data
in its zone-file form as `rdataMX` and so on. Names are in their text form. EDNS, of which RFC 8427 knows nothing, is `EDNS`.
"""

from typing import Any

from ..errors import WireError
from . import name
from .edns import Edns
from .message import Message, Record
from .numbers import Option, class_text, type_text
from .present import counts, opcode_text, rcode_text
from .rdata import to_text

_FLAGS = (("QR", 0x8000), ("AA", 0x0400), ("TC", 0x0200), ("RD", 0x0100), ("RA", 0x0080), ("AD", 0x0020), ("CD", 0x0010))


def record(r: Record) -> dict[str, Any]:
    """RFC 8427 2.2."""
    kind = type_text(r.type)
    return {
        "NAME": name.text(r.name),
        "TYPE": r.type,
        "TYPEname": kind,
        "CLASS": r.rclass,
        "CLASSname": class_text(r.rclass),
        "TTL": r.ttl,
        f"rdata{kind}": to_text(r.type, r.rdata),
        "RDLENGTH": len(r.rdata),
        "RDATAHEX": r.rdata.hex(),
    }


def edns(e: Edns) -> dict[str, Any]:
    """What is known of its options has a name, all of them are in `options` in hexadecimal."""
    found: dict[str, Any] = {"version": e.version, "DO": int(e.do), "flags": e.flags, "udp": e.payload}
    found["options"] = [{"code": code, "hex": data.hex()} for code, data in e.options]
    try:
        if e.errors:
            found["EDE"] = [{"code": error.code, "text": error.text} for error in e.errors]
        if e.cookie is not None:
            found["COOKIE"] = {"client": e.cookie[0].hex(), "server": e.cookie[1].hex()}
    except WireError as error:
        found["malformed"] = str(error)
    if e.option(Option.NSID) is not None:
        found["NSID"] = e.nsid.hex() if e.nsid else ""
    return found


def message(m: Message, size: int | None = None) -> dict[str, Any]:
    """RFC 8427 2.1; `size` in octets of the wire, as `msgLength`."""
    found: dict[str, Any] = {"ID": m.id, "Opcode": m.opcode, "Opcodename": opcode_text(m.opcode)}
    found.update({word: int(bool(m.flags & bit)) for word, bit in _FLAGS})
    found["RCODE"] = m.rcode
    found["RCODEname"] = rcode_text(m.rcode)
    found.update(zip(("QDCOUNT", "ANCOUNT", "NSCOUNT", "ARCOUNT"), counts(m), strict=True))
    if len(m.question) == 1:
        q = m.question[0]
        found["QNAME"] = name.text(q.name)
        found["QTYPE"] = q.type
        found["QTYPEname"] = type_text(q.type)
        found["QCLASS"] = q.rclass
        found["QCLASSname"] = class_text(q.rclass)
    elif m.question:
        found["questionRRs"] = [{"NAME": name.text(q.name), "TYPE": q.type, "CLASS": q.rclass} for q in m.question]
    for key, records in (("answerRRs", m.answer), ("authorityRRs", m.authority), ("additionalRRs", m.additional)):
        if records:
            found[key] = [record(r) for r in records]
    if m.edns is not None:
        found["EDNS"] = edns(m.edns)
    if size is not None:
        found["msgLength"] = size
    return found
