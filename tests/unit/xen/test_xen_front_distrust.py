"""A back end that lies: what each lie costs, and that it costs no more."""

import contextlib
import random
import struct

import pytest
from front_world import SECOND, FrontWorld
from netstack_xen import slots
from netstack_xen.front import Phase
from netstack_xen.simulated import toolstack
from xen_world import tcp_frame, whole

from netstack import const

FRAME = whole(b"honest")


class Liar:
    """Answers requests of the first queue by hand."""

    def __init__(self, world: FrontWorld) -> None:
        self.world = world
        self.mine = world.front.queues[0]
        self.queue = world.back.queues[0]

    def page(self, ahead: int = 0) -> memoryview:
        """That which is posted in the slot that is answered next, or `ahead` of it."""
        slot = self.queue.rx.req_cons + ahead & 255
        return self.mine.rx_pages[self.mine.rx_at[slot]]

    def rx(self, *answers: "tuple[int, int, int] | bytes", id: "int | None" = None) -> None:
        """(offset, flags, status) in the slot of each request, or the eight bytes of an extra."""
        ring = self.queue.rx
        for answer in answers:
            slot = ring.req_cons & 255
            ring.consume()
            if isinstance(answer, bytes):
                ring.respond(answer)
            else:
                offset, flags, status = answer
                ring.respond(struct.pack("=HHHh", slot if id is None else id, offset, flags, status))
        ring.push()
        self.world.front.poll(self.world.now)

    def honest(self) -> None:
        self.page()[: len(FRAME)] = FRAME
        self.rx((0, 0, len(FRAME)))

    def tx(self, id: int, status: int = 0) -> None:
        ring = self.queue.tx
        ring.consume()
        ring.respond(struct.pack("=Hh", id & 0xFFFF, status))
        ring.push()


def gso(size=1460, kind=1, more=0, features=0, type=1) -> bytes:
    return struct.pack("=BBHBBH", type, more, size, kind, 0, features)


MORE, EXTRA = slots.RX_MORE_DATA, slots.RX_EXTRA_INFO
TCP4 = tcp_frame(bytes(3000))

