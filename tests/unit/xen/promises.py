"""What every Hypervisor keeps to: functions that take two of them, two programs that may talk to each other, and need no pytest.

`run(pair)` puts them all to whatever `pair()` opens: the simulated machine here, and Xen itself in a domain 0 of its own, which is
the judge of the simulation. On Xen both programs may be in domain 0.
"""

import contextlib
import errno
import select
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from netstack_xen.hypervisor import BAD_ORDER, COPIED, EVERYONE, INTO_PAGE, ORDER, PAGE, Farewell, Hypervisor

Pair = tuple[Hypervisor, Hypervisor]
PROMISES: list[Callable[[Hypervisor, Hypervisor], None]] = []
HOME = "data/promises"
PATIENCE = 5.0  # seconds that a machine of its own gets; what is in this process has none


def promise(function: "Callable[[Hypervisor, Hypervisor], None]") -> "Callable[[Hypervisor, Hypervisor], None]":
    PROMISES.append(function)
    return function


def until(happened: "Callable[[], bool]", *listeners: Hypervisor) -> None:
    """Look again whenever a descriptor is readable; at once and once where there is none."""
    while not happened():
        descriptors = [each.fileno() for each in listeners if each.fileno() is not None]
        assert descriptors and select.select(descriptors, [], [], PATIENCE)[0], "it did not happen"


