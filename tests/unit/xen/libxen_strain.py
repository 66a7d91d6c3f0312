"""Strains the extension over stand-ins for Xen's libraries: `python libxen_strain.py EXTENSION WORD`, while a sanitizer watches.

    promises   every promise is kept
    faults     every call of a library fails once in each promise: whatever is raised, nothing stays open
    memory     every allocation of Python's fails once in each method
    fork       a child finds everything refused, and lets go of it without a word to the machine
    words      arguments that are none

Each ends with the books: no handle, page, port, watch or transaction is open, and nobody has one reference to None too few.
"""

import contextlib
import ctypes
import errno
import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator

import promises
from netstack_xen.hypervisor import INTO_PAGE, ORDER
from netstack_xen.libxen.connection import LibXen

KINDS = ("handles", "areas", "ports", "watches", "transactions")
ERRORS = (errno.EIO, errno.EAGAIN, errno.ENOENT)  # one that means nothing here, and those that do


def load(path: str) -> ctypes.CDLL:
    """The extension takes the place of the one that was built over Xen's own libraries."""
    name = "netstack_xen.libxen._libxen"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    import netstack_xen.libxen

    netstack_xen.libxen._libxen = module
    return ctypes.CDLL(path)


standin = load(sys.argv[1])
xen = sys.modules["netstack_xen.libxen._libxen"]


def left_open() -> "dict[str, int]":
    if any(standin.standin_open(i) for i in range(len(KINDS))):
        gc.collect()  # tracebacks hold what was in use
    return {kind: n for i, kind in enumerate(KINDS) if (n := standin.standin_open(i))}


@contextlib.contextmanager
def failing(nth: int, error: int = errno.EIO) -> Iterator[None]:
    """Call number `nth` of the libraries fails."""
    standin.standin_fail(nth, error)
    try:
        yield
    finally:
        standin.standin_fail(0, 0)


def strain_promises() -> None:
    broken = promises.run(lambda: (LibXen(), LibXen()), said=lambda line: print(line) if line.startswith("broken") else None)
    assert not broken, broken


def attempt(check: "Callable[[LibXen, LibXen], None]") -> None:
    """As `promises.run`, whatever happens; those that raise take nothing with them."""
    with contextlib.ExitStack() as closing, contextlib.suppress(OSError, AssertionError, ValueError, BufferError, TypeError):
        ours = LibXen()
        closing.callback(ours.close)
        theirs = LibXen()
        closing.callback(theirs.close)
        promises.clean(ours)
        check(ours, theirs)


def strain_faults() -> None:
    promises.PATIENCE = 0.0  # nothing comes later here
    runs = 0
    for check in promises.PROMISES:
        standin.standin_fail(0, 0)
        attempt(check)
        calls = standin.standin_fail(0, 0)
        for nth in range(1, calls + 1):
            for error in ERRORS:
                with failing(nth, error):
                    attempt(check)
                runs += 1
                assert not left_open(), f"{check.__name__}, call {nth}, {errno.errorcode[error]}: {left_open()}"
    print(f"{runs} faults in {len(promises.PROMISES)} promises")
    assert runs > 1000


# -- methods, one by one ---------------------------------------------------------------------------------------------------------


class Things:
    """One of each type, and what methods are called with."""

    def __init__(self) -> None:
        self.grants, self.events, self.store = xen.Grants(), xen.Events(), xen.Store()
        self.shared = self.grants.share(0, 2, True, -1, -1)
        self.port = self.events.allocate(0)
        self.bytes = bytearray(64)
        self.store.write(0, "/a/b", "text")
        self.store.write(0, "/a/c", "")

    def end(self) -> None:
        self.events.close()
        self.store.close()
        self.grants.close()

    def orders(self) -> bytearray:
        first, second = self.shared.refs
        return bytearray(ORDER.pack(first, 0, 4, 0, 0, -1) + ORDER.pack(second, 8, 4, 1, 1 | INTO_PAGE, -1))


def pending(things: Things) -> object:
    port = things.events.bind(0, things.port)  # which tells at once
    try:
        return things.events.pending()
    finally:
        things.events.release(port)


def fired(things: Things) -> object:
    things.store.watch("/a", "token")
    try:
        return things.store.fired()
    finally:
        things.store.unwatch("/a", "token")


