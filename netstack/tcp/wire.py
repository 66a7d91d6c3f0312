"""The segment as a value (RFC 9293 3.1): for scripted peers, tools and the quotes of ICMP errors.

The packet path does not come here: it reads the fixed header with `raw.get_tcp` and writes it with `raw.put5`.
"""

import struct

from .. import const
from ..checksum import checksum, pseudo_ip4
from ..errors import WireError
from ..records import frozen
from .options import MSS, SACK_PERMITTED, TIMESTAMPS, WSCALE

_HEADER = struct.Struct("!HHIIHHHH")
_QUOTE = struct.Struct("!HHI")
_LETTERS = ((const.SYN, "S"), (const.FIN, "F"), (const.RST, "R"), (const.PSH, "P"), (const.ACK, "A"), (const.URG, "U"))


def flag_text(flags: int) -> str:
    """`"SA"` for SYN and ACK; in the order S F R P A U."""
    return "".join(letter for bit, letter in _LETTERS if flags & bit)


def flag_bits(text: str) -> int:
    """The control bits that `flag_text` names; `"."` and other letters are not for us (KeyError)."""
    bits = {letter: bit for bit, letter in _LETTERS}
    return sum(bits[letter] for letter in text)


@frozen
class Segment:
    """One TCP segment. `options` are the raw bytes, a multiple of four."""

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    options: bytes = b""
    payload: bytes = b""
    urgent: int = 0

    def encode(self, src: int, dst: int) -> bytes:
        """With its checksum over the IPv4 pseudo-header."""
        if len(self.options) % 4 or len(self.options) > 40:
            raise WireError(f"{len(self.options)} bytes of options don't fill up to ten words")
        offset = (20 + len(self.options)) << 10
        fields = (self.sport, self.dport, self.seq, self.ack, offset | self.flags, self.window)
        body = self.options + self.payload
        size = 20 + len(body)
        check = checksum(_HEADER.pack(*fields, 0, self.urgent) + body, pseudo_ip4(src, dst, const.PROTO_TCP, size))
        return _HEADER.pack(*fields, check, self.urgent) + body

    @classmethod
    def decode(cls, data: bytes) -> "Segment":
        """Raises WireError for what is no segment. Does not look at the checksum: see `checksum_ok`."""
        if len(data) < 20:
            raise WireError(f"{len(data)} bytes can't be a TCP segment: a header has 20")
        sport, dport, seq, ack, offset_flags, window, _, urgent = _HEADER.unpack_from(data)
        offset = offset_flags >> 12 << 2
        if not 20 <= offset <= len(data):
            raise WireError(f"a header of {offset} bytes in a segment of {len(data)}")
        return cls(sport, dport, seq, ack, offset_flags & 0x1FF, window, data[20:offset], data[offset:], urgent)

    @property
    def length(self) -> int:
        """SEG.LEN: text, SYN and FIN."""
        return len(self.payload) + bool(self.flags & const.SYN) + bool(self.flags & const.FIN)

    def option(self, kind: int) -> bytes | None:
        """The value of the first option of this kind, or None. Raises WireError where the options are malformed before it."""
        o, data = 0, self.options
        while o < len(data) and data[o]:
            if data[o] == 1:
                o += 1
                continue
            if o + 2 > len(data) or not 2 <= data[o + 1] <= len(data) - o:
                raise WireError("an option runs beyond the header")
            if data[o] == kind:
                return data[o + 2 : o + data[o + 1]]
            o += data[o + 1]
        return None

    def __str__(self) -> str:
        text = f"{self.sport}>{self.dport} {flag_text(self.flags) or '-'} seq {self.seq} ack {self.ack} win {self.window}"
        return text + (f" opt {self.options.hex()}" if self.options else "") + (f" len {len(self.payload)}" if self.payload else "")


def checksum_ok(data: bytes, src: int, dst: int) -> bool:
    """Does the sum over `data` and its IPv4 pseudo-header come out right?"""
    return checksum(data, pseudo_ip4(src, dst, const.PROTO_TCP, len(data))) == 0


def quoted(quote: bytes) -> tuple[int, int, int]:
    """Ports and sequence number of one of our segments, from the eight bytes or more that an ICMP error quotes.

    Raises WireError.
    """
    if len(quote) < 8:
        raise WireError(f"{len(quote)} bytes of quote where eight are the least (RFC 792)")
    sport, dport, seq = _QUOTE.unpack_from(quote)
    return sport, dport, seq


def mss_option(mss: int) -> bytes:
    return struct.pack("!BBH", MSS, 4, mss)


def wscale_option(shift: int) -> bytes:
    return struct.pack("!BBBB", 1, WSCALE, 3, shift)


def sack_permitted_option() -> bytes:
    return struct.pack("!BBBB", 1, 1, SACK_PERMITTED, 2)


def timestamps_option(value: int, echo: int) -> bytes:
    return struct.pack("!BBBBII", 1, 1, TIMESTAMPS, 10, value, echo)
