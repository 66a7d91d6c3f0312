"""The store itself, as xenstored keeps it: nodes with text and permissions, watches, transactions that collide, quotas.

A node is never changed but replaced, and each has a *generation*, the number of the change that made it. A transaction keeps what
it changed to itself, and the generation of each node that it saw; it is refused when one of those has another one by the end. A
folder is changed by what is added to it or removed, so two transactions that make nodes in the same folder collide.
"""

import errno
import string
from collections.abc import Callable, Iterator, Sequence

import attrs

LEGAL = frozenset(string.ascii_letters + string.digits + "-/_@")  # xenstored's is_valid_nodename
ABSOLUTE_MAX, RELATIVE_MAX = 3072, 2048  # XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX
PAYLOAD_MAX = 4096  # XENSTORE_PAYLOAD_MAX: path and text together
SPECIAL = ("@introduceDomain", "@releaseDomain")

NONE, READ, WRITE = 0, 1, 2


@attrs.frozen
class Quotas:
    """What a domain other than 0 may have; xenstored's own defaults."""

    nodes: int = 1000
    watches: int = 128
    transactions: int = 10
    node_size: int = 2048
    permissions: int = 5


def fault(number: int, what: str) -> OSError:
    return OSError(number, f"store: {what}")


@attrs.frozen
class Node:
    value: bytes
    owner: int
    others: int
    grants: tuple[tuple[int, int], ...]
    children: frozenset[str]
    generation: int

    def allows(self, domid: int, wanted: int) -> bool:
        if domid in (0, self.owner):
            return True
        for who, what in self.grants:
            if who == domid:
                return what & wanted == wanted
        return self.others & wanted == wanted

    @property
    def size(self) -> int:
        return len(self.value) + sum(len(name) + 1 for name in self.children) + 8 * (1 + len(self.grants))


def parent_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def below(path: str, name: str) -> str:
    return f"/{name}" if path == "/" else f"{path}/{name}"


def is_at_or_below(path: str, top: str) -> bool:
    return path == top or top == "/" or path.startswith(top + "/")


def canonical(path: str, domid: int) -> str:
    """Raises OSError with EINVAL where it isn't one."""
    relative = not path.startswith("/")
    if len(path) > (RELATIVE_MAX if relative else ABSOLUTE_MAX) or not path or not LEGAL.issuperset(path):
        raise fault(errno.EINVAL, f"{path[:80]!r} is no path")
    if path in SPECIAL:
        return path
    if "//" in path or (path.endswith("/") and path != "/") or path.startswith("@"):
        raise fault(errno.EINVAL, f"{path[:80]!r} is no path")
    return f"/local/domain/{domid}/{path}" if relative else path


class Tree:
    """`heard(path, exact, node)` is called for each change: `exact` when only watches of this very path are meant."""

    def __init__(self, quotas: Quotas, heard: "Callable[[str, bool, Node], None]") -> None:
        self.quotas = quotas
        self.nodes: dict[str, Node] = {"/": Node(b"", 0, NONE, (), frozenset(), 1)}
        self.special = {path: Node(b"", 0, NONE, (), frozenset(), 1) for path in SPECIAL}
        self.owned = {0: 1}
        self.generation = 1
        self._heard = heard

    def count(self, domid: int) -> int:
        """Nodes that the domain owns."""
        return self.owned.get(domid, 0)

    def begin(self) -> "Change":
        return Change(self)

    def apply(self, change: "Change") -> bool:
        """Carry out all of it; False, and nothing happened, where it collides with what was done since it saw the nodes."""
        for path, generation in change.seen.items():
            now = self.nodes.get(path)
            if (now.generation if now is not None else 0) != generation:
                return False
        self.generation += 1
        for path, node in change.changed.items():
            before = self.nodes.get(path)
            if before is not None:
                self.owned[before.owner] -= 1
            if node is None:
                self.nodes.pop(path, None)
            else:
                self.nodes[path] = attrs.evolve(node, generation=self.generation)
                self.owned[node.owner] = self.owned.get(node.owner, 0) + 1
        for path, exact, last in change.events:
            self._heard(path, exact, last)
        return True