class Ears:
    """What a program was told, all of it."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.ports: list[int] = []
        self.fired: list[tuple[str, str]] = []

    def listen(self) -> "Ears":
        self.ports += self.hypervisor.pending()
        self.fired += self.hypervisor.store.fired()
        return self

    def hear_port(self, port: int) -> None:
        until(lambda: port in self.listen().ports, self.hypervisor)

    def hear_watch(self, path: str, token: str) -> None:
        until(lambda: (path, token) in self.listen().fired, self.hypervisor)

    def forget(self) -> None:
        self.listen()
        self.ports.clear()
        self.fired.clear()


@contextlib.contextmanager
def refused(*numbers: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        assert not numbers or error.errno in numbers, f"refused with {errno.errorcode.get(error.errno or 0)}: {error}"
    else:
        raise AssertionError("it was not refused")


@contextlib.contextmanager
def raises(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def joined(ours: Hypervisor, theirs: Hypervisor) -> "tuple[int, int]":
    port = ours.allocate(theirs.domid)
    return port, theirs.bind(ours.domid, port)


# -- pages -----------------------------------------------------------------------------------------------------------------------


@promise
def pages_are_zeroed_and_seen_by_both(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 3)
    assert len(shared.refs) == 3 == len(set(shared.refs)) and shared.peer == theirs.domid
    assert len(shared.memory) == 3 * PAGE and not any(shared.memory)
    mapped = theirs.map(ours.domid, shared.refs)
    assert mapped.peer == ours.domid and list(mapped.refs) == list(shared.refs)
    shared.memory[5] = 17
    mapped.memory[2 * PAGE + 1] = 99
    assert mapped.memory[5] == 17 and shared.memory[2 * PAGE + 1] == 99
    theirs.unmap(mapped)
    ours.unshare(shared)


@promise
def pages_are_mapped_in_the_order_that_was_asked_for(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 4)
    for n in range(4):
        shared.memory[n * PAGE] = n + 1
    mapped = theirs.map(ours.domid, [shared.refs[n] for n in (2, 0, 3)])
    assert [mapped.memory[n * PAGE] for n in range(3)] == [3, 1, 4]
    mapped.memory[PAGE] = 50
    assert shared.memory[0] == 50
    theirs.unmap(mapped)
    ours.unshare(shared)


@promise
def a_page_may_be_mapped_twice(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    one, two = theirs.map(ours.domid, shared.refs), theirs.map(ours.domid, shared.refs)
    one.memory[0] = 7
    theirs.unmap(one)
    assert two.memory[0] == 7
    theirs.unmap(two)
    ours.unshare(shared)


@promise
def a_page_that_is_granted_for_reading_is_only_read(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1, writable=False)
    with refused():
        theirs.map(ours.domid, shared.refs)
    mapped = theirs.map(ours.domid, shared.refs, writable=False)
    shared.memory[9] = 1
    assert mapped.memory.readonly and mapped.memory[9] == 1
    with raises(TypeError):
        mapped.memory[9] = 2
    theirs.unmap(mapped)
    ours.unshare(shared)


@promise
def what_is_not_granted_is_not_mapped(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    with refused():
        theirs.map(ours.domid, [shared.refs[0], 1_000_000])
    ours.unshare(shared)


@promise
def a_grant_that_was_ended_is_not_mapped(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    ours.unshare(shared)
    with refused():
        theirs.map(ours.domid, shared.refs)


@promise
def pages_are_held_by_views_of_them(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 2)
    mapped = theirs.map(ours.domid, shared.refs)
    for side, pages, give in ((ours, shared, ours.unshare), (theirs, mapped, theirs.unmap)):
        whole = pages.memory
        part = whole[8:16]
        whole.release()
        with raises(BufferError):
            give(pages)
        part[0] = 5  # nothing happened to it
        part.release()
        assert side.domid >= 0 and pages.memory[8] == 5
    theirs.unmap(mapped)
    ours.unshare(shared)


@promise
def pages_that_are_given_back_have_no_memory(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    mapped = theirs.map(ours.domid, shared.refs)
    theirs.unmap(mapped)
    ours.unshare(shared)
    for pages in (shared, mapped):
        with raises(ValueError):
            pages.memory  # noqa: B018
    with refused(errno.EINVAL):
        ours.unshare(shared)
    with refused(errno.EINVAL):
        theirs.unmap(mapped)


@promise
def pages_of_another_connection_are_not_given_back(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    with refused(errno.EINVAL):
        theirs.unshare(shared)
    with refused(errno.EINVAL):
        ours.unmap(shared)
    shared.memory[0] = 1
    ours.unshare(shared)


@promise
def the_mapper_keeps_what_the_owner_gave_up(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    shared.memory[0:4] = b"kept"
    mapped = theirs.map(ours.domid, shared.refs)
    ours.unshare(shared)
    assert bytes(mapped.memory[0:4]) == b"kept"
    mapped.memory[0] = 0
    theirs.unmap(mapped)


@promise
def more_pages_than_there_are_is_an_error(ours: Hypervisor, theirs: Hypervisor) -> None:
    with refused(errno.ENOSPC, errno.ENOMEM):
        ours.share(theirs.domid, 100_000)


@promise
def a_farewell_clears_a_byte_and_tells_a_port(ours: Hypervisor, theirs: Hypervisor) -> None:
    port, far = joined(ours, theirs)
    ears = Ears(theirs)
    ears.forget()
    shared = ours.share(theirs.domid, 1, farewell=Farewell(20, port))
    mapped = theirs.map(ours.domid, shared.refs)
    shared.memory[19:22] = b"\1\1\1"
    ours.unshare(shared)
    ears.hear_port(far)
    assert bytes(mapped.memory[19:22]) == b"\1\0\1"
    theirs.unmap(mapped)


@promise
def a_mapper_has_a_farewell_too(ours: Hypervisor, theirs: Hypervisor) -> None:
    port, far = joined(ours, theirs)
    ears = Ears(ours)
    ears.forget()
    shared = ours.share(theirs.domid, 1)
    mapped = theirs.map(ours.domid, shared.refs, farewell=Farewell(0, far))
    shared.memory[0] = 1
    theirs.unmap(mapped)
    ears.hear_port(port)
    assert shared.memory[0] == 0
    ours.unshare(shared)


@promise
def a_farewell_is_said_by_who_closes(ours: Hypervisor, theirs: Hypervisor) -> None:
    port, far = joined(ours, theirs)
    ears = Ears(theirs)
    ears.forget()
    shared = ours.share(theirs.domid, 1, farewell=Farewell(0, port))
    mapped = theirs.map(ours.domid, shared.refs)
    shared.memory[0] = 1
    ours.close()
    ears.hear_port(far)
    assert mapped.memory[0] == 0
    theirs.unmap(mapped)


def ordered(*orders: "tuple[int, int, int, int, int]") -> bytearray:
    return bytearray(b"".join(ORDER.pack(*order, -1) for order in orders))


def statuses(orders: bytearray) -> "list[int]":
    return [order[5] for order in ORDER.iter_unpack(orders)]


@promise
def granted_pages_are_copied_without_being_mapped(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 2)
    shared.memory[PAGE + 10 : PAGE + 14] = b"read"
    one, two = bytearray(8), b"..written"
    orders = ordered((shared.refs[1], 10, 4, 2, 0), (shared.refs[0], 4089, 7, 2, 1 | INTO_PAGE))
    theirs.copy(ours.domid, orders, 2, [one, two])
    assert statuses(orders) == [COPIED, COPIED]
    assert one == b"\0\0read\0\0" and bytes(shared.memory[4089:PAGE]) == b"written"
    ours.unshare(shared)


@promise
def a_copy_that_may_not_be_ends_that_order_alone(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared, fixed = ours.share(theirs.domid, 1), ours.share(theirs.domid, 1, writable=False)
    memory = bytearray(b"x" * PAGE)
    orders = ordered(
        (1_000_000, 0, 1, 0, 0),
        (fixed.refs[0], 0, 1, 0, INTO_PAGE),
        (shared.refs[0], 4090, 7, 0, INTO_PAGE),
        (fixed.refs[0], 0, 1, 0, 0),
        (shared.refs[0], 0, 1, 1, INTO_PAGE),
    )
    theirs.copy(ours.domid, orders, 5, [memory])
    found = statuses(orders)
    assert COPIED not in found[:2] and found[2] == BAD_ORDER and found[3:] == [COPIED, COPIED], found
    assert bytes(shared.memory[4090:]) == bytes(6) and fixed.memory[0] == 0
    assert memory[0] == 0 and shared.memory[0] == ord("x")
    ours.unshare(shared)
    with_stale = ordered((shared.refs[0], 0, 1, 0, 0))
    theirs.copy(ours.domid, with_stale, 1, [memory])
    assert statuses(with_stale) != [COPIED]  # a general error, where the number is that of a grant which was
    ours.unshare(fixed)


@promise
def no_more_orders_are_carried_out_than_are_counted(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    orders = ordered((shared.refs[0], 0, 1, 0, INTO_PAGE), (shared.refs[0], 1, 1, 0, INTO_PAGE))
    theirs.copy(ours.domid, orders, 1, [b"x"])
    assert bytes(shared.memory[:2]) == b"x\0" and statuses(orders) == [COPIED, -1]
    ours.unshare(shared)


# -- ports -----------------------------------------------------------------------------------------------------------------------


@promise
def a_port_is_told_by_its_other_end(ours: Hypervisor, theirs: Hypervisor) -> None:
    near, far = joined(ours, theirs)
    our, their = Ears(ours), Ears(theirs)
    their.forget()
    ours.notify(near)
    their.hear_port(far)
    theirs.notify(far)
    our.hear_port(near)


@promise
def who_binds_is_told_once_at_once(ours: Hypervisor, theirs: Hypervisor) -> None:
    _, far = joined(ours, theirs)
    Ears(theirs).hear_port(far)  # something may have been lost before


@promise
def told_twice_is_heard_once_at_least_and_not_more_than_told(ours: Hypervisor, theirs: Hypervisor) -> None:
    near, far = joined(ours, theirs)
    their = Ears(theirs)
    their.hear_port(far)
    their.forget()
    ours.notify(near)
    ours.notify(near)  # on Xen the first may have been handed to the program's queue by now: then this is heard by itself
    their.hear_port(far)
    their.listen()
    assert set(their.ports) == {far} and len(their.ports) <= 2
    their.forget()
    ours.notify(near)
    their.hear_port(far)


@promise
def only_whom_a_port_is_for_binds_it_and_only_one(ours: Hypervisor, theirs: Hypervisor) -> None:
    port = ours.allocate(theirs.domid)
    theirs.bind(ours.domid, port)
    with refused():
        theirs.bind(ours.domid, port)
    strange = ours.allocate(4000)
    with refused():
        theirs.bind(ours.domid, strange)
    with refused():
        theirs.bind(ours.domid, 3999)


@promise
def a_port_whose_other_end_is_gone_takes_it_silently(ours: Hypervisor, theirs: Hypervisor) -> None:
    near, far = joined(ours, theirs)
    theirs.release(far)
    ours.notify(near)


@promise
def a_port_whose_other_end_is_gone_can_be_bound_again(ours: Hypervisor, theirs: Hypervisor) -> None:
    near, far = joined(ours, theirs)
    theirs.release(far)
    again = theirs.bind(ours.domid, near)
    their = Ears(theirs)
    their.forget()
    ours.notify(near)
    their.hear_port(again)


@promise
def a_port_that_was_released_is_nobodys(ours: Hypervisor, theirs: Hypervisor) -> None:
    near, _ = joined(ours, theirs)
    ours.release(near)
    with refused():
        ours.notify(near)
    with refused():
        ours.release(near)


@promise
def ports_of_another_connection_are_not_ours(ours: Hypervisor, theirs: Hypervisor) -> None:
    port = theirs.allocate(ours.domid)
    with refused():
        ours.release(port)
    theirs.release(port)


# -- the store -------------------------------------------------------------------------------------------------------------------


@promise
def what_is_written_is_read(ours: Hypervisor, theirs: Hypervisor) -> None:
    store = ours.store
    assert store.read(f"{HOME}/a/b") is None and store.list(f"{HOME}/a") is None
    store.write(f"{HOME}/a/b", "one")
    assert store.read(f"{HOME}/a/b") == "one" and store.read(f"{HOME}/a") == ""
    assert store.read(f"/local/domain/{ours.domid}/{HOME}/a/b") == "one"
    store.write(f"{HOME}/a/b", "")
    assert store.read(f"{HOME}/a/b") == ""


@promise
def names_below_are_listed(ours: Hypervisor, theirs: Hypervisor) -> None:
    for name in ("x", "y/z", "w"):
        ours.store.write(f"{HOME}/{name}", "1")
    assert sorted(ours.store.list(HOME) or ()) == ["w", "x", "y"] and not ours.store.list(f"{HOME}/x")


@promise
def a_node_is_made_once_and_keeps_its_text(ours: Hypervisor, theirs: Hypervisor) -> None:
    ours.store.make(f"{HOME}/n")
    assert ours.store.read(f"{HOME}/n") == ""
    ours.store.write(f"{HOME}/n", "text")
    ours.store.make(f"{HOME}/n")
    assert ours.store.read(f"{HOME}/n") == "text"


@promise
def what_is_removed_is_gone_with_what_is_below(ours: Hypervisor, theirs: Hypervisor) -> None:
    ours.store.write(f"{HOME}/a/b/c", "1")
    ours.store.remove(f"{HOME}/a")
    assert ours.store.read(f"{HOME}/a/b/c") is None and ours.store.list(HOME) == []
    ours.store.remove(f"{HOME}/a")
    ours.store.remove(f"{HOME}/never/was")


@promise
def bytes_that_are_no_text_come_back_as_they_went(ours: Hypervisor, theirs: Hypervisor) -> None:
    for text in ("grüße", "\udcff\udc80", "a\nb", "x" * 1500):
        ours.store.write(f"{HOME}/t", text)
        assert ours.store.read(f"{HOME}/t") == text


@promise
def what_is_no_path_is_refused(ours: Hypervisor, theirs: Hypervisor) -> None:
    for path in ("", "a//b", "a/", "//", "a b", "a.b", "ä", "\udcff", "ä" * 500, "x" * 4000):
        with refused(errno.EINVAL, errno.ENAMETOOLONG, errno.E2BIG):
            ours.store.write(path, "1")


@promise
def a_text_that_is_too_long_is_refused(ours: Hypervisor, theirs: Hypervisor) -> None:
    with refused(errno.E2BIG, errno.ENOSPC):
        ours.store.write(f"{HOME}/t", "x" * 5000)
    assert ours.store.read(f"{HOME}/t") is None


@promise
def a_node_is_read_by_whom_it_is_for(ours: Hypervisor, theirs: Hypervisor) -> None:
    path = f"/local/domain/{ours.domid}/{HOME}/p"
    ours.store.write(path, "1")
    privileged = 0 in (theirs.domid, ours.domid)
    for readers, writers, may in (
        ((), (), ""),
        ((EVERYONE,), (), "r"),
        ((theirs.domid,), (theirs.domid,), "rw"),
        ((4000,), (), ""),
    ):
        ours.store.permit(path, ours.domid, readers=readers, writers=writers)
        if privileged:
            continue
        for right, call in (("r", lambda: theirs.store.read(path)), ("w", lambda: theirs.store.write(path, "1"))):
            if right in may:
                call()
            else:
                with refused(errno.EACCES):
                    call()


@promise
def a_watch_fires_once_at_once_and_then_for_each_change(ours: Hypervisor, theirs: Hypervisor) -> None:
    ears = Ears(ours)
    ours.store.watch(HOME, "token")
    ears.hear_watch(HOME, "token")
    ears.forget()
    ours.store.write(f"{HOME}/a", "1")
    ears.hear_watch(f"{HOME}/a", "token")
    ears.forget()
    ours.store.remove(f"{HOME}/a")
    ears.hear_watch(f"{HOME}/a", "token")
    ours.store.unwatch(HOME, "token")


@promise
def a_watch_tells_paths_as_it_was_asked(ours: Hypervisor, theirs: Hypervisor) -> None:
    whole = f"/local/domain/{ours.domid}/{HOME}"
    ears = Ears(ours)
    ours.store.watch(HOME, "relative")
    ours.store.watch(whole, "whole")
    ears.hear_watch(HOME, "relative")
    ears.hear_watch(whole, "whole")
    ears.forget()
    ours.store.write(f"{HOME}/k", "1")
    ears.hear_watch(f"{HOME}/k", "relative")
    ears.hear_watch(f"{whole}/k", "whole")


@promise
def a_watch_is_heard_by_another_program(ours: Hypervisor, theirs: Hypervisor) -> None:
    path = f"/local/domain/{ours.domid}/{HOME}/state"
    ours.store.write(path, "1")
    ours.store.permit(path, ours.domid, readers=[theirs.domid])
    ears = Ears(theirs)
    theirs.store.watch(path, "t")
    ears.hear_watch(path, "t")
    ears.forget()
    ours.store.write(path, "2")
    ears.hear_watch(path, "t")
    assert theirs.store.read(path) == "2"


@promise
def a_node_that_goes_with_its_folder_is_heard(ours: Hypervisor, theirs: Hypervisor) -> None:
    ours.store.write(f"{HOME}/a/b/c", "1")
    ears = Ears(ours)
    ours.store.watch(f"{HOME}/a/b/c", "t")
    ears.hear_watch(f"{HOME}/a/b/c", "t")
    ears.forget()
    ours.store.remove(f"{HOME}/a")
    ears.hear_watch(f"{HOME}/a/b/c", "t")


@promise
def a_watch_is_set_once_and_unset_once(ours: Hypervisor, theirs: Hypervisor) -> None:
    ours.store.watch(HOME, "t")
    with refused(errno.EEXIST):
        ours.store.watch(HOME, "t")
    ours.store.watch(HOME, "u")
    ours.store.unwatch(HOME, "t")
    with refused(errno.ENOENT):
        ours.store.unwatch(HOME, "t")
    ears = Ears(ours)
    ears.hear_watch(HOME, "u")
    ears.forget()
    ours.store.write(HOME, "1")
    ears.hear_watch(HOME, "u")
    assert (HOME, "t") not in ears.fired


@promise
def a_transaction_is_all_or_nothing(ours: Hypervisor, theirs: Hypervisor) -> None:
    def change(store: Any) -> None:
        store.write(f"{HOME}/a", "1")
        assert store.read(f"{HOME}/a") == "1" and ours.store.read(f"{HOME}/a") is None
        store.write(f"{HOME}/b", "2")

    ours.store.together(change)
    assert [ours.store.read(f"{HOME}/{name}") for name in "ab"] == ["1", "2"]

    def fail(store: Any) -> None:
        store.write(f"{HOME}/a", "9")
        raise KeyError

    with raises(KeyError):
        ours.store.together(fail)
    assert ours.store.read(f"{HOME}/a") == "1"


@promise
def a_transaction_that_collides_is_done_again(ours: Hypervisor, theirs: Hypervisor) -> None:
    ours.store.write(f"{HOME}/n", "1")
    calls: list[str] = []

    def change(store: Any) -> None:
        calls.append(store.read(f"{HOME}/n"))
        if len(calls) == 1:
            ours.store.write(f"{HOME}/n", "10")
        store.write(f"{HOME}/n", str(int(calls[-1]) + 1))

    ours.store.together(change)
    assert calls == ["1", "10"] and ours.store.read(f"{HOME}/n") == "11"


@promise
def a_transaction_fires_when_it_is_done(ours: Hypervisor, theirs: Hypervisor) -> None:
    ears = Ears(ours)
    ours.store.watch(HOME, "t")
    ears.hear_watch(HOME, "t")
    ears.forget()

    def change(store: Any) -> None:
        store.write(f"{HOME}/a", "1")
        ears.listen()
        assert not ears.fired

    ours.store.together(change)
    ears.hear_watch(f"{HOME}/a", "t")


@promise
def nothing_is_readable_when_nothing_happened(ours: Hypervisor, theirs: Hypervisor) -> None:
    near, far = joined(ours, theirs)
    ears = Ears(theirs)
    ears.hear_port(far)
    descriptor = theirs.fileno()
    if descriptor is not None:
        assert not select.select([descriptor], [], [], 0)[0]
        ours.notify(near)
        assert select.select([descriptor], [], [], PATIENCE)[0]
        ears.forget()
        assert not select.select([descriptor], [], [], 0)[0]
        theirs.store.watch(HOME, "t")
        assert select.select([descriptor], [], [], PATIENCE)[0]


@promise
def what_is_closed_does_nothing_any_more(ours: Hypervisor, theirs: Hypervisor) -> None:
    port = ours.allocate(theirs.domid)
    shared = ours.share(theirs.domid, 1)
    mapped_from = theirs.share(ours.domid, 1)
    ours.map(theirs.domid, mapped_from.refs)
    ours.close()
    ours.close()
    with raises(ValueError):
        shared.memory  # noqa: B018
    with refused():
        theirs.map(ours.domid, shared.refs)
    with refused():
        theirs.bind(ours.domid, port)
    for call in (lambda: ours.allocate(0), lambda: ours.share(0, 1), lambda: ours.store.read("x"), ours.pending):
        with refused():
            call()
    theirs.unshare(mapped_from)


@promise
def a_view_outlives_the_connection_that_is_closed(ours: Hypervisor, theirs: Hypervisor) -> None:
    shared = ours.share(theirs.domid, 1)
    view = shared.memory
    ours.close()
    view[0] = 1  # it does no harm
    assert view[0] == 1
    with raises(ValueError):
        shared.memory  # noqa: B018
    view.release()


def clean(hypervisor: Hypervisor) -> None:
    with contextlib.suppress(OSError):
        hypervisor.store.remove(HOME)


def run(pair: "Callable[[], Pair]", said: "Callable[[str], None]" = print, only: "Sequence[str]" = ()) -> "list[str]":
    """Each of the promises with a fresh pair; the names of those that were broken."""
    broken = []
    for check in PROMISES:
        if only and check.__name__ not in only:
            continue
        ours, theirs = pair()
        clean(ours)
        try:
            check(ours, theirs)
        except Exception as error:
            broken.append(check.__name__)
            said(f"broken: {check.__name__}: {type(error).__name__}: {error}")
        else:
            said(f"kept: {check.__name__}")
        finally:
            clean(ours)
            theirs.close()
            ours.close()
    return broken
