"""The words of a record's data in a zone file (RFC 1035 5.1): cut at blanks, with quotes, escapes, comments and parentheses; and
how octets, addresses, durations and instants are written there.

Bad text is its writer's mistake: UsageError, with a sentence.
"""

import base64
import binascii
import datetime
import ipaddress
import re

from ..errors import UsageError
from .name import unescape

_TTL_PART = re.compile(r"(\d+)([smhdwSMHDW])", re.ASCII)
_TTL_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_HEX32 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHIJKLMNOPQRSTUV")
_UNHEX32 = bytes.maketrans(b"0123456789ABCDEFGHIJKLMNOPQRSTUV", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")

_DIGITS32 = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUV")


class Words:
    """The words that are left. A word keeps its quotes and escapes, since only its reader knows what they mean."""

    __slots__ = ("at", "text", "words")

    def __init__(self, text: str, words: list[str] | None = None) -> None:
        self.text = text
        self.words = split(text) if words is None else words
        self.at = 0

    def left(self) -> bool:
        return self.at < len(self.words)

    def next(self, what: str) -> str:
        """Raises UsageError where `what` is missing."""
        if self.at == len(self.words):
            raise UsageError(f"{self.text!r} ends before its {what}")
        self.at += 1
        return self.words[self.at - 1]

    def rest(self) -> list[str]:
        words = self.words[self.at :]
        self.at = len(self.words)
        return words

    def number(self, bits: int, what: str) -> int:
        word = self.next(what)
        if not (word.isascii() and word.isdigit() and len(word) <= 10 and int(word) < 1 << bits):
            raise UsageError(f"{word!r} in {self.text!r} is not a {what}: a number below {1 << bits} is")
        return int(word)

    def finish(self) -> None:
        if self.left():
            raise UsageError(f"{self.words[self.at]!r} is too much in {self.text!r}")


def split(text: str) -> list[str]:
    """The words of `text`. Parentheses join lines and are dropped, a comment ends with its line."""
    words: list[str] = []
    word = ""
    quoted = False
    i = 0
    while i < len(text):
        c = text[i]
        i += 1
        if c == "\\":
            word += c + text[i : i + 1]
            i += 1
        elif c == '"':
            word += c
            if quoted:
                words.append(word)
                word = ""
            quoted = not quoted
        elif quoted:
            word += c
        elif c in " \t\r\n();":
            if word:
                words.append(word)
                word = ""
            if c == ";":
                i = (text.find("\n", i) + 1) or len(text)
        else:
            word += c
    if quoted:
        raise UsageError(f"{text!r} has a quote without its other half")
    if word:
        words.append(word)
    return words


def octets(word: str) -> bytes:
    """What a word means where a character-string stands: without its quotes and escapes; `key="a b"` is `key=a b`."""
    if not word.isascii():
        raise UsageError(f"{word!r} is not ASCII: write other octets like \\195\\188")
    out = bytearray()
    i = 0
    while i < len(word):
        c = word[i]
        i += 1
        if c == "\\":
            octet, i = unescape(word, i)
            out.append(octet)
        elif c != '"':
            out.append(ord(c))
    return bytes(out)


def quote(data: bytes) -> str:
    """A character-string as text, in quotes."""
    return '"' + escape(data) + '"'


def escape(data: bytes) -> str:
    return "".join("\\" + chr(c) if c in b'"\\' else chr(c) if 0x20 <= c <= 0x7E else f"\\{c:03d}" for c in data)


def hexadecimal(words: list[str], what: str) -> bytes:
    try:
        return bytes.fromhex("".join(words))
    except ValueError:
        raise UsageError(f"{' '.join(words)!r} is not a {what}: pairs of hexadecimal digits are") from None


def base64_octets(words: list[str], what: str) -> bytes:
    try:
        return base64.b64decode("".join(words).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise UsageError(f"{' '.join(words)!r} is not a {what} in base64") from None


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def base32hex_octets(word: str, what: str) -> bytes:
    """RFC 4648 7 without padding, as NSEC3 has it (RFC 5155 3.3)."""
    digits = word.upper()
    try:
        if not set(digits) <= _DIGITS32:
            raise ValueError
        return base64.b32decode(digits.encode("ascii").translate(_UNHEX32) + b"=" * (-len(digits) % 8))
    except ValueError:
        raise UsageError(f"{word!r} is not a {what} in base32hex") from None


def base32hex_text(data: bytes) -> str:
    return base64.b32encode(data).rstrip(b"=").translate(_HEX32).decode("ascii").lower()


def ip4_octets(word: str) -> bytes:
    try:
        return ipaddress.IPv4Address(word).packed
    except ValueError:
        raise UsageError(f"{word!r} is not an IPv4 address: write it like 192.0.2.1") from None


def ip6_octets(word: str) -> bytes:
    try:
        if "%" in word:
            raise ValueError
        return ipaddress.IPv6Address(word).packed
    except ValueError:
        raise UsageError(f"{word!r} is not an IPv6 address: write it like 2001:db8::1") from None


def address_text(data: bytes) -> str:
    """Of 4 or 16 octets, the latter as RFC 5952 has it."""
    if len(data) == 4:
        return ".".join(map(str, data))
    if data[:12] == b"\0" * 10 + b"\xff\xff":
        return "::ffff:" + address_text(data[12:])
    return str(ipaddress.IPv6Address(data))


def seconds(word: str) -> int:
    """A TTL: seconds, or with units as everybody's zone files have them, `1h30m`. Raises UsageError."""
    if word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= 0xFFFFFFFF:
        return int(word)
    parts = _TTL_PART.findall(word)
    total = sum(int(n[:11]) * _TTL_UNITS[unit.lower()] for n, unit in parts)
    if not parts or "".join(n + unit for n, unit in parts) != word or total > 0xFFFFFFFF:
        raise UsageError(f"{word!r} is not a duration: write seconds, or like 1h30m")
    return total


def instant_text(when: int) -> str:
    """Seconds since 1970 as YYYYMMDDHHmmSS (RFC 4034 3.2)."""
    return (_EPOCH + datetime.timedelta(seconds=when)).strftime("%Y%m%d%H%M%S")


def instant(word: str) -> int:
    """YYYYMMDDHHmmSS, or seconds since 1970: fourteen digits can't be mistaken for the other. Raises UsageError."""
    try:
        if not (word.isascii() and word.isdigit()):
            raise ValueError
        if len(word) == 14:
            when = datetime.datetime.strptime(word, "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC)
            return int((when - _EPOCH).total_seconds()) & 0xFFFFFFFF
        if len(word) > 10 or int(word) > 0xFFFFFFFF:
            raise ValueError
        return int(word)
    except ValueError:
        raise UsageError(f"{word!r} is not an instant: write it like 20300131235959") from None
