"""Two stacks and a hostile wire: what arrives is what was sent, every connection ends, and nothing is left."""

import gc
import random
import tracemalloc
from collections.abc import Callable

import pytest

from netstack import build_info, const
from netstack.errors import ClosedError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.testing.faults import Faults
from netstack.testing.pair import TcpPair
from netstack.testing.script import Recorder

TSO = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4
NEAR = {"plain": 12345, "half": 2**31 - 2000, "wrap": 2**32 - 2000}


@pytest.fixture(params=NEAR)
def near(request: pytest.FixtureRequest) -> int:
    """Where sequence numbers begin, on both sides."""
    return NEAR[request.param]


def clean(pair: TcpPair) -> None:
    """Nothing may be left once everything has happened."""
    pair.run_out()
    for host in pair.hosts:
        hub = host.tcp.hub
        assert not hub.tables and not hub.waits and not hub.half and not hub.todo and hub.count == 0
        assert host.tcp.mib.CurrEstab == 0
    assert pair.timers.count == 0


def transfer(pair: TcpPair, size: int, near: int | None = None) -> tuple[float, Recorder, Recorder]:
    """The client sends `size` bytes and closes; returns the seconds it took, and both users."""
    data = random.Random(size).randbytes(size)
    servers: list[Recorder] = []

    def serve(conn: Connection) -> Recorder:
        recorder = Recorder()
        recorder.reactions["eof"] = conn.close
        servers.append(recorder)
        return recorder

    pair.serve(serve)
    client = Recorder()
    if near is not None:
        pair.force_iss(near, near + 500)
    conn = pair.connect(client) if near is None else pair.connect(client, local_port=40000)
    conn.write(data, pair.now)
    conn.shutdown(pair.now)
    took = pair.run_until(lambda: client.closed)
    assert servers[0].received == data
    assert client.error is None and servers[0].error is None
    clean(pair)
    return took / SECOND, client, servers[0]


def test_a_transfer_over_a_perfect_wire(near: int) -> None:
    """RFC 9293 2.2: reliable, in order."""
    pair = TcpPair(Faults(delay=MILLISECOND))
    took, client, server = transfer(pair, 300_000, near)
    assert took < 0.1
    assert [event for event in client.events if event != "writable"] == ["connected", "eof", "closed"]
    assert server.events[0] == "connected" and server.events[-2:] == ["eof", "closed"]
    assert pair.client.tcp.mib.RetransSegs == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_transfer_over_a_bad_wire(near: int, seed: int) -> None:
    """2 % loss, duplicates, reordering, corruption: SACK and RACK survive it without a time-out for each loss."""
    faults = Faults(loss=0.02, duplicate=0.02, reorder=0.02, reorder_by=3 * MILLISECOND, corrupt=0.005, delay=2 * MILLISECOND)
    pair = TcpPair(faults, seed=seed)
    took, _, _ = transfer(pair, 400_000, near)
    ext = pair.client.tcp.ext
    assert took < 30, f"seed {seed}: {took} s"
    assert ext.TCPSackRecovery > 0
    assert ext.TCPTimeouts < 40


def test_a_transfer_over_a_very_bad_wire(near: int) -> None:
    """Every fourth datagram is lost, those of the handshake and of the close too."""
    pair = TcpPair(Faults(loss=0.25, delay=2 * MILLISECOND), seed=5)
    transfer(pair, 60_000, near)


@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_super_segments_over_a_wire_that_carries_them(near: int, loss: float) -> None:
    pair = TcpPair(Faults(loss=loss, delay=MILLISECOND, mtu=65535), seed=3, offload=TSO)
    transfer(pair, 2_000_000, near)
    assert pair.client.packets < 400, "once for 64 KiB and not once for each MSS"


@pytest.mark.parametrize("mtu", [128, 576, 1500, 9000, 65535])
def test_every_mtu(mtu: int) -> None:
    pair = TcpPair(Faults(delay=MILLISECOND, mtu=65535), mtu=mtu)
    transfer(pair, 200_000)


def test_a_slow_link_with_a_short_queue_is_shared_by_congestion_control() -> None:
    """Tail drop at ten packets: loss is the signal, and the rate is used."""
    pair = TcpPair(Faults(rate=10_000_000, queue=10, delay=5 * MILLISECOND), seed=1)
    took, _, _ = transfer(pair, 2_000_000)
    rate = 2_000_000 * 8 / took
    assert rate > 5_000_000, f"{rate / 1e6:.1f} of 10 Mbit/s"