def transaction(things: Things) -> None:
    number = things.store.begin()
    try:
        things.store.write(number, "/a/b", "other")
    finally:
        assert things.store.end(number, False)


def views(things: Things) -> None:
    mapped = things.grants.map(0, things.shared.refs[:1], True, 0, things.port)
    view = mapped.memory
    view[5] = 1
    try:
        mapped.drop()
    except BufferError:
        view.release()
        mapped.drop()
    else:
        raise AssertionError("pages were unmapped under a view")


METHODS: "list[Callable[[Things], object]]" = [
    lambda things: things.grants.share(0, 3, True, -1, -1).refs,
    lambda things: things.grants.share(0, 1, False, 7, things.port).drop(),
    lambda things: things.grants.map(0, things.shared.refs, True, -1, -1).refs,
    lambda things: things.grants.map(0, (1_000_000,), True, -1, -1),
    views,
    lambda things: things.shared.memory[0],
    lambda things: things.shared.peer,
    lambda things: things.grants.copy(0, things.orders(), 2, [bytearray(8), b"12345678"]),
    lambda things: things.grants.copy(0, things.orders(), 2, [b"read-only", b"12345678"]),
    lambda things: things.events.release(things.events.allocate(0)),
    lambda things: things.events.notify(things.port),
    lambda things: things.events.release(4_000_000_000),
    pending,
    fired,
    transaction,
    lambda things: things.store.read(0, "/a/b"),
    lambda things: things.store.read(0, "/no/such/node"),
    lambda things: things.store.read(0, "no path/é\udcff" * 40),
    lambda things: things.store.list(0, "/a"),
    lambda things: things.store.write(0, "/a/d", "text"),
    lambda things: things.store.write(0, "/a/d", "x" * 5000),
    lambda things: (things.store.make(0, "/a/e"), things.store.remove(0, "/a/e"), things.store.remove(0, "/a/e")),
    lambda things: things.store.permit(0, "/a/b", ((0, 0), (3, 1))),
    lambda things: Things().end(),
]


def strain_memory() -> None:
    import _testcapi

    refused = 0
    for number, method in enumerate(METHODS):
        things = Things()
        for nth in range(1, 400):
            before = refused
            try:
                _testcapi.set_nomemory(nth, nth + 1)
                try:
                    method(things)
                finally:
                    _testcapi.remove_mem_hooks()
            except MemoryError:
                refused += 1
            except (OSError, OverflowError, BufferError):
                pass
            if before == refused and nth > 60:
                break
        else:
            raise AssertionError(f"method {number} never had memory enough")
        with contextlib.suppress(OSError):
            things.store.unwatch("/a", "token")
        things.end()
        del things
        assert not {kind: n for kind, n in left_open().items() if kind != "transactions"}, f"method {number}: {left_open()}"
    print(f"{refused} allocations failed in {len(METHODS)} methods")
    assert refused > 50


def strain_fork() -> None:
    things = Things()
    mapped = things.grants.map(0, things.shared.refs, True, -1, -1)
    view = things.shared.memory
    child = os.fork()
    if child == 0:
        calls = [
            lambda: things.grants.share(0, 1, True, -1, -1),
            lambda: things.grants.map(0, (8,), True, -1, -1),
            lambda: things.grants.copy(0, bytearray(16), 0, []),
            lambda: mapped.memory,
            lambda: things.shared.memory,
            things.events.pending,
            things.events.fileno,
            lambda: things.events.allocate(0),
            lambda: things.events.notify(things.port),
            lambda: things.store.read(0, "/a/b"),
            things.store.fired,
            things.store.fileno,
        ]
        taken = []
        for i, call in enumerate(calls):
            try:
                call()
            except (OSError, BufferError, ValueError):
                continue
            taken.append(i)
        mapped.drop()
        view.release()
        things.end()
        del things, mapped, view, calls, call
        status = len(taken) * 10 + bool({kind: n for kind, n in left_open().items() if kind == "handles"})
        print("the child was not refused", taken) if taken else None
        sys.stdout.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
    view[0] = 3  # all of it is still there
    assert mapped.memory[0] == 3 and things.store.read(0, "/a/b") == "text"
    things.events.notify(things.port)
    view.release()
    mapped.drop()
    things.end()


