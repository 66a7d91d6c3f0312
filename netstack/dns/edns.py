"""EDNS(0) (RFC 6891): what the OPT record says, and the options that we know: extended errors (RFC 8914), cookies (RFC 7873, RFC
9018), padding (RFC 7830), keepalive (RFC 7828), NSID (RFC 5001), client subnet (RFC 7871, opaque).

An option of a known kind with a wrong length is lawful to carry and a WireError to read: `options` has it, its accessor raises.
"""

from typing import NamedTuple

from ..errors import UsageError, WireError
from . import const as dc
from .numbers import Ede, Option

PADDING_BLOCK_QUERY = 128  # RFC 8467 4.1
PADDING_BLOCK_RESPONSE = 468


class ExtendedError(NamedTuple):
    """`code` of the registry (`numbers.Ede`), and words for people."""

    code: int
    text: str = ""

    def __str__(self) -> str:
        name = Ede(self.code).name.replace("_", " ").lower() if self.code in Ede._value2member_map_ else f"error {self.code}"
        return f"{name}: {self.text}" if self.text else name


class Edns:
    """What an OPT record says. `payload` in octets; `flags` are its sixteen bits, DO the first of them; `ext_rcode` the upper eight
    bits of the rcode; `options` are (code, data) in the order of the wire."""

    __slots__ = ("ext_rcode", "flags", "options", "payload", "version")

    def __init__(
        self,
        payload: int = 1232,
        *,
        do: bool = False,
        version: int = 0,
        options: tuple[tuple[int, bytes], ...] = (),
        flags: int = 0,
        ext_rcode: int = 0,
    ) -> None:
        self.payload = payload
        self.version = version
        self.ext_rcode = ext_rcode
        self.flags = flags | (dc.DO if do else 0)
        self.options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edns) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"Edns({self.payload}, do={self.do}, version={self.version}, options={self.options})"

    @property
    def do(self) -> bool:
        """DNSSEC records are wanted (RFC 3225)."""
        return bool(self.flags & dc.DO)

    def option(self, code: int) -> bytes | None:
        """The data of the first option of this code."""
        return next((data for c, data in self.options if c == code), None)

    @property
    def cookie(self) -> tuple[bytes, bytes] | None:
        """The client's cookie, 8 octets, and the server's, 8 to 32 or none. Raises WireError for other lengths (RFC 7873 4)."""
        data = self.option(Option.COOKIE)
        if data is None:
            return None
        if len(data) != 8 and not 16 <= len(data) <= 40:
            raise WireError(f"a cookie of {len(data)} octets: 8, or 16 to 40 are lawful")
        return data[:8], data[8:]

    @property
    def errors(self) -> list[ExtendedError]:
        """Raises WireError where one has no code. What is not UTF-8 in the words of a server is replaced."""
        found = []
        for code, data in self.options:
            if code == Option.EXTENDED_ERROR:
                if len(data) < 2:
                    raise WireError("an extended error without a code")
                found.append(ExtendedError(data[0] << 8 | data[1], data[2:].decode("utf-8", "replace").rstrip("\0")))
        return found

    @property
    def keepalive(self) -> int | None:
        """How long an idle stream stays open, in tenths of a second; -1 where a client asks. Raises WireError."""
        data = self.option(Option.KEEPALIVE)
        if data is None:
            return None
        if len(data) not in (0, 2):
            raise WireError(f"a keepalive of {len(data)} octets: none or 2 are lawful")
        return data[0] << 8 | data[1] if data else -1

    @property
    def nsid(self) -> bytes | None:
        return self.option(Option.NSID)

    @property
    def subnet(self) -> bytes | None:
        """The client-subnet option as it came."""
        return self.option(Option.CLIENT_SUBNET)


def cookie_option(client: bytes, server: bytes = b"") -> tuple[int, bytes]:
    if len(client) != 8 or not (len(server) == 0 or 8 <= len(server) <= 32):
        raise UsageError("a cookie has 8 octets of the client's, and none or 8 to 32 of the server's (RFC 7873 4)")
    return int(Option.COOKIE), client + server


def error_option(code: int, text: str = "") -> tuple[int, bytes]:
    return int(Option.EXTENDED_ERROR), code.to_bytes(2, "big") + text.encode()


def keepalive_option(tenths: int | None = None) -> tuple[int, bytes]:
    """`tenths` of a second, or, of a client, nothing (RFC 7828 3.1)."""
    return int(Option.KEEPALIVE), b"" if tenths is None else tenths.to_bytes(2, "big")


def from_record(rclass: int, ttl: int, rdata: bytes) -> Edns:
    """Of the OPT record's class, TTL (all 32 bits) and data. Raises WireError."""
    options: list[tuple[int, bytes]] = []
    o = 0
    while o < len(rdata):
        if len(rdata) - o < 4:
            raise WireError(f"an EDNS option runs past the end, at octet {o} of the OPT record's data")
        code = rdata[o] << 8 | rdata[o + 1]
        n = rdata[o + 2] << 8 | rdata[o + 3]
        if n > len(rdata) - o - 4:
            raise WireError(f"EDNS option {code} runs past the end, at octet {o} of the OPT record's data")
        options.append((code, rdata[o + 4 : o + 4 + n]))
        o += 4 + n
    return Edns(rclass, version=ttl >> 16 & 0xFF, options=tuple(options), flags=ttl & 0xFFFF, ext_rcode=ttl >> 24)


def to_wire(edns: Edns, padding: int = -1) -> bytes:
    """The whole OPT record; with a padding option of `padding` octets after the others, where that isn't negative.

    Raises UsageError where the options are longer than 65535 octets.
    """
    options = [*edns.options, (int(Option.PADDING), bytes(padding))] if padding >= 0 else edns.options
    data = b"".join(code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for code, value in options)
    if len(data) > 0xFFFF:
        raise UsageError(f"EDNS options of {len(data)} octets: at most 65535 are possible")
    return b"".join(
        (
            b"\0\0\x29",
            (edns.payload & 0xFFFF).to_bytes(2, "big"),
            bytes((edns.ext_rcode & 0xFF, edns.version & 0xFF)),
            (edns.flags & 0xFFFF).to_bytes(2, "big"),
            len(data).to_bytes(2, "big"),
            data,
        )
    )
