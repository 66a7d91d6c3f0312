"""What the simulated machine does when things end badly: books, killed programs, domains that go, notifications that go astray."""

import errno
import random

import pytest
from netstack_xen.hypervisor import Farewell
from netstack_xen.simulated import Machine, Quotas, Trouble


@pytest.fixture
def machine():
    with Machine() as made:
        yield made


def joined(ours, theirs):
    port = ours.allocate(theirs.domid)
    return port, theirs.bind(ours.domid, port)


# -- books -----------------------------------------------------------------------------------------------------------------------


def test_the_books_say_who_has_what_since_when_and_from_where(machine):
    program = machine.domain(1)
    machine.advance(77)
    shared = program.share(2, 1)
    (entry,) = machine.books.of(1)
    assert (entry.kind, entry.since, entry.what) == ("grant", 77, f"{shared.refs[0]} to domain 2")
    assert entry.where.startswith("test_simulated_machine.py:")
    with pytest.raises(AssertionError, match="1 not given back:\n  grant"):
        machine.books.assert_even()
    program.close()
    machine.books.assert_even()


@pytest.mark.parametrize(
    ("kind", "misuse"),
    [
        ("use after end", lambda ours, theirs, pages: (ours.unshare(pages), pages.memory)),
        ("double release", lambda ours, theirs, pages: (ours.unshare(pages), ours.unshare(pages))),
        ("not its pages", lambda ours, theirs, pages: theirs.unshare(pages)),
        ("not granted", lambda ours, theirs, pages: theirs.map(1, [5000])),
        ("not granted", lambda ours, theirs, pages: (ours.unshare(pages), theirs.map(1, pages.refs))),
        ("not granted", lambda ours, theirs, pages: ours.map(1, pages.refs)),
        ("not its port", lambda ours, theirs, pages: ours.notify(5)),
        ("not bound", lambda ours, theirs, pages: theirs.bind(1, 99)),
        ("use after close", lambda ours, theirs, pages: (ours.close(), ours.allocate(2))),
    ],
)
def test_what_should_not_have_been_done_is_refused_and_noted(machine, kind, misuse):
    ours, theirs = machine.domain(1), machine.domain(2)
    pages = ours.share(2, 1)
    with pytest.raises((OSError, ValueError)):
        misuse(ours, theirs, pages)
    assert [note.kind for note in machine.books.notes] == [kind]
    with pytest.raises(AssertionError, match=f"1 noted:\n  {kind}"):
        machine.books.assert_clean()


