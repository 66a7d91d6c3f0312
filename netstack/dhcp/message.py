"""A message of DHCP (RFC 2131 2): fixed fields, and options."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from ..address import Ip4, Mac
from ..errors import UsageError, WireError
from ..records import frozen
from . import options as opt
from .const import BOOTREPLY, BOOTREQUEST, BROADCAST, COOKIE, DEFAULT_SIZE, ETHERNET, FIXED, SMALLEST, Kind, Option

_HEAD = struct.Struct("!BBBBIHHIIII16s64s128s")
_UDP = 28  # of IP's and UDP's headers in the size that option 57 speaks of
NOBODY = Ip4(0)
_NO_OPTIONS: Mapping[int, bytes] = {}


@frozen
class DhcpMessage:
    """`chaddr` has as many octets as `hlen` said; `options` are whole, by their codes, in the order in which they stand."""

    op: int = BOOTREQUEST
    xid: int = 0
    chaddr: bytes = b""
    options: Mapping[int, bytes] = _NO_OPTIONS
    htype: int = ETHERNET
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: Ip4 = NOBODY
    yiaddr: Ip4 = NOBODY
    siaddr: Ip4 = NOBODY
    giaddr: Ip4 = NOBODY
    sname: bytes = b""
    file: bytes = b""

    @property
    def kind(self) -> Kind:
        """Raises WireError: without it it would be BOOTP."""
        try:
            return Kind(opt.number(self.options.get(Option.KIND, b""), 1))
        except ValueError:
            raise WireError("a kind of message that nobody knows") from None

    @property
    def broadcast(self) -> bool:
        return bool(self.flags & BROADCAST)

    @property
    def mac(self) -> Mac | None:
        """Of an Ethernet client."""
        return Mac(int.from_bytes(self.chaddr, "big")) if self.htype == ETHERNET and len(self.chaddr) == 6 else None

    @property
    def client(self) -> bytes:
        """Whose message it is (RFC 2131 4.2): the client identifier, or hardware type and address. Opaque (RFC 4361 6.3)."""
        said = self.options.get(Option.CLIENT_ID, b"")
        return said if len(said) > 1 else bytes((self.htype,)) + self.chaddr

    def address(self, code: int) -> Ip4 | None:
        """The address in an option. Raises WireError."""
        data = self.options.get(code)
        return None if data is None else opt.address(data)

    def number(self, code: int, size: int) -> int | None:
        data = self.options.get(code)
        return None if data is None else opt.number(data, size)

    @property
    def room(self) -> int:
        """Octets that this client takes in one message (option 57; RFC 2131 2)."""
        said = self.options.get(Option.MAX_SIZE, b"")
        size = int.from_bytes(said, "big") if len(said) == 2 else DEFAULT_SIZE
        return min(max(size, DEFAULT_SIZE), 1500) - _UDP


def parse(data: bytes) -> DhcpMessage:
    """Raises WireError."""
    if len(data) < FIXED + 4:
        raise WireError(f"{len(data)} octets are no message of DHCP: it has {FIXED + 4} at least")
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file = _HEAD.unpack_from(data)
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise WireError(f"{op} is neither a request nor a reply")
    if hlen > 16:
        raise WireError(f"a hardware address of {hlen} octets, where 16 have room")
    if data[FIXED : FIXED + 4] != COOKIE:
        raise WireError("BOOTP without DHCP's cookie")
    options: opt.Options = {}
    opt.read(data[FIXED + 4 :], options)
    overload = options.pop(Option.OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > 3:
        raise WireError("option 52 says neither file nor sname")
    if overload[0] & 1:  # RFC 2131 4.1: file before sname
        opt.read(file, options)
        file = b""
    if overload[0] & 2:
        opt.read(sname, options)
        sname = b""
    options.pop(Option.OVERLOAD, None)
    return DhcpMessage(
        op, xid, chaddr[:hlen], options, htype, hops, secs, flags, Ip4(ciaddr), Ip4(yiaddr), Ip4(siaddr), Ip4(giaddr),
        sname.rstrip(b"\0"), file.rstrip(b"\0"),
    )  # fmt: skip


def build(m: DhcpMessage, room: int = DEFAULT_SIZE - _UDP) -> tuple[bytes, list[int]]:
    """At most `room` octets, 300 at least, and the codes of those options for which there was none. What has no room among the
    options goes into `file` and `sname`, where those are empty (RFC 2131 4.1). Raises UsageError."""
    if len(m.chaddr) > 16 or len(m.sname) > 64 or len(m.file) > 128:
        raise UsageError("a hardware address has up to 16 octets, a server's name up to 64, a file's up to 128")
    own = max(room, SMALLEST) - FIXED - len(COOKIE) - 4  # less the end, and three octets for option 52
    areas = [bytearray(), bytearray(), bytearray()]
    sizes = [own, 0 if m.file else 127, 0 if m.sname else 63]
    left_out: list[int] = []
    at = 0
    for code, data in m.options.items():
        lengths, where = [len(area) for area in areas], at
        for piece in opt.pieces(code, data):
            while where < 3 and len(areas[where]) + len(piece) > sizes[where]:
                where += 1
            if where == 3:
                for area, length in zip(areas, lengths, strict=True):
                    del area[length:]
                left_out.append(code)
                break
            areas[where] += piece
        else:
            at = where  # nothing goes back: pieces of one option are joined in the order of the areas
    overload = (1 if areas[1] else 0) | (2 if areas[2] else 0)
    if overload:
        areas[0] += bytes((Option.OVERLOAD, 1, overload))
    areas = [area + b"\xff" for area in areas]
    head = _HEAD.pack(
        m.op, m.htype, len(m.chaddr), m.hops, m.xid, m.secs, m.flags, int(m.ciaddr), int(m.yiaddr), int(m.siaddr),
        int(m.giaddr), m.chaddr, bytes(areas[2]) if overload & 2 else m.sname, bytes(areas[1]) if overload & 1 else m.file,
    )  # fmt: skip
    return (head + COOKIE + bytes(areas[0])).ljust(SMALLEST, b"\0"), left_out