def strain_words() -> None:
    things = Things()
    big = 1 << 32
    refs = things.shared.refs
    words: "list[Callable[[], object]]" = [
        lambda: things.grants.share(-1, 1, True, -1, -1),
        lambda: things.grants.share(big, 1, True, -1, -1),
        lambda: things.grants.share(0, 0, True, -1, -1),
        lambda: things.grants.share(0, -1, True, -1, -1),
        lambda: things.grants.share(0, big * big, True, -1, -1),
        lambda: things.grants.share(0, 2, True, 0, -1),
        lambda: things.grants.share(0, 1, True, 4096, -1),
        lambda: things.grants.share(0, 1, True, big, -1),
        lambda: things.grants.share(0, 1, True, -1, big),
        lambda: things.grants.share(0, 1, True),
        lambda: things.grants.share("0", "1", True, None, None),
        lambda: things.grants.map(0, [8], True, -1, -1),
        lambda: things.grants.map(0, (), True, -1, -1),
        lambda: things.grants.map(0, ("8",), True, -1, -1),
        lambda: things.grants.map(0, (refs[0] + big,), True, -1, -1),
        lambda: things.grants.map(0, (-1,), True, -1, -1),
        lambda: things.grants.copy(0, bytearray(16), 2, []),
        lambda: things.grants.copy(0, bytearray(16), -1, []),
        lambda: things.grants.copy(0, bytes(16), 1, []),
        lambda: things.grants.copy(0, memoryview(bytearray(33))[1:], 2, []),
        lambda: things.grants.copy(0, things.orders(), 2, [bytearray(8), 5]),
        lambda: things.grants.copy(0, things.orders(), 2, 5),
        lambda: things.grants.copy(0x10000, things.orders(), 2, [bytearray(8), b"12345678"]),
        lambda: things.events.allocate("0"),
        lambda: things.events.bind(0, big + things.port),
        lambda: things.events.bind(0),
        lambda: things.store.read(0),
        lambda: things.store.read(0, 5),
        lambda: things.store.read(0, "/a\0b"),
        lambda: things.store.read(-1, "/a"),
        lambda: things.store.read(0, "\udcff"),
        lambda: things.store.write(0, "/a", b"bytes"),
        lambda: things.store.write(0, "/a", "\ud800"),
        lambda: things.store.permit(0, "/a", ()),
        lambda: things.store.permit(0, "/a", (5,)),
        lambda: things.store.permit(0, "/a", ((0, big),)),
        lambda: things.store.permit(0, "/a", ((0, 0),) * 100_000),
        lambda: things.store.watch("/a"),
        lambda: things.store.watch("/a", "b\0"),
        lambda: xen.Memory(),
        lambda: things.events.__class__.__bases__[0].__new__(xen.Memory),
    ]
    for i, call in enumerate(words):
        for _ in range(50):
            try:
                call()
            except (OSError, TypeError, ValueError, OverflowError, BufferError):
                continue
            raise AssertionError(f"word {i} was taken")
    # an order past the end of our memory, of the page, or of what there is, is nobody's loss
    wrong = ((0, 4, 61, 0), (4093, 4, 0, 0), (0, 1, 0, 1))
    orders = bytearray(b"".join(ORDER.pack(refs[0], *order, 0) for order in wrong))
    things.grants.copy(0, orders, 3, [things.bytes])
    assert [order[5] for order in ORDER.iter_unpack(orders)] == [-10, -10, -10]
    with contextlib.suppress(OSError):  # what is told of a failure has room for part of a path
        things.store.read(0, "ä b" * 500)
    shared = things.grants.share(0, 1, True, *(0, things.port))
    del shared  # never dropped: it goes with its last reference, farewell and all
    things.end()


def main() -> None:
    strain = globals()[f"strain_{sys.argv[2]}"]
    none = sys.getrefcount(None)
    strain()
    assert sys.getrefcount(None) > none - 100, "somebody has given None away"
    assert not {kind: n for kind, n in left_open().items() if sys.argv[2] != "memory" or kind != "transactions"}, left_open()
    print("even")


if __name__ == "__main__":
    main()
