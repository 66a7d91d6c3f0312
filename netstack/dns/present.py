"""Messages for people's eyes, as BIND's dig prints them: what the world's scripts and habits expect, columns and tabs included.

Columns (`_pad`): a word goes to its column by tabs of eight; a word that is already past it is followed by one blank, or by the tab
that is due there anyway.
"""

from attrs import frozen

from . import const as dc
from . import name
from .edns import Edns
from .message import Message, Question, Record
from .numbers import Class, Option, Rcode, type_text
from .numbers import class_text as class_name
from .numbers import rcode_text as rcode_name
from .presentrdata import PLAIN, Layout, duration, rdata_text
from .text import address_text

_OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE"}
_FLAGS = ((dc.QR, "qr"), (dc.AA, "aa"), (dc.TC, "tc"), (dc.RD, "rd"), (dc.RA, "ra"), (dc.AD, "ad"), (dc.CD, "cd"))
_MBZ = 0x0040  # the last reserved bit of the header (RFC 6895 2.1)
_CO = 0x4000  # compact answers are understood (RFC 9824 3)
_SECTIONS = ("QUESTION", "ANSWER", "AUTHORITY", "ADDITIONAL")
_UPDATE_SECTIONS = ("ZONE", "PREREQUISITE", "UPDATE", "ADDITIONAL")  # RFC 2136 2.2
_ERRORS = (  # the registry's words (RFC 8914 5.2), by code
    "Other", "Unsupported DNSKEY Algorithm", "Unsupported DS Digest Type", "Stale Answer", "Forged Answer", "DNSSEC Indeterminate",
    "DNSSEC Bogus", "Signature Expired", "Signature Not Yet Valid", "DNSKEY Missing", "RRSIGs Missing", "No Zone Key Bit Set",
    "NSEC Missing", "Cached Error", "Not Ready", "Blocked", "Censored", "Filtered", "Prohibited", "Stale NXDOMAIN Answer",
    "Not Authoritative", "Not Supported", "No Reachable Authority", "Network Error", "Invalid Data",
)  # fmt: skip
_LOCAL = b"\5local\0"


@frozen(kw_only=True)
class Style:
    """What of a message is shown, and how. `ttl_units`: 1h30m in place of 5400. `unknown`: everything as RFC 3597 has it."""

    comments: bool = True
    question: bool = True
    answer: bool = True
    authority: bool = True
    additional: bool = True
    ttl: bool = True
    rclass: bool = True
    ttl_units: bool = False
    unknown: bool = False
    layout: Layout = PLAIN

    @property
    def columns(self) -> tuple[int, int, int, int]:
        """Of TTL, class, type and data."""
        if self.layout.multiline or not (self.ttl or self.rclass):
            return 24, 24, 24, 32
        return (24, 32, 40, 48) if self.ttl and self.rclass else (24, 24, 32, 40)


DIG = Style()


def opcode_text(opcode: int) -> str:
    return _OPCODES.get(opcode) or f"RESERVED{opcode}"


def rcode_text(rcode: int) -> str:
    return rcode_name(rcode) if rcode in Rcode._value2member_map_ else f"?{rcode}" if rcode > 15 else f"RESERVED{rcode}"


def rclass_text(rclass: int, unknown: bool = False) -> str:
    return f"CLASS{rclass}" if unknown else class_name(rclass)


def counts(m: Message) -> tuple[int, int, int, int]:
    """How many records of each section were on the wire, the OPT record among the additional ones."""
    return len(m.question), len(m.answer), len(m.authority), len(m.additional) + (m.edns is not None)


def header(m: Message, *, sent: bool = False) -> str:
    """The two lines about the header, and the warnings that belong to them. `sent`: it is a query of our own."""
    lines = []
    if any(name.under(q.name.lower(), _LOCAL) for q in m.question):
        lines.append(";; WARNING: .local is reserved for Multicast DNS")
        lines.append(";; You are currently testing what happens when an mDNS query is leaked to DNS")
    lines.append(f";; ->>HEADER<<- opcode: {opcode_text(m.opcode)}, status: {rcode_text(m.rcode)}, id: {m.id}")
    words = "".join(f" {word}" for bit, word in _FLAGS if m.flags & bit) + ("; MBZ: 0x4" if m.flags & _MBZ else "")
    lines.append(";; flags:{}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}".format(words, *counts(m)))
    if not sent and m.rd and not m.ra:
        lines.append(";; WARNING: recursion requested but not available")
    return "\n".join(lines) + "\n"


