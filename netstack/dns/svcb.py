"""The parameters of SVCB and HTTPS records (RFC 9460): (key, value in wire form), their keys rising.

A value that does not have the form of its key makes the whole record malformed (RFC 9460 2.2), and so does a set of parameters that
contradicts itself (RFC 9460 2.4.3, 7.1.1, 8).
"""

import itertools
from collections.abc import Sequence

from ..errors import UsageError
from . import text
from .fields import Field
from .reader import Reader
from .text import Words

MANDATORY = 0
ALPN = 1
NO_DEFAULT_ALPN = 2
PORT = 3
IPV4HINT = 4
ECH = 5
IPV6HINT = 6
DOHPATH = 7
OHTTP = 8

_NAMES = ("mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp")
_NUMBERS = {word: number for number, word in enumerate(_NAMES)}
INVALID = 65535  # RFC 9460 14.3.2

Param = tuple[int, bytes]


def key_text(key: int) -> str:
    return _NAMES[key] if key < len(_NAMES) else f"key{key}"


def key_number(word: str) -> int:
    """Of `alpn` or `key667`. Raises UsageError."""
    if word in _NUMBERS:
        return _NUMBERS[word]
    digits = word.removeprefix("key")
    good = word.startswith("key") and digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    if not good or len(digits) > 5 or int(digits) >= INVALID:
        raise UsageError(f"{word!r} is not the key of a service parameter: write a name like alpn, or key667")
    return int(digits)


def fault(params: Sequence[Param]) -> str:
    """What makes these parameters malformed, or an empty string."""
    before = -1
    values = dict(params)
    for key, value in params:
        if key <= before:
            return f"{key_text(key)} after {key_text(before)}: keys rise"
        before = key
        if not _well_formed(key, value):
            return f"{key_text(key)} has no value of the form {value!r}"
    for key in _numbers(values.get(MANDATORY, b"")):
        if key not in values:
            return f"{key_text(key)} is mandatory and not there"
    if NO_DEFAULT_ALPN in values and ALPN not in values:
        return "no-default-alpn without alpn"
    return ""


def _numbers(value: bytes) -> list[int]:
    return [value[i] << 8 | value[i + 1] for i in range(0, len(value) - 1, 2)]


def _items(value: bytes) -> list[bytes]:
    """Of an alpn value: each octet count and its octets. Empty where that isn't its form."""
    found = []
    o = 0
    while o < len(value):
        n = value[o]
        if n == 0 or n > len(value) - o - 1:
            return []
        found.append(value[o + 1 : o + 1 + n])
        o += n + 1
    return found


def _well_formed(key: int, value: bytes) -> bool:
    n = len(value)
    if key == MANDATORY:
        keys = _numbers(value)
        return n > 0 and n % 2 == 0 and keys[0] != MANDATORY and all(a < b for a, b in itertools.pairwise(keys))
    if key == ALPN:
        return bool(_items(value))
    if key in (NO_DEFAULT_ALPN, OHTTP):
        return n == 0
    if key == PORT:
        return n == 2
    if key in (IPV4HINT, IPV6HINT):
        size = 4 if key == IPV4HINT else 16
        return n > 0 and n % size == 0
    return key != INVALID


def alpn(params: Sequence[Param]) -> tuple[bytes, ...]:
    """The protocols of the alpn parameter, without the default one."""
    return tuple(_items(dict(params).get(ALPN, b"")))


def value_text(key: int, value: bytes) -> str:
    """The presentation of a well-formed value, unquoted; empty where the key says it all."""
    if key == MANDATORY:
        return ",".join(map(key_text, _numbers(value)))
    if key == ALPN:  # commas and backslashes of items are escaped, and then once more as every string (RFC 9460 A.1)
        return text.escape(b",".join(item.replace(b"\\", b"\\\\").replace(b",", b"\\,") for item in _items(value)))
    if key == PORT:
        return str(value[0] << 8 | value[1])
    if key in (IPV4HINT, IPV6HINT):
        size = 4 if key == IPV4HINT else 16
        return ",".join(text.address_text(value[i : i + size]) for i in range(0, len(value), size))
    if key == ECH:
        return text.base64_text(value)
    return text.escape(value)


def value_octets(key: int, value: bytes) -> bytes:
    """The wire form of what was written for `key`, quotes and escapes removed. Raises UsageError."""
    if key in (MANDATORY, PORT, IPV4HINT, IPV6HINT, ECH):
        word = value.decode("latin-1")
        if key == MANDATORY:
            return b"".join(n.to_bytes(2, "big") for n in sorted(map(key_number, word.split(","))))
        if key == PORT:
            if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 0xFFFF):
                raise UsageError(f"{word!r} is not a port")
            return int(word).to_bytes(2, "big")
        if key == ECH:
            return text.base64_octets([word], "ech")
        return b"".join(map(text.ip4_octets if key == IPV4HINT else text.ip6_octets, word.split(",")))
    if key == ALPN:
        items = [b""]
        i = 0
        while i < len(value):
            if value[i : i + 1] == b"\\":
                i += 1
                items[-1] += value[i : i + 1]
            elif value[i : i + 1] == b",":
                items.append(b"")
            else:
                items[-1] += value[i : i + 1]
            i += 1
        if not all(1 <= len(item) <= 255 for item in items):
            raise UsageError("a protocol in alpn has 1 to 255 octets")
        return b"".join(bytes((len(item),)) + item for item in items)
    return value


class Params(Field):
    """The rest of an SVCB record."""

    def read(self, r: Reader) -> tuple[Param, ...]:
        params = []
        while r.left():
            key = r.u16()
            params.append((key, r.take(r.u16())))
        wrong = fault(params)
        if wrong:
            raise r.fail(wrong)
        return tuple(params)

    def write(self, value: Sequence[Param]) -> bytes:
        wrong = fault(value)
        if wrong:
            raise UsageError(wrong)
        return b"".join(key.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for key, data in value)

    def text(self, value: Sequence[Param]) -> str:
        words = []
        for key, data in value:
            said = value_text(key, data)
            words.append(f'{key_text(key)}="{said}"' if said else key_text(key))
        return " ".join(words)

    def parse(self, words: Words, what: str, origin: bytes) -> tuple[Param, ...]:
        params: dict[int, bytes] = {}
        for word in words.rest():
            name, _, said = word.partition("=")
            key = key_number(name.lower())
            if key in params:
                raise UsageError(f"{name!r} stands twice in {words.text!r}")
            params[key] = value_octets(key, text.octets(said))
        found = tuple(sorted(params.items()))
        wrong = fault(found)
        if wrong:
            raise UsageError(f"{wrong}, in {words.text!r}")
        return found


PARAMS = Params()
