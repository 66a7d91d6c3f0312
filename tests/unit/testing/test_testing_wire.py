"""The wire in memory: who hears what, and when."""

import itertools

import pytest

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.instant import MICROSECOND, MILLISECOND, SECOND, Instant
from netstack.testing.clock import VirtualClock
from netstack.testing.faults import Faults
from netstack.testing.netifs import Loopback, Probe
from netstack.testing.wire import Wire

BROADCAST = "ff:ff:ff:ff:ff:ff"
A, B, C = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


def ether(dst: str, src: str, payload: bytes = b"", ethertype: int = 0x0800) -> bytes:
    return bytes(Mac.parse(dst)) + bytes(Mac.parse(src)) + ethertype.to_bytes(2, "big") + payload


class World:
    """Probes on one wire on one clock."""

    def __init__(self, wire: Wire, names: str = "ab") -> None:
        self.wire = wire
        self.clock = VirtualClock()
        self.probes = [Probe(wire.port(name)) for name in names]
        for probe in self.probes:
            self.clock.add(probe)

    def send(self, frame: bytes, sender: int = 0) -> None:
        self.probes[sender].send(frame, self.clock.now)


def test_a_broadcast_reaches_every_port_but_its_own() -> None:
    world = World(Wire(), "abc")
    frame = ether(BROADCAST, A, b"hello")
    world.send(frame)
    world.clock.run_due()
    assert [probe.take() for probe in world.probes] == [[], [frame], [frame]]


def test_a_unicast_frame_spares_the_others_unless_they_are_promiscuous() -> None:
    world = World(Wire(), "abc")
    snoop = Probe(world.wire.port("snoop", promiscuous=True))
    world.clock.add(snoop)
    frame = ether(B, A, b"hello")
    world.send(frame)
    world.clock.run_due()
    assert [probe.take() for probe in (*world.probes, snoop)] == [[], [frame], [], [frame]]


def test_a_frame_too_short_for_an_address_reaches_everybody() -> None:
    world = World(Wire(), "abc")
    world.send(b"\x02\x00")
    world.clock.run_due()
    assert [probe.take() for probe in world.probes] == [[], [b"\x02\x00"], [b"\x02\x00"]]


def test_a_point_to_point_wire_has_no_addresses() -> None:
    world = World(Wire(ethernet=False, mtu=20))
    assert world.wire.ports[0].mac is None
    world.send(b"\x45" + bytes(19))
    world.send(b"\x45" + bytes(20))
    world.clock.run_due()
    assert world.probes[1].take() == [b"\x45" + bytes(19)]
    assert world.wire.mib.TooLong == 1


def test_the_mtu_leaves_the_link_header_out() -> None:
    world = World(Wire(mtu=100))
    assert world.wire.ports[0].mtu == 100
    world.send(ether(B, A, bytes(100)))
    world.send(ether(B, A, bytes(101)))
    world.clock.run_due()
    assert len(world.probes[1].take()) == 1
    assert world.wire.mib.snapshot() | {"Frames": 2, "TooLong": 1} == world.wire.mib.snapshot()


def test_delay_is_exact_and_the_deadline_says_when() -> None:
    world = World(Wire(delay=20 * MILLISECOND))
    world.send(ether(B, A))
    assert world.probes[1].next_deadline() == 20 * MILLISECOND
    world.clock.advance(20 * MILLISECOND - 1)
    assert world.probes[1].frames == []
    world.clock.advance(1)
    assert [when for when, _ in world.probes[1].frames] == [20 * MILLISECOND]
    assert world.probes[1].next_deadline() is None


def test_rate_sends_one_frame_after_another() -> None:
    world = World(Wire(rate=8_000_000, delay=MILLISECOND))  # a byte a microsecond
    frame = ether(B, A, bytes(86))  # 100 bytes
    for _ in range(3):
        world.send(frame)
    world.clock.advance(SECOND)
    assert [when for when, _ in world.probes[1].frames] == [MILLISECOND + n * 100 * MICROSECOND for n in (1, 2, 3)]


def test_a_full_queue_drops_at_the_tail_and_drains_with_time() -> None:
    world = World(Wire(rate=8_000_000, queue=2))
    for n in range(5):  # one leaves, two wait, two are dropped
        world.send(ether(B, A, bytes([n]) + bytes(85)))
    assert world.wire.mib.QueueFull == 2
    world.clock.advance(100 * MICROSECOND)  # now the second is leaving: one waits
    world.send(ether(B, A, bytes([9]) + bytes(85)))
    assert world.wire.mib.QueueFull == 2
    world.clock.advance(SECOND)
    assert [frame[14] for frame in world.probes[1].take()] == [0, 1, 2, 9]