def edns_text(edns: Edns, sent_cookie: bytes = b"", comments: bool = True) -> str:
    """The OPT pseudo-section. `sent_cookie` is the client's cookie of the query: with it a cookie is said to be good or bad."""
    flags = (" do" if edns.do else "") + (" co" if edns.flags & _CO else "")
    rest = edns.flags & ~(dc.DO | _CO)
    mbz = f"; MBZ: 0x{rest:04x}, udp" if rest else "; udp"
    lines = [";; OPT PSEUDOSECTION:"] if comments else []
    lines.append(f"; EDNS: version: {edns.version}, flags:{flags}{mbz}: {edns.payload}")
    lines += [option_text(code, data, sent_cookie) for code, data in edns.options]
    return "\n".join(lines) + "\n"


def option_text(code: int, data: bytes, sent_cookie: bytes = b"") -> str:
    """One line. What does not have the form of its code is shown in hexadecimal."""
    number = int.from_bytes(data, "big")
    if code == Option.COOKIE:
        said = ""
        if sent_cookie and data:
            said = " (bad)" if data[:8] != sent_cookie else " (good)" if len(data) >= 16 else " (echoed)"
        return "; COOKIE:" + (f" {data.hex()}{said}" if data else "")
    if code == Option.CLIENT_SUBNET:
        return "; CLIENT-SUBNET:" + (_subnet(data) or _hex(data).rstrip("\n"))
    if code == Option.EXPIRE and len(data) == 4:
        return f"; EXPIRE: {number} ({duration(number)})"
    if code == Option.KEEPALIVE and len(data) == 2:
        return f"; TCP KEEPALIVE: {number // 10}.{number % 10} secs"
    if code == Option.PADDING:
        return "; PAD:" + (f" ({len(data)} bytes)" if data else "")
    if code == Option.KEY_TAG and data and len(data) % 2 == 0:
        return "; KEY-TAG: " + ", ".join(str(data[i] << 8 | data[i + 1]) for i in range(0, len(data), 2))
    if code == Option.EXTENDED_ERROR:
        return _extended_error(data)
    if code == _LLQ and len(data) == 18:
        version, opcode, error = (int.from_bytes(data[i : i + 2], "big") for i in (0, 2, 4))
        id, lease = int.from_bytes(data[6:14], "big"), int.from_bytes(data[14:], "big")
        return f"; LLQ: Version: {version}, Opcode: {opcode}, Error: {error}, Identifier: {id}, Lifetime: {lease}"
    if code in (_CLIENT_TAG, _SERVER_TAG) and len(data) == 2:
        return f"; {_LABELS[code]}: {number}"
    label = f"; {_LABELS[code]}:" if code in _LABELS else f"; OPT={code}:"
    return label + (f'{_hex(data)}("{_printable(data)}")' if data else "")


_LLQ = 1  # RFC 8764
_CLIENT_TAG, _SERVER_TAG = 16, 17  # draft-bellis-dnsop-edns-tags
_LABELS = {
    _LLQ: "LLQ",
    3: "NSID",
    9: "EXPIRE",
    11: "TCP KEEPALIVE",
    14: "KEY-TAG",
    _CLIENT_TAG: "CLIENT-TAG",
    _SERVER_TAG: "SERVER-TAG",
}


def _hex(data: bytes) -> str:
    return " " + "".join(f"{octet:02x} " for octet in data)


def _printable(data: bytes) -> str:
    return "".join(chr(octet) if 0x20 <= octet <= 0x7E else "." for octet in data)


def _extended_error(data: bytes) -> str:
    """RFC 8914 2. Words that are UTF-8 are printed, others are shown in hexadecimal before their printable part."""
    if len(data) < 2:
        return "; EDE:" + (f' {data[0]:02x} ("{_printable(data)}")' if data else "")
    code, words = data[0] << 8 | data[1], data[2:]
    line = f"; EDE: {code}" + (f" ({_ERRORS[code]})" if code < len(_ERRORS) else "")
    if not words:
        return line
    try:
        said = words.decode("utf-8")
    except UnicodeDecodeError:
        return f"{line}:{_hex(words)}({_printable(words)})"
    return f"{line}: ({''.join('.' if ord(c) < 32 or ord(c) == 127 else c for c in said)})"


