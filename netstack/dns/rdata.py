"""What the data of records means, type by type: from its wire form, which is how records carry it, and back, and as zone files
write it. A type that is not here is Opaque, and any type can be written as one: `\\# 4 c0000201` (RFC 3597 5).
"""

from typing import Any, NamedTuple

from ..errors import UsageError, WireError
from . import fields, rarefields, svcb, text
from .fields import Field
from .numbers import Type, type_text
from .reader import Reader
from .text import Words

ROOT = b"\0"


class A(NamedTuple):
    address: str


class AAAA(NamedTuple):
    address: str


class NS(NamedTuple):
    target: bytes


class CNAME(NamedTuple):
    target: bytes


class DNAME(NamedTuple):
    """RFC 6672."""

    target: bytes


class PTR(NamedTuple):
    target: bytes


class SOA(NamedTuple):
    """RFC 1035 3.3.13. Durations in seconds; `minimum` is how long a negative answer lives, at most (RFC 2308 4)."""

    mname: bytes
    rname: bytes
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


class MX(NamedTuple):
    preference: int
    exchange: bytes


class TXT(NamedTuple):
    strings: tuple[bytes, ...]


class HINFO(NamedTuple):
    cpu: bytes
    os: bytes


class RP(NamedTuple):
    """RFC 1183 2.2."""

    mbox: bytes
    txt: bytes


class AFSDB(NamedTuple):
    """RFC 1183 1."""

    subtype: int
    hostname: bytes


class SRV(NamedTuple):
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: bytes


class NAPTR(NamedTuple):
    """RFC 3403 4.1."""

    order: int
    preference: int
    flags: bytes
    services: bytes
    regexp: bytes
    replacement: bytes


class CAA(NamedTuple):
    """RFC 8659 4.1."""

    flags: int
    tag: bytes
    value: bytes


class DS(NamedTuple):
    """RFC 4034 5.1."""

    key_tag: int
    algorithm: int
    digest_type: int
    digest: bytes


class DNSKEY(NamedTuple):
    """RFC 4034 2.1."""

    flags: int
    protocol: int
    algorithm: int
    key: bytes


class RRSIG(NamedTuple):
    """RFC 4034 3.1. Instants are seconds since 1970 modulo 2**32, to be compared as serial numbers."""

    type_covered: int
    algorithm: int
    labels: int
    original_ttl: int
    expiration: int
    inception: int
    key_tag: int
    signer: bytes
    signature: bytes


class NSEC(NamedTuple):
    """RFC 4034 4.1. `types` are numbers."""

    next: bytes
    types: tuple[int, ...]


class NSEC3(NamedTuple):
    """RFC 5155 3.1. `next` is a hash, not a name."""

    algorithm: int
    flags: int
    iterations: int
    salt: bytes
    next: bytes
    types: tuple[int, ...]


class NSEC3PARAM(NamedTuple):
    """RFC 5155 4.1."""

    algorithm: int
    flags: int
    iterations: int
    salt: bytes


class TLSA(NamedTuple):
    """RFC 6698 2.1."""

    usage: int
    selector: int
    matching: int
    data: bytes


class SSHFP(NamedTuple):
    """RFC 4255 3.1."""

    algorithm: int
    fingerprint_type: int
    fingerprint: bytes


class OPENPGPKEY(NamedTuple):
    key: bytes


class CSYNC(NamedTuple):
    """RFC 7477 2.1."""

    serial: int
    flags: int
    types: tuple[int, ...]


class ZONEMD(NamedTuple):
    """RFC 8976 2.2."""

    serial: int
    scheme: int
    algorithm: int
    digest: bytes


class URI(NamedTuple):
    """RFC 7553 4."""

    priority: int
    weight: int
    target: bytes


class SVCB(NamedTuple):
    """RFC 9460 2.2; HTTPS records too. `params` are (key, value in wire form): see svcb.py."""

    priority: int
    target: bytes
    params: tuple[svcb.Param, ...]


class Host(NamedTuple):
    """A name and nothing else, in types that are seldom met (MB, MD, MF, MG, MR)."""

    target: bytes