def test_a_broadcast_held_back_reaches_everybody_once_and_behind_the_others() -> None:
    world = World(Wire(reorder=0.5, reorder_past=2, hold=50 * MILLISECOND, seed=3), "abc")
    for n in range(20):
        world.send(ether(BROADCAST, A, bytes([n])))
        world.clock.advance(MILLISECOND)
    world.clock.advance(SECOND)
    got = [[frame[14] for frame in probe.take()] for probe in world.probes]
    assert got[1] == got[2] != list(range(20)) and sorted(got[1]) == list(range(20))


def test_directions_do_not_share_the_rate() -> None:
    world = World(Wire(rate=8_000_000))
    world.send(ether(B, A, bytes(86)), 0)
    world.send(ether(A, B, bytes(86)), 1)
    world.clock.advance(100 * MICROSECOND)
    assert [len(probe.frames) for probe in world.probes] == [1, 1]


@pytest.mark.parametrize("fault", ["loss", "duplicate", "corrupt", "reorder"])
def test_faults_come_as_often_as_they_should(fault: str) -> None:
    world = World(Wire(Faults(**{fault: 0.1, "seed": 1}), ethernet=False))
    frame = bytes(range(50))
    for _ in range(2000):
        world.send(frame)
    world.clock.advance(SECOND)
    arrived = world.probes[1].take()
    mib = world.wire.mib
    happened = {"loss": mib.Lost, "duplicate": mib.Duplicated, "corrupt": mib.Corrupted, "reorder": mib.Reordered}
    assert 140 < happened.pop(fault) < 260
    assert set(happened.values()) == {0}
    assert len(arrived) == 2000 - mib.Lost + mib.Duplicated
    assert all(other == frame for other in arrived) is (fault != "corrupt")


def test_corruption_flips_exactly_one_bit() -> None:
    world = World(Wire(corrupt=1.0, ethernet=False))
    frame = bytes(60)
    for _ in range(50):
        world.send(frame)
    world.clock.run_due()
    flips = [int.from_bytes(got, "big") for got in world.probes[1].take()]
    assert len(flips) == 50
    assert all(flip.bit_count() == 1 for flip in flips)
    assert len(set(flips)) > 20


def test_jitter_alone_never_reorders() -> None:
    world = World(Wire(delay=MILLISECOND, jitter=50 * MILLISECOND, seed=3, ethernet=False))
    for n in range(200):
        world.send(n.to_bytes(2, "big"))
        world.clock.advance(100 * MICROSECOND)
    world.clock.advance(SECOND)
    frames = world.probes[1].frames
    assert [int.from_bytes(frame, "big") for _, frame in frames] == list(range(200))
    waits = [when - n * 100 * MICROSECOND for n, (when, _) in enumerate(frames)]
    assert min(waits) >= MILLISECOND
    assert max(waits) <= 51 * MILLISECOND
    assert len(set(waits)) > 10


def test_a_held_back_frame_is_overtaken() -> None:
    wire = Wire(ethernet=False, reorder_by=5 * MILLISECOND, reorder=0.2, seed=5)
    world = World(wire)
    for n in range(100):
        world.send(bytes([n]))
        world.clock.advance(MILLISECOND)
    world.clock.advance(SECOND)
    order = [frame[0] for frame in world.probes[1].take()]
    assert sorted(order) == list(range(100))
    assert sum(a > b for a, b in itertools.pairwise(order)) > 0
    assert wire.mib.Reordered > 10


def test_the_same_seed_gives_the_same_fates() -> None:
    def run(seed: int) -> list[tuple[int, bytes]]:
        world = World(Wire(Faults.parse(f"loss=10%,duplicate=0.1,reorder=0.1,corrupt=0.1,delay=3ms,jitter=2ms,seed={seed}")))
        for n in range(100):
            world.send(ether(B, A, bytes([n])))
            world.clock.advance(MILLISECOND)
        world.clock.advance(SECOND)
        return world.probes[1].frames

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_chance_may_come_from_the_caller() -> None:
    class Always:
        def getrandbits(self, k: int) -> int:
            return 0

    world = World(Wire(loss=1e-9, rng=Always()))
    world.send(ether(B, A))
    assert world.wire.mib.Lost == 1


def test_a_cut_cable_carries_nothing_until_it_is_mended() -> None:
    world = World(Wire(), "abc")
    world.wire.cut("a", "b")
    world.send(ether(BROADCAST, A))
    world.clock.run_due()
    assert [len(probe.take()) for probe in world.probes] == [0, 0, 1]
    assert world.wire.mib.Cut == 1
    world.wire.mend("b", "a")
    world.send(ether(BROADCAST, A))
    world.clock.run_due()
    assert [len(probe.take()) for probe in world.probes] == [0, 1, 1]
    with pytest.raises(UsageError, match="there are a, b, c"):
        world.wire.cut("a", "d")


def test_a_test_may_drop_and_change_frames_of_its_choice() -> None:
    world = World(Wire(ethernet=False))
    world.wire.tamper(lambda name, frame: None if frame == b"drop me" else frame.replace(b"x", b"y"))
    for frame in (b"drop me", b"xx", b"zz"):
        world.send(frame)
    world.clock.run_due()
    assert world.probes[1].take() == [b"yy", b"zz"]
    assert world.wire.mib.Tampered == 2