class Change:
    """A transaction, or a single step that is one by itself."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.seen: dict[str, int] = {}
        self.changed: dict[str, Node | None] = {}
        self.events: list[tuple[str, bool, Node]] = []

    def _get(self, path: str) -> "Node | None":
        if path in self.changed:
            return self.changed[path]
        node = self._tree.nodes.get(path)
        self.seen.setdefault(path, node.generation if node is not None else 0)
        return node

    def _ancestor(self, path: str) -> "tuple[str, Node]":
        while True:
            path = parent_of(path)
            node = self._get(path)
            if node is not None:
                return path, node

    def _find(self, domid: int, path: str, wanted: int) -> "Node | None":
        """None where it isn't, if the domain may know that; EACCES otherwise."""
        node = self._get(path)
        if not (node if node is not None else self._ancestor(path)[1]).allows(domid, wanted):
            raise fault(errno.EACCES, f"domain {domid} may not {'write' if wanted & WRITE else 'read'} {path}")
        return node

    def read(self, domid: int, path: str) -> "bytes | None":
        node = self._find(domid, path, READ)
        return None if node is None else node.value

    def list(self, domid: int, path: str) -> "Sequence[str] | None":
        node = self._find(domid, path, READ)
        return None if node is None else sorted(node.children)

    def _put(self, domid: int, path: str, node: Node) -> None:
        if domid and node.size > self._tree.quotas.node_size:
            raise fault(errno.ENOSPC, f"{path} is longer than domain {domid} may make it")
        self.changed[path] = node

    def _owned(self, domid: int) -> int:
        count = self._tree.count(domid)
        for path, node in self.changed.items():
            before = self._tree.nodes.get(path)
            count += (node is not None and node.owner == domid) - (before is not None and before.owner == domid)
        return count

    def _make(self, domid: int, path: str, value: bytes) -> None:
        """With the folders on the way; each has its folder's permissions, and who made it owns it."""
        top, model = self._ancestor(path)
        names = path[len(top) :].strip("/").split("/")
        if domid and self._owned(domid) + len(names) > self._tree.quotas.nodes:
            raise fault(errno.ENOSPC, f"domain {domid} has as many nodes as it may")
        owner = domid or model.owner
        where, folder = top, model
        made: list[tuple[str, Node]] = []
        for name in names:
            made.append((where, attrs.evolve(folder, children=folder.children | {name})))
            where = below(where, name)
            folder = Node(b"", owner, model.others, model.grants, frozenset(), 0)
        made.append((where, attrs.evolve(folder, value=value)))
        for at, node in made:
            self._put(domid, at, node)
        self.events.append((path, False, made[-1][1]))

    def write(self, domid: int, path: str, value: bytes) -> None:
        node = self._find(domid, path, WRITE)
        if node is None:
            self._make(domid, path, value)
        else:
            self._put(domid, path, node := attrs.evolve(node, value=value))
            self.events.append((path, False, node))

    def make(self, domid: int, path: str) -> None:
        if self._find(domid, path, WRITE) is None:
            self._make(domid, path, b"")

    def remove(self, domid: int, path: str) -> None:
        if path == "/":
            raise fault(errno.EINVAL, "the root can't be removed")
        node = self._find(domid, path, WRITE)
        if node is None:
            return
        parent = parent_of(path)
        folder = self._get(parent)
        assert folder is not None
        self.events.append((path, False, node))
        self.changed[parent] = attrs.evolve(folder, children=folder.children - {path.rpartition("/")[2]})
        for where, gone in list(self._walk(path, node)):
            self.changed[where] = None
            if where != path:
                self.events.append((where, True, gone))

    def _walk(self, path: str, node: Node) -> "Iterator[tuple[str, Node]]":
        yield path, node
        for name in sorted(node.children):
            child = self._get(below(path, name))
            assert child is not None
            yield from self._walk(below(path, name), child)

    def permit(self, domid: int, path: str, owner: int, others: int, grants: "tuple[tuple[int, int], ...]") -> None:
        if domid and len(grants) + 1 > self._tree.quotas.permissions:
            raise fault(errno.ENOSPC, f"more than {self._tree.quotas.permissions} permissions of {path}")
        if path in SPECIAL:
            if domid:
                raise fault(errno.EACCES, f"domain {domid} may not permit {path}")
            self._tree.special[path] = attrs.evolve(self._tree.special[path], owner=owner, others=others, grants=grants)
            return
        node = self._get(path)
        if node is None:
            raise fault(errno.ENOENT, f"there is no {path}")
        if domid not in (0, node.owner):
            raise fault(errno.EACCES, f"{path} is domain {node.owner}'s")
        if domid and owner != node.owner:
            raise fault(errno.EPERM, f"domain {domid} may not give {path} away")
        node = attrs.evolve(node, owner=owner, others=others, grants=grants)
        self._put(domid, path, node)
        self.events.append((path, False, node))
