"""No window deadlock, whatever is done to the buffers: a property of two stacks and a wire that loses what it likes.

Two stacks with up to four connections between them write and read in both directions, over paths with segments from 88 bytes
to 64 KiB, with buffers from 2 KiB on and units of the window from 1 byte to 16 KiB. Readers pause and resume, buffers grow
and shrink, the budget is too small for all of them, the wire loses window updates, or anything, or everything. Then the
readers read and the wire is whole again: everything that was written arrives, in bounded time.

On the way every segment is looked at: the right edge of the window that it offers is never left of one that was offered before.
"""

import random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from netstack import const, serial
from netstack.adapters import PyStreamUser
from netstack.cores import StreamUser
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.tcp.wire import Segment
from netstack.testing.faults import Faults, Line
from netstack.testing.loopip import Packet
from netstack.testing.pair import Host, TcpPair

# A persist or retransmission timer that has backed off during the troubles waits two minutes at the most; then each window of 2 KiB
# may take a time-out of the persist timer, when the sender finds it silly
LIMIT = 120 * SECOND + 300 * SECOND

SIZES = (2048, 2049, 3000, 4096, 10_000, 65_535, 65_536, 200_001)


class App:
    """Writes as long as it is not told to stop, and reads unless it has paused."""

    def __init__(self, pair: TcpPair) -> None:
        self.pair = pair
        self.conn: Connection | None = None
        self.wanted = 0  # bytes that it wants to write …
        self.written = 0  # … and has written
        self.received = bytearray()
        self.may_write = True
        self.error: Exception | None = None
        self.ended = False
        self.user: StreamUser = PyStreamUser(self)

    def push(self) -> None:
        assert self.conn is not None
        while self.may_write and self.written < self.wanted:
            n = min(5000, self.wanted - self.written)
            self.may_write = self.conn.write(stream(self.written, n), self.pair.now)
            self.written += n

    def on_connected(self, now: int) -> None:
        pass

    def on_data(self, data: bytes, now: int) -> None:
        self.received += data

    def on_eof(self, now: int) -> None:
        pass

    def on_writable(self, now: int) -> None:
        self.may_write = True
        self.push()

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.error = error
        self.ended = True