def test_a_poll_hands_up_a_batch_at_most_and_flushes_once() -> None:
    world = World(Wire())
    for _ in range(65):
        world.send(ether(B, A))
    probe = world.probes[1]
    assert probe.netif.poll(Instant(0)) is True
    assert (len(probe.frames), probe.batches) == (64, 1)
    assert probe.netif.poll(Instant(0)) is False
    assert (len(probe.frames), probe.batches) == (65, 2)
    assert probe.netif.poll(Instant(0)) is False
    assert probe.batches == 2


def test_the_waker_is_called_when_a_frame_is_on_its_way() -> None:
    world = World(Wire(delay=SECOND))
    woken: list[int] = []
    world.wire.ports[1].set_waker(lambda: woken.append(1))
    world.send(ether(B, A))
    assert woken == [1]


def test_two_hosts_can_answer_each_other_for_virtual_hours() -> None:
    wire = Wire(ethernet=False, delay=10 * MILLISECOND)
    clock = VirtualClock()
    first = Probe(wire.port(), answer=lambda frame, now: [frame])
    second = Probe(wire.port(), answer=lambda frame, now: [frame])
    clock.add(first)
    clock.add(second)
    first.send(b"ball", clock.now)
    clock.advance(20 * SECOND)
    assert len(first.frames) == len(second.frames) == 1000


def test_a_closed_port_is_off_the_wire() -> None:
    world = World(Wire(), "abc")
    world.wire.ports[1].close()
    world.send(ether(BROADCAST, A))
    world.probes[1].send(ether(BROADCAST, B), 0)
    world.clock.run_due()
    assert [len(probe.take()) for probe in world.probes] == [0, 0, 1]
    world.wire.close()
    assert world.wire.ports == ()


def test_ports_get_names_and_addresses_of_their_own() -> None:
    wire = Wire()
    given = wire.port("given", Mac.parse(B))
    assert [(port.name, str(port.mac)) for port in (given, wire.port(), wire.port())] == [
        ("given", B),
        ("port2", "02:00:00:00:00:03"),
        ("port3", "02:00:00:00:00:04"),
    ]
    with pytest.raises(UsageError, match="already"):
        wire.port("given")
    with pytest.raises(UsageError, match="group address"):
        wire.port("bad", Mac.parse(BROADCAST))
    with pytest.raises(UsageError, match="no link addresses"):
        Wire(ethernet=False).port("bad", Mac.parse(A))
    with pytest.raises(UsageError, match="twice"):
        Wire(Faults(), loss=0.1)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", Faults()),
        ("loss=0.01,delay=20ms,seed=7", Faults(loss=0.01, delay=20 * MILLISECOND, seed=7)),
        ("loss=1%, rate=100M", Faults(loss=0.01, rate=100_000_000)),
        ("rate=1.5Gbit,queue=10,mtu=9000", Faults(rate=1_500_000_000, queue=10, mtu=9000)),
        ("jitter=300us,reorder=0.02,reorder_by=1s", Faults(jitter=300_000, reorder=0.02, reorder_by=SECOND)),
        ("duplicate=100%,corrupt=1", Faults(duplicate=1.0, corrupt=1.0)),
    ],
)
def test_faults_are_read_from_text_and_written_back(text: str, faults: Faults) -> None:
    assert Faults.parse(text) == faults
    assert Faults.parse(str(faults)) == faults


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("los=1", r"'los' is not a fault: write some of loss, duplicate"),
        ("loss", r"loss has no value: write loss=1%"),
        ("loss=", r"loss has no value"),
        ("loss=2", r"loss=2.0 is not a probability: write a number from 0 to 1"),
        ("loss=nan", r"not a probability"),
        ("loss=-1%", r"not a probability"),
        ("delay=soon", r"'delay=soon' can't be read: write it like delay=20ms"),
        ("delay=inf", r"can't be read"),
        ("delay=-1ms", r"negative"),
        ("rate=fast", r"like rate=100M"),
        ("rate=0", r"carries nothing"),
        ("queue=0", r"lets nothing pass"),
        ("loss=1%,loss=2%", r"stands there twice"),
    ],
)
def test_bad_faults_are_refused_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Faults.parse(text)


def test_what_a_loopback_sends_comes_back() -> None:
    loopback = Loopback()
    probe = Probe(loopback)
    woken: list[int] = []
    loopback.set_waker(lambda: woken.append(1))
    assert loopback.next_deadline() is None
    for n in range(70):
        probe.send(bytes([n]), 5)
    assert woken
    assert loopback.next_deadline() == 0
    assert loopback.poll(Instant(6)) is True
    assert loopback.poll(Instant(6)) is False
    assert probe.take() == [bytes([n]) for n in range(70)]
