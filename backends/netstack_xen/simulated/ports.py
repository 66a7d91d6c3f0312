"""Event channels, as Xen's `event_channel.c` goes about them.

A port waits for a domain until that binds a port of its own to it; then the two are joined. When one of the two closes, the other
waits again, for the same domain: so a peer that comes back may bind anew. What is told to a port that waits is lost, and who binds
is told once at once, since something may have been lost just before.
"""

from typing import TYPE_CHECKING

from .books import Books

if TYPE_CHECKING:
    from .program import Program

FIRST = 16  # a domain has some for its kernel


class Port:
    def __init__(self, program: "Program", number: int, peer: int, entry: int) -> None:
        self.program, self.domid, self.number, self.peer = program, program.domid, number, peer
        self.entry = entry  # in the books
        self.other: Port | None = None
        self.released = False  # by its program; held by the farewells of pages, each of which will still tell it
        self.holds = 0
        self.dead = False  # its domain resumed elsewhere: the number means nothing there

    def join(self, other: "Port") -> None:
        self.other, other.other = other, self

    def let_go(self) -> None:
        """Its program has it no longer."""
        self.released = True
        if not self.holds:
            self.program.machine.ports.close(self)

    def unhold(self) -> None:
        self.holds -= 1
        if self.released and not self.holds:
            self.program.machine.ports.close(self)


class Ports:
    """Those of all domains. A number is not used again soon: Xen does so, but here a stale one is to be known as such."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._last: dict[int, int] = {}
        self._open: dict[tuple[int, int], Port] = {}

    def add(self, program: "Program", peer: int) -> Port:
        number = self._last[program.domid] = self._last.get(program.domid, FIRST - 1) + 1
        entry = self._books.open("port", program.domid, program.number, f"{number} for domain {peer}")
        port = self._open[program.domid, number] = Port(program, number, peer, entry)
        return port

    def all(self) -> "list[Port]":
        return list(self._open.values())

    def find(self, domid: int, number: int) -> "Port | None":
        return self._open.get((domid, number))

    def close(self, port: Port) -> None:
        if self._open.pop((port.domid, port.number), None) is None:
            return
        self._books.shut(port.entry)
        if port.other is not None:
            port.other.other = None
            port.other = None