class Preferred(NamedTuple):
    """RT (RFC 1183 3.3), KX (RFC 2230), LP (RFC 6742 2.4)."""

    preference: int
    target: bytes


class MINFO(NamedTuple):
    rmailbx: bytes
    emailbx: bytes


class LOC(NamedTuple):
    """RFC 1876: see `rarefields.Position`."""

    position: tuple[int, ...]


class CERT(NamedTuple):
    """RFC 4398 2."""

    type: int
    key_tag: int
    algorithm: int
    certificate: bytes


class DHCID(NamedTuple):
    """RFC 4701 3."""

    data: bytes


class EUI(NamedTuple):
    """RFC 7043."""

    address: bytes


class L32(NamedTuple):
    """RFC 6742 2.2."""

    preference: int
    locator: str


class L64(NamedTuple):
    """RFC 6742 2.3; NID records (2.1) too."""

    preference: int
    locator: bytes


class Opaque(NamedTuple):
    """Data whose meaning we don't know."""

    data: bytes


Rdata = tuple[Any, ...]  # one of the classes above

_U8, _U16, _U32, _NAME = fields.U8, fields.U16, fields.U32, fields.NAME
_DS = (_U16, _U8, _U8, fields.HEX)
_DNSKEY = (_U16, _U8, _U8, fields.BASE64)
_RRSIG = (fields.TYPE, _U8, _U8, fields.SECONDS, fields.INSTANT, fields.INSTANT, _U16, _NAME, fields.BASE64)

FORMS: dict[int, tuple[type[Any], tuple[Field, ...]]] = {
    Type.A: (A, (fields.IP4,)),
    Type.AAAA: (AAAA, (fields.IP6,)),
    Type.NS: (NS, (_NAME,)),
    Type.CNAME: (CNAME, (_NAME,)),
    Type.DNAME: (DNAME, (_NAME,)),
    Type.PTR: (PTR, (_NAME,)),
    Type.SOA: (SOA, (_NAME, _NAME, _U32, fields.SECONDS, fields.SECONDS, fields.SECONDS, fields.SECONDS)),
    Type.MX: (MX, (_U16, _NAME)),
    Type.TXT: (TXT, (fields.STRINGS,)),
    Type.SPF: (TXT, (fields.STRINGS,)),
    Type.HINFO: (HINFO, (fields.STRING, fields.STRING)),
    Type.RP: (RP, (_NAME, _NAME)),
    Type.AFSDB: (AFSDB, (_U16, _NAME)),
    Type.SRV: (SRV, (_U16, _U16, _U16, _NAME)),
    Type.NAPTR: (NAPTR, (_U16, _U16, fields.STRING, fields.STRING, fields.STRING, _NAME)),
    Type.CAA: (CAA, (_U8, fields.TAG, fields.QUOTED)),
    Type.DS: (DS, _DS),
    Type.CDS: (DS, _DS),
    Type.DNSKEY: (DNSKEY, _DNSKEY),
    Type.CDNSKEY: (DNSKEY, _DNSKEY),
    Type.RRSIG: (RRSIG, _RRSIG),
    Type.NSEC: (NSEC, (_NAME, fields.BITMAP)),
    Type.NSEC3: (NSEC3, (_U8, _U8, _U16, fields.SALT, fields.HASHED, fields.BITMAP)),
    Type.NSEC3PARAM: (NSEC3PARAM, (_U8, _U8, _U16, fields.SALT)),
    Type.TLSA: (TLSA, (_U8, _U8, _U8, fields.HEX)),
    Type.SMIMEA: (TLSA, (_U8, _U8, _U8, fields.HEX)),
    Type.SSHFP: (SSHFP, (_U8, _U8, fields.HEX)),
    Type.OPENPGPKEY: (OPENPGPKEY, (fields.BASE64,)),
    Type.CSYNC: (CSYNC, (_U32, _U16, fields.BITMAP)),
    Type.ZONEMD: (ZONEMD, (_U32, _U8, _U8, fields.HEX)),
    Type.URI: (URI, (_U16, _U16, fields.QUOTED)),
    Type.SVCB: (SVCB, (_U16, _NAME, svcb.PARAMS)),
    Type.HTTPS: (SVCB, (_U16, _NAME, svcb.PARAMS)),
    **dict.fromkeys((Type.MB, Type.MD, Type.MF, Type.MG, Type.MR), (Host, (_NAME,))),
    **dict.fromkeys((Type.RT, Type.KX, Type.LP), (Preferred, (_U16, _NAME))),
    Type.MINFO: (MINFO, (_NAME, _NAME)),
    Type.KEY: (DNSKEY, _DNSKEY),
    Type.SIG: (RRSIG, _RRSIG),
    Type.LOC: (LOC, (rarefields.POSITION,)),
    Type.CERT: (CERT, (rarefields.CERTIFICATE, _U16, rarefields.ALGORITHM, fields.BASE64)),
    Type.DHCID: (DHCID, (fields.BASE64,)),
    Type.EUI48: (EUI, (rarefields.EUI48,)),
    Type.EUI64: (EUI, (rarefields.EUI64,)),
    Type.NID: (L64, (_U16, rarefields.LOCATOR)),
    Type.L64: (L64, (_U16, rarefields.LOCATOR)),
    Type.L32: (L32, (_U16, fields.IP4)),
}


