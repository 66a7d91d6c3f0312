"""A program's connection to the store."""

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..hypervisor import EVERYONE
from .tree import NONE, PAYLOAD_MAX, READ, SPECIAL, WRITE, Change, Node, canonical, fault, is_at_or_below, parent_of

if TYPE_CHECKING:
    from .program import Program

ATTEMPTS = 100  # of a transaction: who collides that often is not alone by accident


def encoded(path: str, value: str) -> bytes:
    data = value.encode("utf-8", "surrogateescape")
    if len(data) + len(path) + 1 > PAYLOAD_MAX:
        raise fault(errno.E2BIG, f"{len(data)} bytes are too much for one message")
    return data


class _Steps:
    """What can be done inside and outside a transaction."""

    def __init__(self, program: "Program") -> None:
        self._program = program

    def _do(self, step: "Callable[[Change], object]") -> None:
        raise NotImplementedError

    def _path(self, path: str) -> str:
        self._program.check_store()
        return canonical(path, self._program.domid)

    def read(self, path: str) -> "str | None":
        found: list[bytes | None] = []
        where = self._path(path)
        self._do(lambda change: found.append(change.read(self._program.domid, where)))
        value = found[-1]
        return None if value is None else value.decode("utf-8", "surrogateescape")

    def list(self, path: str) -> "Sequence[str] | None":
        found: list[Sequence[str] | None] = []
        where = self._path(path)
        self._do(lambda change: found.append(change.list(self._program.domid, where)))
        return found[-1]

    def write(self, path: str, value: str) -> None:
        where, data = self._path(path), encoded(path, value)
        self._do(lambda change: change.write(self._program.domid, where, data))

    def make(self, path: str) -> None:
        where = self._path(path)
        self._do(lambda change: change.make(self._program.domid, where))

    def remove(self, path: str) -> None:
        where = self._path(path)
        self._do(lambda change: change.remove(self._program.domid, where))

    def permit(self, path: str, owner: int, readers: Sequence[int] = (), writers: Sequence[int] = ()) -> None:
        where = self._path(path)
        rights: dict[int, int] = {}
        for who in readers:
            rights[who] = rights.get(who, NONE) | READ
        for who in writers:
            rights[who] = rights.get(who, NONE) | WRITE
        others = rights.pop(EVERYONE, NONE)
        grants = tuple(rights.items())
        self._do(lambda change: change.permit(self._program.domid, where, owner, others, grants))

    def watch(self, path: str, token: str) -> None:
        raise NotImplementedError

    def unwatch(self, path: str, token: str) -> None:
        raise NotImplementedError

    def fired(self) -> "Sequence[tuple[str, str]]":
        raise NotImplementedError

    def together(self, change: "Callable[..., None]") -> None:
        raise NotImplementedError


class _Transaction(_Steps):
    """Watches are no part of it: they are set at once."""

    def __init__(self, outer: "SimulatedStore", change: Change) -> None:
        super().__init__(outer._program)
        self._outer, self._change = outer, change

    def _do(self, step: "Callable[[Change], object]") -> None:
        step(self._change)

    def watch(self, path: str, token: str) -> None:
        self._outer.watch(path, token)

    def unwatch(self, path: str, token: str) -> None:
        self._outer.unwatch(path, token)

    def fired(self) -> "Sequence[tuple[str, str]]":
        return self._outer.fired()

    def together(self, change: "Callable[..., None]") -> None:
        raise fault(errno.EBUSY, "a transaction inside a transaction")


class SimulatedStore(_Steps):
    def __init__(self, program: "Program") -> None:
        super().__init__(program)
        self._watches: dict[tuple[str, str], tuple[str, int]] = {}  # as asked for: canonical path, number in the books
        self._fired: dict[tuple[str, str], None] = {}  # xenstored doesn't queue the same event twice
        self._transactions = 0

    def _do(self, step: "Callable[[Change], object]") -> None:
        tree = self._program.machine.tree
        change = tree.begin()
        step(change)
        if change.changed and not tree.apply(change):
            raise AssertionError("a single step can't collide")

    def together(self, change: "Callable[..., None]") -> None:
        machine, domid = self._program.machine, self._program.domid
        self._program.check_store()
        if domid and self._transactions >= machine.tree.quotas.transactions:
            raise fault(errno.ENOSPC, f"domain {domid} has as many transactions as it may")
        for _ in range(ATTEMPTS):
            number = machine.books.open("transaction", domid, self._program.number, "")
            self._transactions += 1
            try:
                attempt = machine.tree.begin()
                change(_Transaction(self, attempt))
                self._program.check_store()
                machine.before_commit(self._program)
                if machine.tree.apply(attempt):
                    return
            finally:
                self._transactions -= 1
                machine.books.shut(number)
        raise fault(errno.EAGAIN, f"{ATTEMPTS} attempts of a transaction collided")

    # -- watches -----------------------------------------------------------------------------------------------------------------

    def watch(self, path: str, token: str) -> None:
        program = self._program
        where = self._path(path)
        if (path, token) in self._watches:
            raise fault(errno.EEXIST, f"{path} is watched with {token!r}")
        domid, quotas = program.domid, program.machine.tree.quotas
        if domid and sum(1 for _ in program.machine.books.of(domid, "watch")) >= quotas.watches:
            raise fault(errno.E2BIG, f"domain {domid} has as many watches as it may")
        number = program.machine.books.open("watch", domid, program.number, f"{path} {token}")
        self._watches[path, token] = where, number
        self._fire(path, token)

    def unwatch(self, path: str, token: str) -> None:
        self._path(path)
        known = self._watches.pop((path, token), None)
        if known is None:
            raise fault(errno.ENOENT, f"{path} is not watched with {token!r}")
        self._program.machine.books.shut(known[1])

    def fired(self) -> "Sequence[tuple[str, str]]":
        self._program.check_store()
        events = list(self._fired)
        self._fired.clear()
        self._program.settle()
        return events

    def _fire(self, path: str, token: str) -> None:
        quiet = not self._fired
        self._fired[path, token] = None
        if quiet:
            self._program.wake()

    @property
    def has_fired(self) -> bool:
        return bool(self._fired)

    def hear(self, path: str, exact: bool, node: Node) -> None:
        """Something changed; who may read neither the node nor the one above it isn't told (xenstored's watch_permitted). What was
        watched by a relative path is told by one."""
        domid = self._program.domid
        above = self._program.machine.tree.nodes.get(parent_of(path))
        allowed = node.allows(domid, READ) or (above is not None and above.allows(domid, READ))
        for (asked, token), (where, _) in list(self._watches.items()) if allowed else ():
            if path == where if exact or where in SPECIAL else is_at_or_below(path, where):
                self._fire(path if asked.startswith(("/", "@")) else asked + path[len(where) :], token)

    def refire(self) -> None:
        """All watches, as after the store or the domain came back: nobody knows what was missed. They follow to a new home."""
        for (path, token), (_, number) in list(self._watches.items()):
            self._watches[path, token] = canonical(path, self._program.domid), number
            self._fire(path, token)

    def end(self) -> None:
        """The connection is gone, and its watches."""
        for _, number in self._watches.values():
            self._program.machine.books.shut(number)
        self._watches.clear()
        self._fired.clear()