def stream(at: int, n: int) -> bytes:
    """Any piece of one endless stream, 251 bytes long so that no power of two hides a shift."""
    pattern = bytes(range(251))
    start = at % 251
    return (pattern * (n // 251 + 2))[start : start + n]


class Watch:
    """Sees all that a host sends, and loses what it is told to: window updates, or all that carries no text."""

    def __init__(self, pair: TcpPair, host: Host, rng: random.Random) -> None:
        self.pair = pair
        self.rng = rng
        self.forward = host.ip.wire
        self.edges: dict[tuple[int, int], int] = {}
        self.shifts: dict[tuple[int, int], int] = {}
        self.lose_acks = 0.0
        self.segments = 0
        host.ip.wire = self.see

    def see(self, packet: Packet, now: int) -> None:
        segment = Segment.decode(packet.data)
        self.segments += 1
        if not segment.flags & const.RST and segment.flags & const.ACK:
            self.check(segment)
        elif segment.flags & const.SYN:
            self.learn(segment)
        if self.lose_acks and not segment.payload and not segment.flags & const.SYN and self.rng.random() < self.lose_acks:
            return
        self.forward(packet, now)

    def learn(self, segment: Segment) -> tuple[int, int]:
        ports = segment.sport, segment.dport
        if segment.flags & const.SYN:
            option = segment.option(3)
            self.shifts[ports] = option[0] if option else 0
        return ports

    def check(self, segment: Segment) -> None:
        ports = self.learn(segment)
        shift = 0 if segment.flags & const.SYN else self.shifts[ports]
        edge = serial.add(segment.ack, segment.window << shift)
        before = self.edges.get(ports, edge)
        assert serial.le(before, edge), f"the edge of {ports} moved left by {serial.sub(before, edge)}"
        self.edges[ports] = edge


class Scene:
    def __init__(self, config: TcpConfig, mtu: int, n: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.delay = self.rng.choice((0, MILLISECOND, 40 * MILLISECOND))
        self.pair = TcpPair(Faults(delay=self.delay, mtu=65535), seed=seed, config=config, mtu=mtu)
        self.watches = [Watch(self.pair, host, self.rng) for host in self.pair.hosts]
        self.apps: list[App] = []
        self.most = config.rcv_buf or 65536
        accepted: list[App] = []

        def accept(conn: Connection) -> StreamUser:
            app = App(self.pair)
            app.conn = conn
            accepted.append(app)
            return app.user

        self.pair.server.tcp.listen(0, 80, accept)
        for i in range(n):
            app = App(self.pair)
            app.conn = self.pair.client.tcp.connect(0, 40000 + i, self.pair.server.ip.address, 80, app.user, self.pair.now)
            self.pair.run_until(lambda i=i: len(accepted) == i + 1)  # type: ignore[misc]  # bound now
            self.apps += [app, accepted[-1]]

    def wait(self, duration: int) -> None:
        over: list[bool] = []
        self.pair.call_later(duration, lambda: over.append(True))
        self.pair.run_until(lambda: over)

    def wire(self, loss: float, lose_acks: float) -> None:
        for host, watch in zip(self.pair.hosts, self.watches, strict=True):
            host.line = Line(Faults(loss=loss, delay=self.delay, mtu=65535), random.Random(self.rng.getrandbits(32)), 0)
            watch.lose_acks = lose_acks

    def do(self, which: int, what: str, size: int) -> None:
        app = self.apps[which % len(self.apps)]
        conn = app.conn
        assert conn is not None
        now = self.pair.now
        if what == "write":
            app.wanted += size
            app.push()
        elif what == "pause":
            conn.pause(now)
        elif what == "resume":
            conn.resume(now)
        elif what == "buffer":
            conn.set_rcv_buf(size, now)
        elif what == "shut":
            self.wire(0.0, 1.0)
        elif what == "bad":
            self.wire(0.3, 0.5)
        elif what == "cut":
            self.wire(1.0, 0.0)
        elif what == "good":
            self.wire(0.0, 0.0)
        self.wait(size % 7 * 150 * MILLISECOND)
        for app in self.apps:
            conn = app.conn
            assert conn is not None
            self.most = max(self.most, conn.rcv_buf)
            assert conn.rx_bytes <= 2 * self.most + 16384, "what one reader may make us hold"
            assert not app.ended, app.error

    def heal(self) -> int:
        """The readers read, the wire is whole. Returns how long it took until everything had arrived."""
        self.wire(0.0, 0.0)
        for app in self.apps:
            assert app.conn is not None
            app.conn.resume(self.pair.now)
        took = self.pair.run_until(self.done, LIMIT)
        for a, b in zip(self.apps[::2], self.apps[1::2], strict=True):
            assert a.received == stream(0, b.wanted) and b.received == stream(0, a.wanted)
        return took

    def done(self) -> bool:
        pairs = zip(self.apps[::2], self.apps[1::2], strict=True)
        return all(len(a.received) >= b.wanted and len(b.received) >= a.wanted for a, b in pairs)

    def end(self) -> None:
        for app in self.apps:
            assert app.conn is not None
            app.conn.close(self.pair.now)
        self.pair.run_out()
        for host in self.pair.hosts:
            assert host.tcp.hub.held == 0
            assert not host.tcp.hub.tables
        assert all(app.ended and app.error is None for app in self.apps)


ACTIONS = ("write", "write", "write", "pause", "pause", "resume", "buffer", "shut", "bad", "cut", "good")

steps = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(ACTIONS), st.one_of(st.sampled_from(SIZES), st.integers(1, 150_000))),
    min_size=4,
    max_size=30,
)

configs = st.builds(
    TcpConfig,
    rcv_buf=st.one_of(st.none(), st.sampled_from(SIZES)),
    rcv_buf_max=st.sampled_from((2048, 100_000, 16 << 20, 65535 << 14)),
    snd_high=st.one_of(st.none(), st.sampled_from((1, 3000, 100_000))),
    nodelay=st.booleans(),
    timestamps=st.booleans(),
    sack=st.booleans(),
    memory_pressure=st.sampled_from((1, 5000, 64 << 20)),
    memory_max=st.just(64 << 20),
    time_wait=st.just(SECOND),
)


@settings(max_examples=200, deadline=None)
@given(configs, st.sampled_from((140, 576, 1500, 9000, 65535)), st.integers(1, 4), st.integers(0, 2**32 - 1), steps)
def test_windows_never_deadlock_and_their_edges_never_move_left(
    config: TcpConfig, mtu: int, n: int, seed: int, actions: list[tuple[int, str, int]]
) -> None:
    scene = Scene(config, mtu, n, seed)
    for which, what, size in actions:
        scene.do(which, what, size)
    took = scene.heal()
    event(f"healed within {10 ** len(str(took // MILLISECOND))} ms")
    scene.end()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 50_000), st.sampled_from((576, 1500, 9000)), st.integers(2, 4), st.integers(0, 2**32 - 1), steps)
def test_a_used_up_budget_stops_nobody_for_good(
    memory: int, mtu: int, n: int, seed: int, actions: list[tuple[int, str, int]]
) -> None:
    """The hard level is below what one connection would want, and all of them want it at once."""
    scene = Scene(TcpConfig(memory_pressure=memory, memory_max=memory, time_wait=SECOND), mtu, n, seed)
    for which, what, size in actions:
        scene.do(which, what, size)
        for host in scene.pair.hosts:
            # below the level, or each connection's own: 2048 bytes received, and written until told to stop
            assert host.tcp.hub.held <= memory + n * (2048 + 2048 + 5000)
    scene.heal()
    scene.end()
