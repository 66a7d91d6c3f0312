"""The machine: domains and what they have of each other."""

from collections.abc import Callable
from typing import Self

from .books import Books
from .grants import Grants
from .memory import Memory
from .ports import Port, Ports
from .program import Program
from .tree import NONE, READ, Change, Node, Quotas, Tree
from .trouble import Trouble

PAGE_LIMIT = 1024  # pages that a domain shares: /sys/module/xen_gntalloc/parameters/limit


class Machine:
    """`with Machine() as machine:` ends in `machine.close()`, which kills what still runs."""

    def __init__(self, *, page_limit: int = PAGE_LIMIT, quotas: "Quotas | None" = None) -> None:
        self.page_limit = page_limit
        self.books = Books()
        self.memory = Memory()
        self.grants = Grants(self.books, self.memory)
        self.ports = Ports(self.books)
        self.tree = Tree(quotas or Quotas(), self._heard)
        self.store_is_down = False
        self.trouble: Trouble | None = None
        self.programs: list[Program] = []
        self.domains: set[int] = set()
        self._numbers = 0
        self._interference: list[Callable[[], None]] = []
        self._admin(self._add_top)
        self.introduce(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for program in list(self.programs):
            program.die()
        self.memory.close()

    # -- domains and their programs ----------------------------------------------------------------------------------------------

    def domain(self, domid: int, *, descriptor: bool = False) -> Program:
        """A program that starts in the domain, which is made when it isn't there."""
        self.introduce(domid)
        self._numbers += 1
        program = Program(self, domid, self._numbers, descriptor=descriptor)
        self.programs.append(program)
        return program

    def _add_top(self, change: Change) -> None:
        for folder in ("/local/domain", "/tool", "/vm"):
            change.make(0, folder)

    def introduce(self, domid: int) -> None:
        """What xl writes for a domain before it runs."""
        if domid in self.domains:
            return
        self.domains.add(domid)
        home = f"/local/domain/{domid}"
        readable = ((domid, READ),) if domid else ()

        def furnish(change: Change) -> None:
            change.write(0, f"{home}/domid", str(domid).encode())
            change.write(0, f"{home}/name", (f"domain-{domid}" if domid else "Domain-0").encode())
            change.permit(0, home, 0, NONE, readable)
            for folder in ("device", "backend", "control"):
                change.make(0, f"{home}/{folder}")
                change.permit(0, f"{home}/{folder}", 0, NONE, readable)
            for folder in ("data", "error", "attr", "feature", "drivers"):
                change.make(0, f"{home}/{folder}")
                change.permit(0, f"{home}/{folder}", domid, NONE, ())

        self._admin(furnish)
        self._tell_special("@introduceDomain")

    def kill(self, program: "Program | int") -> None:
        """A program, or all of a domain, as by SIGKILL."""
        for each in list(self.programs):
            if program in (each, each.domid):
                each.die()

    def destroy(self, domid: int) -> None:
        """A domain with all that runs in it. Its folder stays until the toolstack removes it."""
        self.kill(domid)
        self.domains.discard(domid)
        self._tell_special("@releaseDomain")

    def suspend(self, domid: int) -> None:
        """All of its ports are closed and its grants are gone; memory stays. Nothing is told of it: its programs stand still."""
        for program in self.of(domid):
            program.suspend()

    def resume(self, domid: int, new: "int | None" = None) -> None:
        """It goes on, maybe as another domain. Watches fire again, since nobody knows what they missed. The folders of its devices
        are the toolstack's to write anew: `toolstack.add_vif`."""
        programs = self.of(domid)
        if new is not None and new != domid:
            self.introduce(new)
            self.domains.discard(domid)
            self._tell_special("@releaseDomain")
        for program in programs:
            program.resume(domid if new is None else new)

    def of(self, domid: int) -> "list[Program]":
        return [program for program in self.programs if program.domid == domid]

    def stop_store(self) -> None:
        """xenstored is gone: every call raises EPIPE, and every program is woken to find out."""
        self.store_is_down = True
        for program in list(self.programs):
            program.wake()

    def start_store(self) -> None:
        """It is back as it was (a live update); all watches fire."""
        self.store_is_down = False
        for program in list(self.programs):
            if not program.store_lost:
                program.store.refire()

    def cut_store(self, program: Program) -> None:
        """This program's connection to the store is broken for good, as a socket's to a daemon that was restarted."""
        program.store_lost = True
        program.store.end()
        program.wake()

    def gone(self, program: Program) -> None:
        self.programs.remove(program)

    # -- what happens between them -----------------------------------------------------------------------------------------------

    def tell(self, port: Port) -> None:
        """The end of a channel opposite to `port`."""
        if port.other is None:
            return
        if self.trouble is None:
            port.other.program.hear(port.other.number)
        else:
            self.trouble.carry(port.other, self.ports.all(), self.books.now)

    def advance(self, now: int) -> None:
        """It is `now`: what was late is heard, and what is written into the books is dated by it."""
        self.books.now = now
        if self.trouble is not None:
            self.trouble.deliver(now)

    def next_deadline(self) -> "int | None":
        return self.trouble.next_deadline() if self.trouble is not None else None

    def _heard(self, path: str, exact: bool, node: Node) -> None:
        for program in list(self.programs):
            program.store.hear(path, exact, node)

    def _tell_special(self, path: str) -> None:
        self._heard(path, True, self.tree.special[path])

    def _admin(self, step: "Callable[[Change], object]") -> None:
        change = self.tree.begin()
        step(change)
        self.tree.apply(change)

    def collide(self, change: "Callable[[], None]") -> None:
        """Called once, just before the next transaction ends: by what it writes, that one collides."""
        self._interference.append(change)

    def before_commit(self, program: Program) -> None:
        if self._interference:
            self._interference.pop(0)()