def test_simultaneous_open_between_two_stacks(near: int) -> None:
    pair = TcpPair(Faults(delay=MILLISECOND))
    users = [Recorder(), Recorder()]
    here, there = pair.hosts
    a = here.tcp.connect(0, 1000, there.ip.address, 2000, users[0].user, pair.now)
    b = there.tcp.connect(0, 2000, here.ip.address, 1000, users[1].user, pair.now)
    pair.run_until(lambda: a.state_name == b.state_name == "ESTABLISHED")
    a.write(b"from a", pair.now)
    b.write(b"from b", pair.now)
    a.shutdown(pair.now)
    b.shutdown(pair.now)
    pair.run_until(lambda: users[0].closed and users[1].closed)
    assert (users[0].received, users[1].received) == (b"from b", b"from a")
    clean(pair)


def test_simultaneous_close_between_two_stacks() -> None:
    pair = TcpPair(Faults(delay=MILLISECOND))
    servers: list[tuple[Connection, Recorder]] = []

    def serve(conn: Connection) -> Recorder:
        servers.append((conn, Recorder()))
        return servers[-1][1]

    pair.serve(serve)
    client = Recorder()
    conn = pair.connect(client)
    pair.run_until(lambda: servers)
    conn.shutdown(pair.now)
    servers[0][0].shutdown(pair.now)
    pair.run_until(lambda: client.closed and servers[0][1].closed)
    assert conn.state_name == servers[0][0].state_name == "TIME-WAIT"
    clean(pair)


def test_a_wire_that_is_cut_ends_every_connection() -> None:
    pair = TcpPair(Faults(delay=MILLISECOND))
    servers: list[Recorder] = []

    def serve(conn: Connection) -> Recorder:
        conn.write(bytes(100_000), pair.now)
        servers.append(Recorder())
        return servers[-1]

    pair.serve(serve)
    client = Recorder()
    conn = pair.connect(client)
    pair.run_until(lambda: servers)
    conn.write(bytes(100_000), pair.now)
    pair.cut()
    pair.run_until(lambda: client.closed and servers[0].closed, limit=7200 * SECOND)
    assert client.error is not None and servers[0].error is not None
    clean(pair)


class Party:
    """A user who does random things: writes, pauses, resumes, ends; closes and aborts when it is rude."""

    def __init__(self, pair: TcpPair, rng: random.Random, rude: bool) -> None:
        self.pair = pair
        self.rng = rng
        self.rude = rude
        self.sent = b""
        self.left = rng.randrange(0, 60)
        self.recorder = Recorder()
        self.recorder.reactions["eof"] = self.finish
        self.conn: Connection | None = None

    def bind(self, conn: Connection) -> None:
        self.conn = conn
        if self.rng.random() < 0.3:
            conn.set_nodelay(True, self.pair.now)
        self.pair.call_later(self.rng.randrange(1, 20 * MILLISECOND), self.turn)

    def finish(self, now: int) -> None:
        self.left = min(self.left, 3)

    def turn(self) -> None:
        conn, rng, now = self.conn, self.rng, self.pair.now
        assert conn is not None
        if self.recorder.closed:
            return
        if self.left <= 0:
            self.over(conn)
            return
        self.left -= 1
        what = rng.random()
        try:
            if what < 0.6:
                data = rng.randbytes(rng.choice((1, 10, 500, 1460, 5000, 40000)))
                conn.write(data, now)
                self.sent += data
            elif what < 0.7:
                conn.pause(now)
            elif what < 0.9:
                conn.resume(now)
            elif self.rude and what > 0.98:
                conn.abort(now)
            elif self.rude and what > 0.96:
                conn.close(now)
            elif what > 0.94:
                conn.shutdown(now)
        except (ClosedError, OSError):
            self.left = 0
        self.pair.call_later(rng.randrange(1, 40 * MILLISECOND), self.turn)

    def over(self, conn: Connection) -> None:
        """End our side, read the other to its end."""
        conn.resume(self.pair.now)
        conn.shutdown(self.pair.now)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_two_users_do_over_whatever_wire(seed: int) -> None:
    """What arrives is a prefix of what was sent, all of it where both ended in order; `closed` comes once; memory comes back."""
    rng = random.Random(seed)
    faults = Faults(
        loss=rng.choice((0.0, 0.01, 0.05, 0.15)),
        duplicate=rng.choice((0.0, 0.05)),
        reorder=rng.choice((0.0, 0.05)),
        reorder_by=5 * MILLISECOND,
        corrupt=rng.choice((0.0, 0.02)),
        delay=rng.choice((0, MILLISECOND, 30 * MILLISECOND)),
        jitter=rng.choice((0, 2 * MILLISECOND)),
        rate=rng.choice((None, 20_000_000)),
        queue=rng.choice((20, 1000)),
        mtu=65535,
    )
    offload = rng.choice((0, const.OFFLOAD_CSUM, TSO)) if not faults.corrupt else 0
    config = TcpConfig(
        rcv_buf=rng.choice((3000, 20_000, 262_144)),
        snd_high=rng.choice((1000, 262_144)),
        snd_low=500,
        keepalive=600 * SECOND,  # a RST that is lost leaves the other side waiting for ever
    )
    pair = TcpPair(faults, seed=seed, config=config, mtu=rng.choice((576, 1500, 9000)), offload=offload)
    rude = rng.random() < 0.5
    parties: list[tuple[Party, Party]] = []
    waiting: dict[int, Party] = {}

    def serve(conn: Connection) -> Recorder | None:
        if rude and rng.random() < 0.1:
            return None
        party = Party(pair, random.Random(rng.getrandbits(32)), rude)
        party.bind(conn)
        parties.append((waiting[conn.remote_port], party))
        return party.recorder

    pair.serve(serve)
    clients = []
    for _ in range(5):
        client = Party(pair, random.Random(rng.getrandbits(32)), rude)
        conn = pair.connect(client.recorder)
        waiting[conn.local_port] = client
        client.bind(conn)
        clients.append(client)
    pair.run_until(lambda: all(client.recorder.closed for client in clients), limit=48 * 3600 * SECOND)
    for client, server in parties:
        pair.run_until(lambda server=server: server.recorder.closed, limit=48 * 3600 * SECOND)  # type: ignore[misc]
        for reader, writer in ((client, server), (server, client)):
            assert writer.sent.startswith(reader.recorder.received), f"seed {seed}, faults {faults}"
            assert reader.recorder.events.count("closed") == 1
            if reader.recorder.error is None and writer.recorder.error is None and not rude:
                assert reader.recorder.received == writer.sent
                assert "eof" in reader.recorder.events
    clean(pair)


