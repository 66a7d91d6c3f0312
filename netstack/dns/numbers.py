"""The registries of the DNS that we know by name, and how numbers are written and read."""

import enum
import re

from ..errors import UsageError


class Type(enum.IntEnum):
    """Record types; any other number is as good, and written TYPE65280 (RFC 3597 5)."""

    A = 1
    NS = 2
    MD = 3
    MF = 4
    CNAME = 5
    SOA = 6
    MB = 7
    MG = 8
    MR = 9
    NULL = 10
    WKS = 11
    PTR = 12
    HINFO = 13
    MINFO = 14
    MX = 15
    TXT = 16
    RP = 17
    AFSDB = 18
    RT = 21
    SIG = 24
    KEY = 25
    PX = 26
    AAAA = 28
    LOC = 29
    NXT = 30
    SRV = 33
    NAPTR = 35
    KX = 36
    CERT = 37
    DNAME = 39
    OPT = 41
    DS = 43
    SSHFP = 44
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    DHCID = 49
    NSEC3 = 50
    NSEC3PARAM = 51
    TLSA = 52
    SMIMEA = 53
    CDS = 59
    CDNSKEY = 60
    OPENPGPKEY = 61
    CSYNC = 62
    ZONEMD = 63
    SVCB = 64
    HTTPS = 65
    SPF = 99
    NID = 104
    L32 = 105
    L64 = 106
    LP = 107
    EUI48 = 108
    EUI64 = 109
    TKEY = 249
    TSIG = 250
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255
    URI = 256
    CAA = 257


class Class(enum.IntEnum):
    IN = 1
    CH = 3
    HS = 4
    NONE = 254
    ANY = 255


class Opcode(enum.IntEnum):
    QUERY = 0
    IQUERY = 1
    STATUS = 2
    NOTIFY = 4
    UPDATE = 5
    DSO = 6


class Rcode(enum.IntEnum):
    """RFC 6895 2.3; those from 16 on need the eight bits of the OPT record."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    YXRRSET = 7
    NXRRSET = 8
    NOTAUTH = 9
    NOTZONE = 10
    BADVERS = 16
    BADKEY = 17
    BADTIME = 18
    BADMODE = 19
    BADNAME = 20
    BADALG = 21
    BADTRUNC = 22
    BADCOOKIE = 23


class Option(enum.IntEnum):
    """Options of EDNS."""

    NSID = 3
    DAU = 5
    DHU = 6
    N3U = 7
    CLIENT_SUBNET = 8
    EXPIRE = 9
    COOKIE = 10
    KEEPALIVE = 11
    PADDING = 12
    CHAIN = 13
    KEY_TAG = 14
    EXTENDED_ERROR = 15


class Ede(enum.IntEnum):
    """Extended errors (RFC 8914 4 and its registry)."""

    OTHER = 0
    UNSUPPORTED_DNSKEY_ALGORITHM = 1
    UNSUPPORTED_DS_DIGEST = 2
    STALE_ANSWER = 3
    FORGED_ANSWER = 4
    DNSSEC_INDETERMINATE = 5
    DNSSEC_BOGUS = 6
    SIGNATURE_EXPIRED = 7
    SIGNATURE_NOT_YET_VALID = 8
    DNSKEY_MISSING = 9
    RRSIGS_MISSING = 10
    NO_ZONE_KEY_BIT_SET = 11
    NSEC_MISSING = 12
    CACHED_ERROR = 13
    NOT_READY = 14
    BLOCKED = 15
    CENSORED = 16
    FILTERED = 17
    PROHIBITED = 18
    STALE_NXDOMAIN_ANSWER = 19
    NOT_AUTHORITATIVE = 20
    NOT_SUPPORTED = 21
    NO_REACHABLE_AUTHORITY = 22
    NETWORK_ERROR = 23
    INVALID_DATA = 24


_TYPE_NAMES = {int(t): t.name for t in Type}
# in the bitmaps of other people's NSEC records there may be any of these, of which we know the name alone
_NAMES_ALONE = {
    "X25": 19, "ISDN": 20, "NSAP": 22, "NSAP-PTR": 23, "GPOS": 27, "A6": 38, "APL": 42, "IPSECKEY": 45, "HIP": 55, "NINFO": 56,
    "DSYNC": 66, "HHIT": 67, "BRID": 68, "UNSPEC": 103, "NXNAME": 128, "AVC": 258, "AMTRELAY": 260, "RESINFO": 261, "WALLET": 262,
    "TA": 32768, "DLV": 32769,
}  # fmt: skip
_TYPE_NUMBERS = _NAMES_ALONE | {t.name: int(t) for t in Type}
_CLASS_NAMES = {int(c): c.name for c in Class}
_CLASS_NUMBERS = {c.name: int(c) for c in Class}
_RCODE_NAMES = {int(r): r.name for r in Rcode}
_NUMBERED = re.compile(r"(TYPE|CLASS)(\d{1,5})", re.ASCII)


def type_text(number: int) -> str:
    """`MX`, or `TYPE65280` where we have no name for it."""
    return _TYPE_NAMES.get(number) or f"TYPE{number}"


def class_text(number: int) -> str:
    """`IN`, or `CLASS32`."""
    return _CLASS_NAMES.get(number) or f"CLASS{number}"


def rcode_text(number: int) -> str:
    """`NXDOMAIN`, or `RCODE11`."""
    return _RCODE_NAMES.get(number) or f"RCODE{number}"


def _number(text: str, names: dict[str, int], word: str, example: str) -> int:
    name = text.upper()
    if name in names:
        return names[name]
    match = _NUMBERED.fullmatch(name)
    if match is None or match[1] != word or int(match[2]) > 0xFFFF:
        raise UsageError(f"{text!r} is not a {example}65280")
    return int(match[2])


def type_number(text: str) -> int:
    """The number of `MX`, `mx` or `TYPE15`. Raises UsageError."""
    return _number(text, _TYPE_NUMBERS, "TYPE", "record type: write a name like AAAA, or TYPE")


def class_number(text: str) -> int:
    """The number of `IN` or `CLASS1`. Raises UsageError."""
    return _number(text, _CLASS_NUMBERS, "CLASS", "class: write a name like IN, or CLASS")
