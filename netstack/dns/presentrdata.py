"""The data of records as BIND's dig prints it: long keys and digests in chunks, and, over several lines, with what their numbers
mean. What zone files need is said in rdata.py; here is what people look at."""

from attrs import frozen

from ..errors import WireError
from . import fields, name, svcb
from .numbers import Type, rcode_text, type_text
from .rarefields import ALGORITHMS
from .rdata import DNSKEY, FORMS, NSEC3, RRSIG, SOA, SVCB, Rdata, unpack
from .reader import Reader
from .text import base32hex_text, base64_text

_BREAK = "\n\t\t\t\t"  # under the column of the data
_SOA_WORDS = ("serial", "refresh", "retry", "expire", "minimum")
_UNITS = ((604800, "week"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_KEYS = (Type.DNSKEY, Type.CDNSKEY, Type.KEY)
_OMITTED = (Type.DS, Type.CDS, Type.ZONEMD, Type.OPENPGPKEY, Type.RRSIG, Type.SIG)
_REVOKED = 0x80  # RFC 5011 7
_SEP = 1  # RFC 4034 2.1.1: a key-signing key


@frozen(kw_only=True)
class Layout:
    """`chunk`: characters of hexadecimal and base64 at a time, 0 for no limit, None for dig's 56, or 44 over several lines.
    `remarks`: what a key is, and durations; over several lines they are there unless False."""

    multiline: bool = False
    chunk: int | None = None
    crypto: bool = True
    remarks: bool | None = None
    expand_aaaa: bool = False

    def pieces(self, whole: str) -> str:
        size = self.chunk
        if size is None:
            size = 44 if self.multiline else 56
        if not size:
            return whole
        return (_BREAK if self.multiline else " ").join(whole[i : i + size] for i in range(0, len(whole), size))


PLAIN = Layout()


def duration(seconds: int, *, short: bool = False) -> str:
    """`1 hour 30 minutes`, or `1h30m`."""
    parts: list[str] = []
    for size, word in _UNITS:
        n, seconds = divmod(seconds, size)
        if n or (size == 1 and not parts):
            parts.append(f"{n}{word[0]}" if short else f"{n} {word}{'' if n == 1 else 's'}")
    return ("" if short else " ").join(parts)


def key_tag(rdata: bytes) -> int:
    """Of a DNSKEY's data (RFC 4034 B)."""
    if len(rdata) > 6 and rdata[3] == 1:  # RSAMD5, B.1
        return rdata[-3] << 8 | rdata[-2]
    total = sum(octet << 8 if i & 1 == 0 else octet for i, octet in enumerate(rdata))
    return total + (total >> 16 & 0xFFFF) & 0xFFFF


def rdata_text(type: int, rdata: bytes, layout: Layout = PLAIN, unknown: bool = False) -> str:
    """What is unknown, or is not what its type says, is written as RFC 3597 5 has it."""
    if type == Type.TSIG and not unknown and (said := _signature(rdata, layout)):
        return said
    form = None if unknown else FORMS.get(type)
    if form is not None:
        try:
            values = unpack(type, rdata)
        except WireError:
            form = None
    if form is None:
        return _opaque(rdata, layout)
    words = [word for kind, v in zip(form[1], values, strict=True) if (word := _word(type, kind, v, rdata, layout))]
    if layout.multiline and (len(words) == len(form[1]) or isinstance(values, NSEC3)):  # nothing to break where a part is empty
        return _over_lines(type, values, words, rdata, layout)
    text = " ".join(words)
    return text + _key_remark(type, values, rdata, " ") if type in _KEYS and layout.remarks else text


def _signature(rdata: bytes, layout: Layout) -> str:
    """RFC 8945 4.2; nothing where it is not lawful."""
    r = Reader(rdata)
    try:
        algorithm, when, fudge, mac = r.plain_name(), int.from_bytes(r.take(6), "big"), r.u16(), r.take(r.u16())
        id, error, other = r.u16(), r.u16(), r.take(r.u16())
        r.finish()
    except WireError:
        return ""
    code = "BADSIG" if error == 16 else rcode_text(error)  # 16 is BADVERS elsewhere (RFC 6895 2.3)
    said = [name.text(algorithm), str(when), str(fudge), str(len(mac)), layout.pieces(base64_text(mac)), str(id), code]
    return " ".join(word for word in said if word) + f" {len(other)} {base64_text(other)}"


def _opaque(rdata: bytes, layout: Layout) -> str:
    if not rdata:
        return "\\# 0"
    said = layout.pieces(rdata.hex().upper())
    return f"\\# {len(rdata)} ( {said} )" if layout.multiline else f"\\# {len(rdata)} {said}"


def _word(type: int, kind: fields.Field, value: object, rdata: bytes, layout: Layout) -> str:
    if isinstance(kind, fields.Hex | fields.Base64):
        assert isinstance(value, bytes)
        if not layout.crypto and type in _KEYS:
            return f"[key id = {key_tag(rdata)}]"
        if not layout.crypto and type in _OMITTED:
            return "[omitted]"
        return layout.pieces(value.hex().upper() if isinstance(kind, fields.Hex) else base64_text(value))
    if type in (Type.NID, Type.L64) and isinstance(value, bytes):
        return ":".join(f"{value[i] << 8 | value[i + 1]:x}" for i in range(0, 8, 2))
    if isinstance(kind, fields.Hashed):
        assert isinstance(value, bytes)
        return base32hex_text(value).upper()
    if isinstance(kind, svcb.Params):
        assert isinstance(value, tuple)
        return " ".join(_parameter(key, data) for key, data in value)
    if isinstance(kind, fields.Address) and layout.expand_aaaa and len(rdata) == 16:
        whole = rdata.hex()
        return ":".join(whole[i : i + 4] for i in range(0, 32, 4))
    return kind.text(value)


def _parameter(key: int, data: bytes) -> str:
    """Quotes only where a value may need them."""
    said = svcb.value_text(key, data)
    if not said:
        return svcb.key_text(key)
    plain = key in (svcb.MANDATORY, svcb.PORT, svcb.IPV4HINT, svcb.IPV6HINT, svcb.ECH)
    return f"{svcb.key_text(key)}={said}" if plain else f'{svcb.key_text(key)}="{said}"'


def _key_remark(type: int, values: Rdata, rdata: bytes, before: str) -> str:
    assert isinstance(values, DNSKEY)
    role = ("revoked KSK" if values.flags & _REVOKED else "KSK") if values.flags & _SEP else "ZSK"
    algorithm = ALGORITHMS.get(values.algorithm, str(values.algorithm))
    role = "" if type == Type.KEY else f" ; {role}"
    return f"{before}{role}; alg = {algorithm} ; key id = {key_tag(rdata)}"


def _over_lines(type: int, values: Rdata, words: list[str], rdata: bytes, layout: Layout) -> str:
    remarks = layout.remarks is not False
    if isinstance(values, SOA):
        numbers = []
        for what, n in zip(_SOA_WORDS, values[2:], strict=True):
            said = what if what == "serial" else f"{what} ({duration(n)})"
            numbers.append(f"{n:<10} ; {said}{_BREAK}" if remarks else f"{n}{_BREAK if what != 'minimum' else ''}")
        return f"{words[0]} {words[1]} ({_BREAK}{''.join(numbers)})"
    if isinstance(values, RRSIG):
        return f"{' '.join(words[:4])} ({_BREAK}{' '.join(words[4:8])}{_BREAK}{words[8]} )"
    if isinstance(values, NSEC3):
        windows: dict[int, list[str]] = {}
        for t in values.types:
            windows.setdefault(t >> 8, []).append(type_text(t))
        return " ".join(words[:4]) + f" ({_BREAK}{words[4]}" + "".join(_BREAK + " ".join(w) for w in windows.values()) + " )"
    if type in _KEYS and remarks:
        return f"{' '.join(words[:-1])} ({_BREAK}{words[-1]}{_key_remark(type, values, rdata, _BREAK + ')')}"
    if type == Type.DHCID and len(rdata) > 2:
        return f"( {words[0]} ) ; {rdata[0] << 8 | rdata[1]} {rdata[2]} {len(rdata) - 3}"  # RFC 4701 3.3, 3.4
    if type in (Type.OPENPGPKEY, Type.DHCID):
        return f"( {words[0]} )"
    if not isinstance(values, SVCB) and isinstance(FORMS[type][1][-1], fields.Hex | fields.Base64):
        return f"{' '.join(words[:-1])} ({_BREAK}{words[-1]} )"
    return " ".join(words)