def test_many_connections_at_once_leave_nothing() -> None:
    pair = TcpPair(Faults(loss=0.01, delay=MILLISECOND), seed=9)

    def serve(conn: Connection) -> Recorder:
        recorder = Recorder()
        recorder.reactions["data"] = lambda now: conn.write(b"pong", now)
        recorder.reactions["eof"] = conn.close
        return recorder

    pair.serve(serve)
    users = []
    for _ in range(300):
        recorder = Recorder()
        conn = pair.connect(recorder)
        conn.write(b"ping", pair.now)
        recorder.reactions["data"] = conn.close
        users.append(recorder)
    pair.run_until(lambda: all(user.closed for user in users))
    assert all(user.received == b"pong" and user.error is None for user in users)
    clean(pair)


def measure(action: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        action()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_an_idle_connection_costs_a_kilobyte_or_so() -> None:
    """Compiled; plain Python's objects cost three times as much."""
    pair = TcpPair()
    user = Recorder().user
    pair.server.tcp.listen(0, 80, lambda conn: user)

    def open_some() -> None:
        conns = [pair.client.tcp.connect(0, 0, pair.server.ip.address, 80, user, pair.now) for _ in range(200)]
        pair.run_until(lambda: all(conn.state_name == "ESTABLISHED" for conn in conns) and not pair.server.tcp.hub.half)

    open_some()
    assert measure(open_some) / 400 < (1000 if build_info().build == "compiled" else 4500)


def test_a_time_wait_is_much_smaller_than_a_connection() -> None:
    pair = TcpPair(config=TcpConfig(time_wait=3600 * SECOND))

    def serve(conn: Connection) -> Recorder:
        recorder = Recorder()
        recorder.reactions["eof"] = conn.close
        return recorder

    pair.serve(serve)

    def cycle() -> None:
        users = []
        for _ in range(200):
            recorder = Recorder()
            pair.connect(recorder).shutdown(pair.now)
            users.append(recorder)
        pair.run_until(lambda: all(user.closed for user in users) and not pair.server.tcp.hub.count)

    cycle()
    assert len(pair.client.tcp.hub.waits) == 200
    assert measure(cycle) / 200 < (500 if build_info().build == "compiled" else 1000)
