"""What stands at a name: sets of records by type, each with its signatures."""

from ..message import Record
from ..numbers import Class, Type

_N = 78
_NAMES_IN: dict[int, bytes] = {  # where names stand in data: a number skips so many octets, N is a name (RFC 4034 6.2)
    2: b"N", 3: b"N", 4: b"N", 5: b"N", 6: b"NN", 7: b"N", 8: b"N", 9: b"N", 12: b"N", 14: b"NN", 15: b"\x02N", 17: b"NN",
    18: b"\x02N", 21: b"\x02N", 26: b"\x02NN", 33: b"\x06N", 36: b"\x02N", 39: b"N", 46: b"\x12N", 47: b"N",
}  # fmt: skip


def canonical(type: int, rdata: bytes) -> bytes:
    """`rdata` with small letters in its names: records are the same where these are (RFC 2136 1.1, RFC 4034 6.2). Data that is not
    laid out as its type says, which nobody has checked for types of old, is itself."""
    layout = _NAMES_IN.get(type)
    if layout is None:
        return rdata
    o = 0
    end = len(rdata)
    out = bytearray(rdata)
    for op in layout:
        start = o
        if op == _N:
            while o < end and rdata[o]:
                o += rdata[o] + 1
            o += 1
            if o > end:
                return rdata
            out[start:o] = rdata[start:o].lower()
        else:
            o += op
    return bytes(out)


class Set:
    """Records of one owner and type: `ttl` in seconds, data in wire form, and the data of their RRSIG records. Never changed: a
    change makes another one."""

    __slots__ = ("rdatas", "signatures", "ttl")

    def __init__(self, ttl: int, rdatas: tuple[bytes, ...] = (), signatures: tuple[bytes, ...] = ()) -> None:
        self.ttl = ttl
        self.rdatas = rdatas
        self.signatures = signatures

    def records(self, owner: bytes, type: int) -> list[Record]:
        found = [Record(owner, type, Class.IN, self.ttl, value) for value in self.rdatas]
        found += [Record(owner, Type.RRSIG, Class.IN, self.ttl, value) for value in self.signatures]
        return found


class Node:
    """`name` as it was first written; `sets` by type, none for an empty non-terminal."""

    __slots__ = ("name", "sets")

    def __init__(self, name: bytes, sets: dict[int, Set] | None = None) -> None:
        self.name = name
        self.sets: dict[int, Set] = {} if sets is None else sets

    def records(self) -> list[Record]:
        return [r for type, kept in self.sets.items() for r in kept.records(self.name, type)]


def covered(type: int, rdata: bytes) -> int:
    """The type of the set that a record belongs to: a signature to the one that it signs."""
    return int.from_bytes(rdata[:2], "big") if type == Type.RRSIG else type
