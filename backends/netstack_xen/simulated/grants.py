"""The grants of all domains, as Xen's and Linux's tables together go about them."""

import errno
from typing import TYPE_CHECKING

from .books import Books
from .copying import Copier, key
from .memory import Memory
from .grant import Grant

if TYPE_CHECKING:
    from .program import Program

FIRST = 8  # Linux keeps the first eight (GNTTAB_NR_RESERVED_ENTRIES)


class Grants:
    """A number is never used again, so that a stale one is known as such."""

    def __init__(self, books: Books, memory: Memory) -> None:
        self._books, self._memory = books, memory
        self._last: dict[int, int] = {}
        self._open: dict[int, Grant] = {}
        self._counts: dict[int, int] = {}

    def copier(self) -> Copier:
        return Copier(self._open)

    def count(self, domid: int) -> int:
        """Pages that the domain shares, with those that a peer still maps."""
        return self._counts.get(domid, 0)

    def add(self, program: "Program", peer: int, frame: int, *, writable: bool) -> Grant:
        owner = program.domid
        ref = self._last[owner] = self._last.get(owner, FIRST - 1) + 1
        entry = self._books.open("grant", owner, program.number, f"{ref} to domain {peer}")
        grant = self._open[key(owner, ref)] = Grant(owner, peer, ref, frame, writable=writable, entry=entry)
        self._counts[owner] = self.count(owner) + 1
        return grant

    def find(self, program: "Program", peer: int, ref: int, *, writable: bool) -> Grant:
        """Raises OSError with EINVAL where `program` may not have it."""
        grant = self._open.get(key(peer, ref & 0xFFFFFFFF))
        if grant is None:
            why = "stale" if FIRST <= ref <= self._last.get(peer, 0) else "never granted"
        elif grant.peer != program.domid:
            why = f"granted to domain {grant.peer}"
        elif writable and not grant.writable:
            why = "granted for reading"
        else:
            if grant.dropped:  # Linux can't end a grant while it's mapped, and Xen lets it be mapped again
                self._books.note("mapped again", program.domid, f"ref {ref} of domain {peer}, which has let go of it")
            return grant
        self._books.note("not granted", program.domid, f"ref {ref} of domain {peer}: {why}")
        raise OSError(errno.EINVAL, f"ref {ref} of domain {peer} is {why}")

    def drop(self, grant: Grant) -> None:
        """Its owner has let go of it. The frame, and the grant, stay for as long as a peer has it mapped."""
        if grant.mappings:
            grant.dropped = True
            self._books.note("still mapped", grant.owner, f"{grant} was given up")
        else:
            self.end(grant)

    def end(self, grant: Grant) -> None:
        if self._open.pop(key(grant.owner, grant.ref), None) is not None:
            self._books.shut(grant.entry)
            self._counts[grant.owner] -= 1
            self._memory.give(grant.frame)
