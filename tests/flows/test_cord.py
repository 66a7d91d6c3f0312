"""Two stacks on a patch cord, in virtual time: what a device that cuts, completes and gathers is trusted with."""

import random

import pytest

from netstack import const
from netstack.address import Cidr
from netstack.errors import UsageError
from netstack.instant import MILLISECOND, Instant
from netstack.stack import Stack
from netstack.testing.clock import VirtualClock
from netstack.testing.cord import OFFLOAD, Cord
from netstack.testing.load import Bounce, Echo, Once, Pinger, Quiet
from netstack.testing.netifs import Probe
from netstack.testing.script import Recorder

A, B = Cidr.parse("10.0.0.1/24"), Cidr.parse("10.0.0.2/24")


class Joined:
    def __init__(self, **options) -> None:
        self.clock = VirtualClock()
        self.cord = Cord(**options)
        self.a = Stack(self.cord.a, now=Instant(0), rng=random.Random(1), addresses=[A])
        self.b = Stack(self.cord.b, now=Instant(0), rng=random.Random(2), addresses=[B])
        self.clock.add(self.a)
        self.clock.add(self.b)

    def listen(self, port: int, make) -> None:
        def accept(conn) -> Quiet:
            user = make()
            user.bind(conn)
            return user

        self.b.tcp.listen(0, port, accept)

    def connect(self, port: int, user: Quiet) -> Quiet:
        user.bind(self.a.tcp.connect(0, 0, int(B.address), port, user, self.clock.now))
        return user


@pytest.mark.parametrize("delay", [0, MILLISECOND])
@pytest.mark.parametrize("ethernet", [True, False])
@pytest.mark.parametrize("offload", [0, const.OFFLOAD_CSUM, const.OFFLOAD_CSUM | const.OFFLOAD_TSO4, OFFLOAD])
def test_what_was_written_in_pieces_of_any_size_arrives_whole(seed, offload, ethernet, delay):
    rng = random.Random(seed)
    world = Joined(offload=offload, ethernet=ethernet, delay=delay)
    got = bytearray()

    class Server(Recorder):
        def on_data(self, data, now):
            got.extend(data)

    world.b.tcp.listen(0, 80, lambda conn: Server().user)
    client = Recorder()
    conn = world.a.tcp.connect(0, 0, int(B.address), 80, client.user, world.clock.now)
    world.clock.run_until(lambda: conn.state_name == "ESTABLISHED")
    sent = bytearray()
    while len(sent) < 2_000_000:
        data = rng.randbytes(rng.choice([1, 700, 1448, 3000, 20_000, 65_536, 200_000]))
        sent += data
        conn.write(data, world.clock.now)
        if rng.random() < 0.3:
            world.clock.run_until(lambda: conn.unsent < 100_000)
    world.clock.run_until(lambda: not conn.unsent)
    assert got == sent
    assert world.cord.a.dropped == world.cord.b.dropped == 0
    assert world.a.tcp.mib.RetransSegs <= world.a.tcp.ext.TCPLossProbes, "nothing but probes of a delayed ACK"
    assert world.b.tcp.mib.InErrs == 0


def test_super_segments_pass_whole_and_gathered():
    """A window of 64 KiB writes costs hardly more frames than 65,160-byte units would be."""
    world = Joined()
    world.listen(80, Quiet)
    user = world.connect(80, Quiet())
    world.clock.run_until(lambda: user.opened)
    conn = user.conn
    for _ in range(20):  # slow start
        conn.write(bytes(65_536), world.clock.now)
        world.clock.run_until(lambda: not conn.unsent)
    before = world.b.counters()["Link"]["InFrames"]
    for _ in range(16):
        conn.write(bytes(65_536), world.clock.now)
    world.clock.run_until(lambda: not conn.unsent)
    assert world.b.counters()["Link"]["InFrames"] - before <= 20


def test_echoes_connections_and_datagrams_pass():
    world = Joined()
    world.listen(7, Echo)
    ping = world.connect(7, Pinger(b"x", 100))
    world.clock.run_until(lambda: ping.opened)
    ping.kick(world.clock.now)
    world.clock.run_until(lambda: ping.received == 100)
    for reset in (True, False):
        once = world.connect(7, Once(b"hello", reset))
        world.clock.run_until(lambda: once.ended)  # noqa: B023  # run at once
        assert once.received == 5
    bounce = Bounce()
    bounce.bind(world.b.udp.bind(0, 7, bounce))
    back = Bounce()
    back.bind(world.a.udp.bind(0, 0, back))
    back.port.send(b"datagram", int(B.address), 7, world.clock.now)
    world.clock.run_until(lambda: bounce.received == 10)


def test_a_full_queue_drops_and_counts():
    cord = Cord(offload=0)
    a = Probe(cord.a)
    b = Probe(cord.b)
    for _ in range(1034):
        a.send(bytes(60), 0)
    assert cord.b.dropped == 10
    while cord.b.poll(0):
        pass
    assert len(b.frames) == 1024


def test_who_needs_single_frames_asks_before_the_other_end_is_in_use():
    cord = Cord()
    Probe(cord.a)
    assert (cord.a.offload, cord.b.offload) == (0, 0)
    cord = Cord()
    Stack(cord.b, now=Instant(0), rng=random.Random(2), addresses=[B])
    with pytest.raises(UsageError, match="make the cord with offload=0"):
        Probe(cord.a)


def test_a_waker_hears_of_the_first_frame_and_delay_holds_it():
    cord = Cord(offload=0, delay=5 * MILLISECOND)
    a = Probe(cord.a)
    b = Probe(cord.b)
    calls = []
    cord.b.set_waker(lambda: calls.append(1))
    a.send(bytes(60), 0)
    a.send(bytes(60), 0)
    assert calls == [1]
    assert cord.b.next_deadline() == 5 * MILLISECOND
    assert not cord.b.poll(Instant(0)) and not b.frames
    cord.b.poll(Instant(5 * MILLISECOND))
    assert len(b.frames) == 2 and cord.b.next_deadline() is None


def test_an_unplugged_cord_carries_nothing():
    cord = Cord(offload=0)
    a = Probe(cord.a)
    b = Probe(cord.b)
    a.send(bytes(60), 0)
    cord.close()
    a.send(bytes(60), 0)
    cord.b.poll(Instant(0))
    assert not b.frames


def test_an_impossible_mtu_is_refused():
    with pytest.raises(UsageError, match="choose an mtu"):
        Cord(mtu=20)
