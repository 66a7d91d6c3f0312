"""Our netback against the plain netfront, which says what is wrong with a back end: frames, offloads, control, ends."""

import random

import pytest
from netstack_xen.back.netif import XenBack
from netstack_xen.simulated import Machine, layout, toolstack
from netstack_xen.simulated.plainfront import PlainFront
from netstack_xen.simulated.steering import toeplitz
from netstack_xen.simulated.units import Unit, filled_in, headers
from xen_world import tcp_frame, whole

from netstack import const
from netstack.adapters import FramePort, TeeSink
from netstack.cores import Out
from netstack.netif import SendOnly


class Plain:
    def __init__(self, **wishes) -> None:
        self.machine = Machine()
        self.now = 0
        self.tools, self.host, self.guest = self.machine.domain(0), self.machine.domain(0), self.machine.domain(1)
        self.vif = toolstack.add_vif(self.tools.store, 1)
        self.back = XenBack(self.host, 1, now=0)
        self.back.attach(TeeSink(self, SendOnly()))
        self.at_back, self.at_front = [], []
        self.front = PlainFront(self.guest, "device/vif/0", receive=self.at_front.append, **wishes)
        self.settle()

    def on_input(self, f) -> None:
        self.at_back.append((bytes(f.buf[f.off : f.end]), f.csum, f.gso))

    def on_flush(self, now) -> None: ...

    def on_send(self, p, now) -> None: ...

    def __enter__(self):
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            assert not self.front.complaints
            self.front.end()
            self.back.close()
            for program in (self.guest, self.host, self.tools):
                program.close()
            self.machine.books.assert_even()
            self.machine.books.assert_clean(0)
        self.machine.close()

    def settle(self) -> None:
        for _ in range(50):
            while self.back.poll(self.now):
                pass
            self.front.poll(self.now)
            if not any(each._told or each.store.has_fired for each in (self.host, self.guest)):
                return
        raise AssertionError("no end of it")

    def send(self, frame: bytes, *, csum: int = 0, gso: int = 0) -> None:
        p = Out()
        where = headers(frame) if csum else None
        head = where.transport + 20 if where else 14
        p.off = len(p.hdr) - head
        p.hdr[p.off :] = frame[:head]
        p.data, p.n = frame[head:], len(frame) - head
        if where:
            p.l4 = p.off + where.transport
        p.csum_off, p.gso = csum, gso
        FramePort(self.back).send_out(p, self.now)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("queues", [1, 3])
def test_frames_of_every_size_go_both_ways_whole(queues, split, seed):
    dice = random.Random(seed)
    with Plain(queues=queues, split=split) as world:
        for size in (14, 60, 1514, 4096, 4097, 9014, 65535):
            frame = dice.randbytes(size)
            assert world.front.send(Unit(frame), size % queues)
            world.send(frame)
            world.settle()
            assert world.at_back.pop()[0] == frame and world.at_front.pop() == Unit(frame)


def test_many_frames_arrive_in_order_however_they_are_cut(seed):
    dice = random.Random(seed)
    with Plain() as world:
        frames = [dice.randbytes(dice.randrange(14, 9000)) for _ in range(200)]
        for frame in frames:
            while not world.front.send(Unit(frame), size=dice.choice([600, 1000, 4096])):
                world.settle()
        world.settle()
        assert [frame for frame, _, _ in world.at_back] == frames
        for frame in frames:
            world.send(frame)
            world.settle()
        assert [unit.frame for unit in world.at_front] == frames


def test_super_segments_and_blank_checksums_go_both_ways():
    frame = tcp_frame(bytes(range(256)) * 150)
    with Plain() as world:
        for unit in (Unit(frame, True, True), Unit(frame, True, True, 1, 1400)):
            world.front.send(unit)
            world.send(frame, csum=const.TCP_CHECKSUM, gso=unit.gso_size)
            world.settle()
            assert world.at_back.pop() == (frame, const.CSUM_PARTIAL, unit.gso_size)
            assert world.at_front.pop() == unit


def test_who_takes_no_offloads_gets_single_frames_with_checksums():
    payload = bytes(range(250)) * 20
    with Plain(features=("feature-rx-notify",), texts={"feature-no-csum-offload": "1"}) as world:
        world.send(tcp_frame(payload), csum=const.TCP_CHECKSUM, gso=1400)
        world.settle()
        assert len(world.at_front) == 4 and b"".join(unit.frame[54:] for unit in world.at_front) == payload
        assert all(filled_in(unit.frame) == unit.frame and not unit.csum_blank for unit in world.at_front)


def test_the_control_ring_steers_by_the_hash_that_the_frames_then_say():
    key = bytes(range(40))
    with Plain(queues=2, control=True) as world:
        front = world.front
        ref = front.control_pages.refs[1]
        for kind, data, page in (
            (layout.SET_HASH_ALGORITHM, (1,), b""),
            (layout.SET_HASH_FLAGS, (15,), b""),
            (layout.SET_HASH_KEY, (ref, 40), key),
            (layout.SET_HASH_MAPPING_SIZE, (2,), b""),
            (layout.SET_HASH_MAPPING, (ref, 2, 0), b"\1\0\0\0" * 2),
        ):
            front.ask(7, kind, *data, page=page)
            world.settle()
            assert front.answers.pop()[:3] == (7, kind, layout.SUCCESS)
        world.send(whole(b"steered"))
        world.settle()
        assert world.at_front[0].hash == layout.HASH_IPV4_TCP << 32 | toeplitz(key, whole()[26:38])
        assert front.queues[1].rx.rsp_cons == 2 and front.queues[0].rx.rsp_cons == 0


def test_it_is_closed_connects_again_and_outlives_a_front_end_that_is_killed():
    with Plain() as world:
        world.front.close()
        world.settle()
        assert world.tools.store.read(f"{world.vif.backend}/state") == "6"
        world.front.reopen()
        world.settle()
        world.front.send(Unit(whole(b"again")))
        world.settle()
        assert world.at_back.pop()[0] == whole(b"again")
        world.machine.kill(world.guest)
        world.send(whole(b"to nobody"))
        world.guest = world.machine.domain(1)
        for state in "561":
            world.guest.store.write("device/vif/0/state", state)
            while world.back.poll(world.now):
                pass
        world.front = PlainFront(world.guest, "device/vif/0", receive=world.at_front.append)
        world.settle()
        world.front.send(Unit(whole(b"once more")))
        world.settle()
        assert world.at_back.pop()[0] == whole(b"once more")