LIES = {
    "an error": ([(0, 0, -1)], "InErrors"),
    "a status that means nothing": ([(0, 0, -32768)], "InErrors"),
    "over the border": ([(4000, 0, 97)], "InBadSize"),
    "an offset beyond the page": ([(65535, 0, 1)], "InBadSize"),
    "more than a page": ([(0, 0, 4097)], "InBadSize"),
    "more than a page, as far as it goes": ([(0, 0, 32767)], "InBadSize"),
    "nothing": ([(0, 0, 0)], "InTooShort"),
    "thirteen bytes": ([(0, 0, 13)], "InTooShort"),
    "seventeen pages": ([(0, MORE, 4096)] * 16 + [(0, 0, 4096)], "InTooLong"),
    "an error in the middle": ([(0, MORE, 100), (0, MORE, -2), (0, 0, 100)], "InErrors"),
    "an extra of no type": ([(0, EXTRA, 60), bytes(8)], "InBadExtra"),
    "an extra of a type to come": ([(0, EXTRA, 60), b"\x05" + bytes(7)], "InBadExtra"),
    "a multicast group": ([(0, EXTRA, 60), b"\x02\0\x01\0\x5e\0\0\x01"], "InBadExtra"),
    "two sizes": ([(0, EXTRA, 3054), gso(more=1), gso()], "InBadExtra"),
    "segments of no size": ([(0, EXTRA, 3054), gso(size=0)], "InBadGso"),
    "segments of no kind": ([(0, EXTRA, 3054), gso(kind=0)], "InBadGso"),
    "segments of a kind to come": ([(0, EXTRA, 3054), gso(kind=3)], "InBadGso"),
    "segments with features": ([(0, EXTRA, 3054), gso(features=1)], "InBadGso"),
    "segments of IPv6 in IPv4": ([(0, EXTRA, 3054), gso(kind=2)], "InBadGso"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_wrong_with_a_frame_costs_that_frame(lie):
    answers, counter = LIES[lie]
    with FrontWorld() as world:
        liar = Liar(world)
        for ahead in range(len(answers)):
            liar.page(ahead)[: len(TCP4)] = TCP4
        liar.rx(*answers)
        assert world.got.frames == []
        assert getattr(world.front.mib, counter) == 1
        liar.honest()
        assert [frame for frame, _, _ in world.got.frames] == [FRAME]
        assert world.front.mib.InFrames == 2
        world.settle()
        assert world.phase() is Phase.CONNECTED
        ring = world.front.queues[0].rx
        assert ring.unanswered() == len(world.front.queues[0].rx_pages), "all pages are posted again"


def test_an_answer_in_another_slot_costs_the_frame():
    with FrontWorld() as world:
        liar = Liar(world)
        liar.rx((0, 0, 60), id=77)
        assert world.front.mib.InBadId == 1
        liar.honest()
        assert len(world.got.frames) == 1


def test_a_hash_beside_a_frame_is_no_fault():
    with FrontWorld() as world:
        liar = Liar(world)
        liar.page()[: len(TCP4)] = TCP4
        liar.rx((0, EXTRA | slots.RX_CSUM_BLANK, len(TCP4)), gso(more=1), b"\x04\0\x01\x01\x12\x34\x56\x78")
        assert world.got.frames == [(TCP4, const.CSUM_PARTIAL, 1460)]


def test_super_segments_that_were_not_asked_for_are_not_taken():
    with FrontWorld(offload="csum") as world:
        liar = Liar(world)
        liar.page()[: len(TCP4)] = TCP4
        liar.rx((0, EXTRA | slots.RX_CSUM_BLANK, len(TCP4)), gso())
        assert world.front.mib.InBadGso == 1
        assert world.got.frames == []


def test_a_blank_checksum_that_was_not_asked_for_is_completed_or_refused():
    with FrontWorld(offload="no") as world:
        liar = Liar(world)
        blank = tcp_frame(b"blank")
        liar.page()[: len(blank)] = blank
        liar.rx((0, slots.RX_CSUM_BLANK, len(blank)))
        assert world.got.frames == [(whole(b"blank"), const.CSUM_GOOD, 0)]
        for at, text in ((12, b"\x08\x06"), (23, b"\x01"), (16, b"\xff\xff")):  # ARP, ICMP, longer than it is
            spoilt = blank[:at] + text + blank[at + len(text) :]
            liar.page()[: len(spoilt)] = spoilt
            liar.rx((0, slots.RX_CSUM_BLANK, len(spoilt)))
        assert world.front.mib.InUnfinished == 3
        assert len(world.got.frames) == 1


def test_a_frame_of_which_the_rest_comes_later_waits_for_it():
    with FrontWorld() as world:
        liar = Liar(world)
        frame = whole(bytes(5000))
        for i in range(2):
            part = frame[i * 4096 : (i + 1) * 4096]
            liar.page()[: len(part)] = part
            liar.rx((0, 0 if i else MORE, len(part)))
            assert len(world.got.frames) == i
        assert world.got.frames[0][0] == frame


@pytest.mark.parametrize("slot", [(0, MORE, 10), (0, MORE, 0)])
def test_a_frame_without_an_end_is_dropped_at_last(slot):
    with FrontWorld() as world:
        liar = Liar(world)
        for _ in range(200):
            liar.rx(slot)
        assert world.front.mib.InTooLong >= 3
        liar.rx((0, 0, 10))
        liar.honest()
        assert [frame for frame, _, _ in world.got.frames] == [FRAME]


@pytest.mark.parametrize("claim", [1000, 0x80000000, 0xFFFFFFFF, 65])
@pytest.mark.parametrize("ring", ["tx", "rx"])
def test_who_claims_to_have_answered_more_than_was_asked_is_left_and_come_back_to(ring, claim):
    with FrontWorld() as world:
        world.send(FRAME)
        lied = getattr(world.back.queues[0], ring)
        lied.set(8, lied.get(8) + claim)
        for _ in range(255 if ring == "tx" else 1):
            world.send(FRAME)
        world.front.poll(world.now)
        world.front.poll(world.now)
        assert world.front.mib.FatalProducer == 1
        assert world.phase() is Phase.CLOSING
        assert world.events() == ["connected", "lost"]
        assert "Fatal" in world.tools.store.read("/local/domain/1/error/device/vif/0/error")
        world.later(20 * SECOND)
        assert world.states() == ("4", "4")
        world.at_back.clear()
        world.send(FRAME)
        world.settle()
        assert [unit.frame for unit in world.at_back] == [FRAME]


@pytest.mark.parametrize(
    ("answers", "counter"),
    [
        ([(9999, 0)], "FatalId"),
        ([(3, 0)], "FatalId"),  # is free
        ([(None, 0), (None, 0)], "FatalId"),  # twice the same
        ([(0, 1)], "FatalNull"),
    ],
)
def test_an_answer_to_nothing_ends_the_connection(answers, counter):
    with FrontWorld() as world:
        liar = Liar(world)
        world.send(FRAME)
        world.send(FRAME)
        under_way = next(i for i, flying in enumerate(liar.mine.flying) if flying)
        for id, status in answers:
            liar.tx(under_way if id is None else id, status)
        assert liar.mine.collect() < 0
        world.send(FRAME)
        world.front.poll(world.now)
        assert getattr(world.front.mib, counter) == 1
        assert world.phase() is Phase.CLOSING
        world.later(20 * SECOND)
        assert world.states() == ("4", "4")


def test_what_is_said_of_sent_frames_is_counted():
    with FrontWorld() as world:
        liar = Liar(world)
        for status in (-1, -2, 5, -77, 0):
            world.send(FRAME)
            liar.tx(next(i for i, flying in enumerate(liar.mine.flying) if flying), status)
        world.front.queues[0].collect()
        mib = world.front.mib
        assert (mib.OutErrors, mib.OutDropped, mib.OutBadStatus) == (1, 1, 2)
        assert not any(liar.mine.flying)


def test_nothing_is_looked_at_after_it_was_given_back():
    with FrontWorld() as world:
        queue = world.front.queues[0]
        view, ring = queue.rx_pages[0], queue.rx
        world.front.close()
        for look in (lambda: view[0], lambda: ring.waiting(), lambda: ring.final_check(1)):
            with pytest.raises(ValueError, match="released"):
                look()
        world.settle_back()


def test_whoever_closes_the_interface_from_a_callback_ends_the_batch():
    with FrontWorld() as world:
        from netstack_xen.simulated.units import Unit

        for _ in range(10):
            world.back.send(Unit(FRAME), world.now)
        on_input = world.got.on_input

        def close(f):
            on_input(f)
            world.front.close()

        world.got.on_input = close
        world.front.poll(world.now)
        with pytest.raises(OSError, match="closed"):
            world.front.poll(world.now)
        assert len(world.got.frames) == 1
        world.settle_back()


@pytest.mark.parametrize("state", ["", "x", "9", "-1", "99999999999999999999999", "4 4", "٤"])
def test_a_state_that_is_none_is_as_good_as_no_back_end(state):
    with FrontWorld() as world:
        world.host.store.write(f"{world.vif.backend}/state", state)
        world.settle()
        assert world.phase() is not Phase.CONNECTED
        world.later(8 * SECOND)
        assert world.states() == ("4", "4"), "we have closed, and it has found its words again"


@pytest.mark.parametrize("new", [None, 7])
def test_after_resuming_everything_is_new(new):
    with FrontWorld(queues=2) as world:
        old = [ref for queue in world.front.queues for ref in queue.rx_refs]
        world.machine.suspend(1)
        world.machine.kill(world.host)  # the other machine has another domain 0
        world.send(FRAME)  # nobody has told us yet
        world.machine.resume(1, new)
        world.back = world.host = None
        world.vif = toolstack.add_vif(world.tools.store, new or 1)
        world.start_back()
        world.later(SECOND)
        assert world.states() == ("4", "4")
        assert world.events() == ["connected", "steering", "lost", "connected", "steering"]
        assert not set(old) & {ref for queue in world.front.queues for ref in queue.rx_refs} or new
        world.send(FRAME)
        world.settle()
        assert [unit.frame for unit in world.at_back] == [FRAME]


def test_a_store_that_is_gone_costs_nothing_but_news():
    with FrontWorld() as world:
        world.machine.stop_store()
        with contextlib.suppress(OSError):
            world.back.poll(world.now)
        for _ in range(3):
            world.front.poll(world.now)
        world.send(FRAME)
        with contextlib.suppress(OSError):
            world.back.poll(world.now)
        assert world.events() == ["connected", "store"]
        world.machine.start_store()
        world.later(3 * SECOND)
        assert [unit.frame for unit in world.at_back] == [FRAME]
        assert world.phase() is Phase.CONNECTED


def test_whatever_stands_in_the_rings_and_in_the_store_all_is_given_back(seed):
    """A back end that writes what it likes where it may; then an honest one. What is looked at is ours, and the vif comes back."""
    rng = random.Random(seed)
    with FrontWorld(queues=2) as world:
        for _ in range(300):
            world.send(whole(rng.randbytes(rng.randrange(9000)), source=rng.randrange(1, 9999)))
            for queue in world.back.queues if world.back.connected else ():
                memory = rng.choice((queue.tx, queue.rx)).memory
                what = rng.random()
                if what < 0.3:
                    at = rng.randrange(64, 4096)
                    memory[at : at + 4] = rng.randbytes(len(memory[at : at + 4]))
                elif what < 0.4:
                    struct.pack_into("=I", memory, rng.choice((0, 4, 8, 12)), rng.getrandbits(32))
                elif what < 0.7:
                    at = rng.choice((8, 12))
                    (old,) = struct.unpack_from("=I", memory, at)
                    struct.pack_into("=I", memory, at, old + rng.randrange(20) & 0xFFFFFFFF)
            if rng.random() < 0.05:
                key = rng.choice(("state", "online", "carrier", "feature-sg", "feature-gso-tcpv4", "multi-queue-max-queues"))
                text = rng.choice(("", "0", "1", "2", "4", "5", "6", "9", "x"))
                world.host.store.write(f"{world.vif.backend}/{key}", "1" if key == "online" else text)
            with contextlib.suppress(Exception):
                world.back.poll(world.now)
            world.now += rng.randrange(SECOND // 2)
            for _ in range(8):
                if not world.front.poll(world.now):
                    break
        noted = [note for note in world.machine.books.notes if note.domid == 1 and note.kind not in ("still mapped",)]
        assert noted == []
        world.machine.kill(world.host)
        world.back = world.host = None
        for key in ("carrier",):
            world.tools.store.remove(f"{world.vif.backend}/{key}")
        world.tools.store.write(f"{world.vif.backend}/state", "1")
        world.later(40 * SECOND)
        world.start_back()
        world.later(60 * SECOND)
        assert world.states() == ("4", "4"), world.front.events
        world.at_back.clear()
        world.send(FRAME)
        world.settle()
        assert [unit.frame for unit in world.at_back] == [FRAME]
