"""A table from keys of 64 bits to objects: which connection a segment belongs to.

A dict would do, and did. It has three weaknesses here. It takes an int object for each key, and its index, its entry and that int
lie in three places: of 100,000 connections each is a line of memory that has to come first. It looks for ints at their own lower
bits: our port, and so the same for all connections to a server, whence five places to look at for each segment. And strangers
choose those ints: who knows how a dict goes on from a place that is taken can send a crowd to one chain of them.

So this is a hash table of its own: open addressing, one place after the other (linear probing), at most half full. Where the search
begins is a keyed hash (SipHash) that nobody can steer. Whoever is removed leaves no mark: those behind move up, so what has come
and gone costs nothing (Knuth's algorithm R, TAOCP 6.4). Keys and entries stand at the same place in two arrays: both come at once.
"""

from collections.abc import Iterator

from .. import const
from ..errors import UsageError
from ..siphash import SipHash
from . import lines

LEAST = 3  # the smallest table has 2**LEAST places


class Table:
    """`const.M64` is no key: it marks a free place."""

    __slots__ = ("count", "entries", "hash", "keys", "mask", "shift")

    def __init__(self, secret: SipHash) -> None:
        self.hash = secret
        self.count = 0
        self.clear(LEAST)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[object]:
        """The entries, in no order."""
        return iter([entry for entry in self.entries if entry is not None])

    def clear(self, bits: int) -> None:
        """2**bits places, all of them free."""
        size = 1 << bits
        self.keys = bytearray(b"\xff" * (8 * size))
        self.entries: list[object] = [None] * size
        self.mask = size - 1
        self.shift = 64 - bits

    def place(self, key: int) -> int:
        """Where `key` is, or where it would be put."""
        self.hash.start()
        return self.seek(self.hash.finish(key), key)

    def seek(self, h: int, key: int) -> int:
        """The same for who knows the hash."""
        i = h >> self.shift
        there = lines.key_at(self.keys, i)
        while there != key and there != const.M64:
            i = (i + 1) & self.mask
            there = lines.key_at(self.keys, i)
        return i

    def get(self, key: int) -> object:
        """The entry of `key`, or None."""
        i = self.place(key)
        lines.ask_item(self.entries, i, lines.TCB)
        return self.entries[i]

    def at(self, h: int, key: int) -> object:
        """The same for who knows the hash."""
        return self.entries[self.seek(h, key)]

    def ask(self, h: int) -> None:
        """For the place where the search begins (lines.py)."""
        lines.ask_place(self.keys, self.entries, h >> self.shift)

    def ask_entry(self, h: int, key: int) -> None:
        """For the whole entry of `key`, if it has one."""
        lines.ask_item(self.entries, self.seek(h, key), lines.WHOLE)

    def put(self, key: int, entry: object) -> None:
        """In place of what `key` had."""
        if key == const.M64:
            raise UsageError("this key marks a free place")
        i = self.place(key)
        if lines.key_at(self.keys, i) == const.M64:
            if 2 * self.count > self.mask:
                self.grow()
                i = self.place(key)
            self.count += 1
            lines.put_key(self.keys, i, key)
        self.entries[i] = entry

    def grow(self) -> None:
        keys = self.keys
        entries = self.entries
        self.clear(65 - self.shift)
        for at in range(len(entries)):
            entry = entries[at]
            if entry is not None:
                key = lines.key_at(keys, at)
                i = self.place(key)
                lines.put_key(self.keys, i, key)
                self.entries[i] = entry

    def remove(self, key: int) -> None:
        """KeyError when there is none. Those behind it whose search begins at its place, or before, move up."""
        i = self.place(key)
        if key == const.M64 or lines.key_at(self.keys, i) != key:
            raise KeyError(key)
        self.count -= 1
        free = i
        while True:
            i = (i + 1) & self.mask
            key = lines.key_at(self.keys, i)
            if key == const.M64:
                break
            self.hash.start()
            home = self.hash.finish(key) >> self.shift
            if ((i - home) & self.mask) >= ((i - free) & self.mask):
                lines.put_key(self.keys, free, key)
                self.entries[free] = self.entries[i]
                free = i
        lines.put_key(self.keys, free, const.M64)
        self.entries[free] = None
