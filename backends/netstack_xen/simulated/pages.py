"""Grants, and the pages that a program has by them: its own, which it shares, or a peer's, which it maps."""

import mmap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..hypervisor import PAGE
from .grant import Grant
from .ports import Port

if TYPE_CHECKING:
    from .program import Program


class LastWords(NamedTuple):
    """A Farewell, of which the port is held: it stays open for as long, even when the program releases it."""

    offset: int | None
    port: Port | None


class SimulatedPages:
    """`memory` is a new view each time. The pages are not let go while a view, or a slice of one, is alive."""

    def __init__(self, program: "Program", mapping: mmap.mmap, grants: Sequence[Grant], peer: int, last: LastWords) -> None:
        self._program, self._mapping, self._peer = program, mapping, peer
        self.grants = tuple(grants)
        self.last_words = last
        self.writable = True
        self.entry = 0
        self._refs = tuple(grant.ref for grant in grants)
        self._gone = ""
        self.lost = False  # its grants are, since its domain was suspended

    @property
    def memory(self) -> memoryview:
        if self._gone:
            self._program.machine.books.note("use after end", self._program.domid, f"pages {self._refs[:4]} were {self._gone}")
            raise ValueError(f"these pages were {self._gone}")
        view = memoryview(self._mapping)[: len(self.grants) * PAGE]
        return view if self.writable else view.toreadonly()

    @property
    def refs(self) -> Sequence[int]:
        return self._refs

    @property
    def peer(self) -> int:
        return self._peer

    @property
    def gone(self) -> str:
        """How they went: unshared, unmapped; empty while they are there."""
        return self._gone

    def let_go(self, how: str) -> None:
        """Raises BufferError while somebody looks."""
        self._mapping.close()
        self._gone = how

    def cut_off(self) -> None:
        """The program was killed: its views, which live on here, show memory of nobody's."""
        self._program.machine.memory.detach(self._mapping)
        self._gone = "gone with a program that was killed"

    def keep_memory(self) -> None:
        """Its domain was suspended: there are no grants any more, and what peers still map is theirs alone."""
        kept = bytes(self.memory)
        self._program.machine.memory.detach(self._mapping)
        self.memory[:] = kept
        self.lost = True
