"""HPACK by the library, with a memory: a header block that changed nothing in its table means the same until the table changes.

A client's second request is mostly a row of indices, and so is our second response. Such a block neither adds to the dynamic table
nor takes from it (RFC 7541 6.1, 6.2.2, 6.2.3), so what it was read as, or written from, may be kept. Whether the table is the same
is seen from its length and its newest entry, by identity: every change either puts in a new one or takes one out. Its size belongs
to that: what finds no room in an empty table leaves it as it was, and would be added to a larger one (RFC 7541 4.4).
"""

from collections.abc import Iterable
from typing import Any

from hpack import Decoder, Encoder, HeaderTuple

REMEMBERED = 32  # blocks: each at most LONGEST bytes, or that many of fields
LONGEST = 1024


class _Memory:
    """What was made of what, of one table at one time."""

    __slots__ = ("_known", "_length", "_newest", "_size")

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._length = 0
        self._newest: object = None
        self._size = 0

    def same(self, table: Any) -> bool:
        """Whether the table is the one of last time; if not, all is forgotten."""
        entries = table.dynamic_entries
        newest = entries[0] if entries else None
        if newest is self._newest and len(entries) == self._length and table.maxsize == self._size:
            return True
        self._newest, self._length, self._size = newest, len(entries), table.maxsize
        self._known.clear()
        return False

    def get(self, key: object) -> Any:
        return self._known.get(key)

    def keep(self, key: object, made: object) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = made


class BlockDecoder(Decoder):
    """`Decoder` with a memory. What it gives is shared: don't change it."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = _Memory()

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        table = self.header_table
        memory = self._memory
        if memory.same(table):
            made = memory.get(data)
            if made is not None:
                return made  # type: ignore[no-any-return]
        made = super().decode(data, raw)
        if memory.same(table) and len(data) <= LONGEST and data[:1] and data[0] & 0xE0 != 0x20:  # 001: the size changes, and back
            memory.keep(bytes(data), made)
        return made


class BlockEncoder(Encoder):
    """`Encoder` with a memory."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = _Memory()

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        table = self.header_table
        memory = self._memory
        key = tuple(headers)
        plain = not table.resized
        for header in key:
            plain = plain and type(header) is tuple  # fields that are never to be indexed are equal to those that may be
        if plain and memory.same(table):
            made = memory.get(key)
            if made is not None:
                return made  # type: ignore[no-any-return]
        block = super().encode(key, huffman)
        if memory.same(table) and plain and len(block) <= LONGEST:
            memory.keep(key, block)
        return block