def _subnet(data: bytes) -> str:
    """RFC 7871 6: address/source prefix/scope prefix; empty where it isn't lawful."""
    if len(data) < 4:
        return ""
    family, source, scope, address = data[0] << 8 | data[1], data[2], data[3], data[4:]
    size = {0: 0, 1: 4, 2: 16}.get(family, -1)
    if size < 0 or source > 8 * size or scope > 8 * size or len(address) < (source + 7) // 8:
        return ""
    address = address[: (source + 7) // 8]
    shown = address_text(address + bytes(size - len(address))) if size else "0"
    return f" {shown}/{source}/{scope}"


def _pad(column: int, to: int) -> str:
    to = max(to, column + 1)
    tabs = to // 8 - column // 8
    if tabs <= 0:
        return " " * (to - column)
    return "\t" * tabs + " " * (to % 8)


def _line(words: list[tuple[int, str]]) -> str:
    """Words, each with the column it should begin in."""
    out: list[str] = []
    column = 0
    for at, word in words:
        if out:
            gap = _pad(column, at)
            out.append(gap)
            column = max(at, column + 1)
        out.append(word)
        column += len(word)
    return "".join(out)


def question_text(q: Question, style: Style = DIG) -> str:
    """One line, its semicolon included."""
    _, at_class, at_type, _ = style.columns
    kind = f"TYPE{q.type}" if style.unknown else type_text(q.type)
    words = [(0, name.text(q.name)), (at_class, rclass_text(q.rclass, style.unknown)), (at_type, kind)]
    return f";{_line(words)}\n"


def record_text(r: Record, style: Style = DIG) -> str:
    """One line, or several where the layout has several."""
    at_ttl, at_class, at_type, at_data = style.columns
    words = [(0, name.text(r.name))]
    if style.ttl:
        words.append((at_ttl, duration(r.ttl, short=True) if style.ttl_units else str(r.ttl)))
    if style.rclass:
        words.append((at_class, rclass_text(r.rclass, style.unknown)))
    words.append((at_type, f"TYPE{r.type}" if style.unknown else type_text(r.type)))
    empty = not r.rdata and r.rclass in (Class.ANY, Class.NONE)  # of an update: RFC 2136 2.4, 2.5
    words.append((at_data, "" if empty else rdata_text(r.type, r.rdata, style.layout, style.unknown)))
    return _line(words) + "\n"


def section_text(m: Message, section: int, style: Style = DIG, *, heading: bool = True) -> str:
    """Section 0 to 3, followed by an empty line; nothing where it has no records."""
    if section == 0:
        lines = [question_text(q, style) for q in m.question]
    else:
        records = (m.answer, m.authority, m.additional)[section - 1]
        lines = [record_text(r, style) for r in records if section != 3 or r.type != dc.TSIG]
    return _section((_UPDATE_SECTIONS if m.opcode == 5 else _SECTIONS)[section] + " SECTION", lines, style.comments and heading)


def _section(title: str, lines: list[str], heading: bool) -> str:
    if not lines:
        return ""
    return f";; {title}:\n{''.join(lines)}\n" if heading else "".join(lines)


def message_text(m: Message, style: Style = DIG, *, sent: bool = False, sent_cookie: bytes = b"", more: str = "") -> str:
    """A whole message. `more` are lines that follow the header's."""
    parts = []
    if style.comments:
        parts.append(";; Sending:\n" if sent else ";; Got answer:\n")
        parts.append(header(m, sent=sent) + more + "\n")
        if m.edns is not None:
            parts.append(edns_text(m.edns, sent_cookie))
    shown = (style.question, style.answer, style.authority, style.additional)
    parts += [section_text(m, i, style) for i in range(4) if shown[i]]
    if style.additional:
        signed = [record_text(r, style) for r in m.additional if r.type == dc.TSIG]
        parts.append(_section("TSIG PSEUDOSECTION", signed, style.comments))
    return "".join(parts)


def short_text(m: Message, style: Style = DIG, *, typed: bool = False, after: str = "") -> str:
    """The data of the answer alone, a line each; with its type in front, and `after` at the end of each line."""
    return "".join(
        (f"{type_text(r.type)} " if typed else "") + rdata_text(r.type, r.rdata, style.layout, style.unknown) + after + "\n"
        for r in m.answer
    )


def hex_dump(data: bytes) -> str:
    """A packet that can't be read: its length, and sixteen octets a line."""
    lines = [f"{len(data)} bytes"]
    for i in range(0, len(data), 16):
        row = data[i : i + 16]
        lines.append(f"{_hex(row)[1:]:<48}         {_printable(row)}".rstrip())
    return "\n".join(lines) + "\n"