def test_numbers_are_not_used_again(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    seen, ports = set(), set()
    for _ in range(20):
        pages = ours.share(2, 3)
        port = ours.allocate(2)
        assert seen.isdisjoint(pages.refs) and port not in ports
        seen |= set(pages.refs)
        ports.add(port)
        ours.unshare(pages)
        ours.release(port)
    assert theirs.domid == 2 and not machine.books.notes


def test_what_is_unshared_while_it_is_mapped_is_noted_and_stays_until_it_is_unmapped(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    pages = ours.share(2, 1)
    pages.memory[:4] = b"kept"
    mapped = theirs.map(1, pages.refs)
    ours.unshare(pages)
    assert bytes(mapped.memory[:4]) == b"kept"
    assert [note.kind for note in machine.books.notes] == ["still mapped"]
    assert {entry.kind for entry in machine.books.of()} == {"grant", "mapping"}
    theirs.unmap(mapped)
    machine.books.assert_even()


# -- ends ------------------------------------------------------------------------------------------------------------------------


def test_a_killed_program_gives_back_all_and_says_its_farewells(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    near, far = joined(ours, theirs)
    assert theirs.pending() == [far]
    pages = ours.share(2, 2, farewell=Farewell(4096 + 7, near))
    ours.store.watch("data", "t")
    mapped = theirs.map(1, pages.refs)
    view = pages.memory
    view[4096 + 7] = 1
    machine.kill(ours)
    assert theirs.pending() == [far] and mapped.memory[4096 + 7] == 0
    view[0] = 9  # it can't be stopped here, but what it writes goes nowhere
    assert mapped.memory[0] == 0
    with pytest.raises(OSError, match="was killed"):
        ours.allocate(2)
    theirs.unmap(mapped)
    theirs.release(far)
    machine.books.assert_even()


def test_a_port_in_a_farewell_is_told_even_when_it_was_released(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    near, far = joined(ours, theirs)
    theirs.pending()
    ours.share(2, 1, farewell=Farewell(None, near))
    ours.release(near)
    assert theirs.pending() == []
    machine.kill(ours)
    assert theirs.pending() == [far]
    theirs.close()
    machine.books.assert_even()


def test_killed_in_the_middle_of_a_transaction_nothing_of_it_is_written(machine):
    ours = machine.domain(1)

    def change(store):
        store.write("data/half", "1")
        machine.kill(ours)
        store.write("data/other", "1")

    with pytest.raises(OSError, match="was killed"):
        ours.store.together(change)
    assert machine.domain(1).store.list("data") == []


def test_who_watches_for_it_hears_of_a_domain_that_is_made_and_of_one_that_is_destroyed(machine):
    tools, guest = machine.domain(0), machine.domain(3)
    for path in ("@introduceDomain", "@releaseDomain"):
        tools.store.watch(path, "t")
        guest.store.watch(path, "t")
    tools.store.fired(), guest.store.fired()
    machine.domain(4)
    assert tools.store.fired() == [("@introduceDomain", "t")] and guest.store.fired() == []
    machine.destroy(4)
    assert tools.store.fired() == [("@releaseDomain", "t")] and guest.store.fired() == []
    tools.store.permit("@releaseDomain", 0, readers=[3])
    machine.destroy(5)
    assert guest.store.fired() == [("@releaseDomain", "t")]


def test_pages_of_a_domain_that_is_destroyed_stay_for_who_maps_them(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    pages = ours.share(2, 1)
    pages.memory[0] = 5
    mapped = theirs.map(1, pages.refs)
    machine.destroy(1)
    assert mapped.memory[0] == 5
    theirs.close()
    machine.books.assert_even()


def test_a_resumed_domain_has_its_memory_and_its_watches_but_no_grants_and_no_ports(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    near, far = joined(ours, theirs)
    pages = ours.share(2, 1)
    pages.memory[0] = 5
    ours.store.watch("data", "t")
    ours.store.fired()
    machine.suspend(1)
    machine.resume(1, 9)
    assert ours.domid == 9 and ours.store.fired() == [("data", "t")] and pages.memory[0] == 5
    with pytest.raises(OSError, match="stale"):
        theirs.map(1, pages.refs)
    with pytest.raises(OSError, match="suspended"):
        ours.notify(near)
    theirs.notify(far)
    assert ours.pending() == []
    ours.store.write("data/x", "1")
    assert ours.store.fired() == [("data/x", "t")] and machine.domain(0).store.read("/local/domain/9/data/x") == "1"
    ours.unshare(pages)
    ours.release(near)
    theirs.release(far)
    ours.store.unwatch("data", "t")
    machine.books.assert_even()


# -- the store -------------------------------------------------------------------------------------------------------------------


def test_a_store_that_is_gone_raises_and_fires_all_when_it_is_back(machine):
    ours = machine.domain(1)
    woken = []
    ours.store.watch("data", "t")
    ours.store.fired()
    ours.set_waker(lambda: woken.append(1))
    machine.stop_store()
    assert woken
    for call in (ours.store.fired, lambda: ours.store.read("data"), lambda: ours.store.together(print)):
        with pytest.raises(BrokenPipeError):
            call()
    machine.start_store()
    assert ours.store.fired() == [("data", "t")] and ours.store.read("data") == ""


def test_a_connection_to_the_store_that_was_cut_stays_so(machine):
    ours, other = machine.domain(0), machine.domain(0)
    machine.cut_store(ours)
    with pytest.raises(BrokenPipeError):
        ours.store.read("name")
    assert other.store.read("name") == "Domain-0"
    ours.close()


def test_transactions_collide_on_what_they_saw_and_on_folders_that_changed(machine):
    ours, tools = machine.domain(1), machine.domain(0)
    for seen, spoilt, collides in (("data/a", "data/a", True), ("data/a", "data/b", True), ("data/a", "attr/b", False)):
        tries = []
        machine.collide(lambda spoilt=spoilt: tools.store.write(f"/local/domain/1/{spoilt}", "x"))
        ours.store.together(lambda store, seen=seen, tries=tries: (tries.append(store.read(seen)), store.write(seen, "1")))
        assert len(tries) == 1 + collides, (seen, spoilt)
        ours.store.remove("data/a")
        ours.store.remove("data/b")


def test_a_transaction_that_always_collides_gives_up(machine):
    ours, tools = machine.domain(1), machine.domain(0)
    for _ in range(200):
        machine.collide(lambda: tools.store.write("/local/domain/1/data/a", "x"))
    with pytest.raises(BlockingIOError):
        ours.store.together(lambda store: store.write("data/a", "1"))


def test_who_makes_a_node_owns_it_and_it_has_its_folders_permissions(machine):
    tools, one, two = machine.domain(0), machine.domain(1), machine.domain(2)
    tools.store.permit("/local/domain/1/data", 1, writers=[2], readers=[2])
    two.store.write("/local/domain/1/data/by2", "x")
    with pytest.raises(PermissionError):
        one.store.write("data/by2", "y")
    tools.store.write("/local/domain/1/data/by0", "x")
    assert one.store.read("data/by0") == "x"
    one.store.write("data/by0", "owned by whose folder it is")
    with pytest.raises(PermissionError):
        one.store.permit("data/by2", 1)
    with pytest.raises(PermissionError):
        one.store.permit("data/by0", 2)
    with pytest.raises(PermissionError):
        two.store.read("/local/domain/1/name/deeper")


def test_a_watch_tells_nothing_of_what_may_not_be_read(machine):
    one, two = machine.domain(1), machine.domain(2)
    two.store.watch("/local/domain/1/data", "t")
    assert two.store.fired() == [("/local/domain/1/data", "t")]
    one.store.write("data/secret", "1")
    assert two.store.fired() == []


def test_a_domain_has_quotas_and_domain_0_has_none():
    with Machine(quotas=Quotas(nodes=20, watches=2, node_size=100, permissions=3)) as machine:
        ours, tools = machine.domain(1), machine.domain(0)
        with pytest.raises(OSError, match="as many nodes") as caught:
            for n in range(30):
                ours.store.write(f"data/{n}", "")
        assert caught.value.errno == errno.ENOSPC
        ours.store.remove("data/0")
        ours.store.write("data/again", "")
        with pytest.raises(OSError, match="longer"):
            ours.store.write("data/again", "x" * 101)
        for n in range(2):
            ours.store.watch("data", str(n))
        with pytest.raises(OSError, match="watches") as caught:
            ours.store.watch("data", "3")
        assert caught.value.errno == errno.E2BIG
        with pytest.raises(OSError, match="permissions"):
            ours.store.permit("data/again", 1, readers=[2, 3, 4])
        for n in range(40):
            tools.store.write(f"data/{n}", "x" * 200)


# -- notifications ---------------------------------------------------------------------------------------------------------------


def test_notifications_are_lost_late_and_spurious_on_request(machine, seed):
    ours, theirs = machine.domain(1), machine.domain(2)
    near, far = joined(ours, theirs)
    theirs.pending()
    machine.trouble = Trouble(random.Random(seed), lost=1)
    ours.notify(near)
    assert theirs.pending() == [] and machine.next_deadline() is None
    machine.trouble = Trouble(random.Random(seed), late=1, delay=50)
    ours.notify(near)
    assert theirs.pending() == [] and machine.next_deadline() == 50
    machine.advance(49)
    assert theirs.pending() == []
    machine.advance(50)
    assert theirs.pending() == [far]
    machine.trouble = Trouble(random.Random(seed), spurious=1, lost=1)
    ours.notify(near)
    assert (list(ours.pending()), list(theirs.pending())) in (([near], []), ([], [far]))
    assert machine.trouble.counters == {"lost": 1, "late": 0, "spurious": 1}


def test_the_waker_is_called_when_there_is_something_and_nothing_was_asked_for_yet(machine):
    ours, theirs = machine.domain(1), machine.domain(2)
    near, far = joined(ours, theirs)
    woken = []
    theirs.set_waker(lambda: woken.append(1))
    assert len(woken) == 1  # it was told by binding
    theirs.pending()
    ours.notify(near)
    ours.notify(near)
    assert len(woken) == 2 and theirs.pending() == [far]
    theirs.store.watch("data", "t")
    assert len(woken) == 3