def unpack(type: int, rdata: bytes) -> Rdata:
    """The values in `rdata`, an instance of the type's class. Raises WireError."""
    form = FORMS.get(type)
    if form is None:
        return Opaque(rdata)
    make, kinds = form
    r = Reader(rdata)
    try:
        values = [kind.read(r) for kind in kinds]
        r.finish()
    except WireError as error:
        raise WireError(f"{type_text(type)} data: {error}") from None
    found: Rdata = make(*values)
    return found


def pack(type: int, value: Rdata) -> bytes:
    """The wire form of a value as `unpack` gives it. Raises UsageError."""
    form = FORMS.get(type)
    if form is None or isinstance(value, Opaque):
        if not isinstance(value, Opaque):
            raise UsageError(f"values of {type_text(type)} are unknown here: give Opaque(octets)")
        data = value.data
    else:
        make, kinds = form
        if not isinstance(value, make):
            raise UsageError(f"{value!r} is not {type_text(type)} data: give {make.__name__}(…)")
        data = b"".join(kind.write(v) for kind, v in zip(kinds, value, strict=True))
    if len(data) > 0xFFFF:
        raise UsageError(f"{type_text(type)} data of {len(data)} octets: at most 65535 are possible")
    return data


def to_text(type: int, rdata: bytes) -> str:
    """As in a zone file, names absolute. What is unknown, or is not what its type says, is written as `\\# 2 c00c`."""
    form = FORMS.get(type)
    if form is not None:
        try:
            values = unpack(type, rdata)
        except WireError:
            pass
        else:
            return " ".join(word for kind, v in zip(form[1], values, strict=True) if (word := kind.text(v)))
    return f"\\# {len(rdata)} {rdata.hex()}".rstrip()


def from_text(type: int, said: str, origin: bytes = ROOT) -> bytes:
    """The wire form of what a zone file says; names without a final dot are relative to `origin`. Raises UsageError."""
    return from_words(type, Words(said), origin)


def from_words(type: int, words: Words, origin: bytes = ROOT) -> bytes:
    """The same, of what is cut into words already."""
    if words.words[:1] == ["\\#"]:
        return _unknown(type, words)
    form = FORMS.get(type)
    if form is None:
        raise UsageError(f"how {type_text(type)} data is written is unknown here: write it like \\# 4 c0000201")
    make, kinds = form
    names = make._fields
    values = [kind.parse(words, f"{type_text(type)} {what}", origin) for kind, what in zip(kinds, names, strict=True)]
    words.finish()
    return pack(type, make(*values))


def _unknown(type: int, words: Words) -> bytes:
    words.next("\\#")
    n = words.number(16, "number of octets")
    data = text.hexadecimal(words.rest(), "record's data")
    if len(data) != n:
        raise UsageError(f"{words.text!r} says {n} octets and has {len(data)}")
    try:
        unpack(type, data)
    except WireError as error:
        raise UsageError(f"{words.text!r} is not lawful: {error}") from None
    return data
