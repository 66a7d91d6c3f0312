"""A program: how the world is set up, and what happens in it. Drawn by Hypothesis, played by `play`, printed when it fails.

An operation is `(pause before it, what, a, b)`: `a` chooses a host and a person, `b` says how much. Every number means something in
every operation, so that a program stays a program while it shrinks.
"""

from __future__ import annotations

import attrs
from hypothesis import strategies as st
from model_user import Person, Reaction
from model_wire import Box, Weather
from model_world import PEOPLE, PORT, START, TSO, Host, HostSetup, Setup, World, brief

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import const as tc
from netstack.tcp import wire as codec
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection

Op = tuple[int, str, int, int]
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HEALED = 15 * MINUTE  # a good wire ends every connection in order within this: RTO_MAX for what waits longest, a few times over
ENDLESS = 2 * HOUR  # and no wire at all ends it by time-outs within this: 15 retries of at most 120 s, keep-alives on top
PATIENCE = 5 * SECOND  # an outage that no retry limit may feel

SIZES = (0, 1, 2, 87, 88, 89, 535, 536, 537, 1447, 1448, 1449, 1460, 1461, 2920, 5000, 8000, 16000, 40000, 102400)
GAPS = (0, 0, 1000, 100_000, MILLISECOND, 10 * MILLISECOND, 40 * MILLISECOND, 200 * MILLISECOND, SECOND, 5 * SECOND, MINUTE)
JUMPS = (SECOND, MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 12 * DAY, 25 * DAY, 50 * DAY)
OUTAGES = (50 * MILLISECOND, SECOND, 4 * SECOND, 30 * SECOND, 5 * MINUTE, HOUR)
MTUS = (600, 1000, 1400, 1499)
EVENTS = ("connected", "data", "eof", "writable", "closed")
CALLS = ("write", "write", "pause", "shutdown", "resume", "nodelay", "marks", "connect", "close", "abort")
GREETINGS = ("", "", "", "", "write", "shutdown", "pause", "close", "refuse", "abort")
KINDS = (
    "wait", "write", "write", "write", "write", "write", "pause", "resume", "connect", "shutdown", "nodelay", "congestion", "marks",
    "keepalive", "cross", "weather", "box", "mtu", "dark", "shut", "replay", "replay", "forge", "forge", "icmp", "icmp", "sleep", "jump",
    "close", "nobody", "relisten", "abort", "perfect",
)  # fmt: skip


@attrs.frozen(kw_only=True, repr=False)
class Program:
    setup: Setup = Setup()
    weather: Weather = Weather()
    box: Box = Box()
    accidents: dict[tuple[int, int], tuple[str, int]] = {}
    reactions: list[tuple[int, Reaction]] = []
    greetings: list[str] = []
    closers: int = 0  # bit n: person n closes at the end, others shut down and read on
    ops: list[Op] = []
    heals: bool = True

    __repr__ = brief  # what Hypothesis prints can be copied into a test


# -- drawing -------------------------------------------------------------------------------------------------------------------


def _sometimes(default: object, *others: object) -> st.SearchStrategy[object]:
    return st.sampled_from((default, default, default, *others))


_config = st.builds(
    TcpConfig,
    rcv_buf=_sometimes(262144, 2048, 3000, 20_000, 65535, 65536, 1_000_000),
    snd_high=_sometimes(262144, 1, 1000, 65536),
    snd_low=st.sampled_from((0, 1)),
    nodelay=st.booleans(),
    congestion=st.sampled_from(("cubic", "reno")),
    timestamps=_sometimes(True, False),
    sack=_sometimes(True, False),
    keepalive=_sometimes(0, 600 * SECOND, 2 * SECOND),
    time_wait=_sometimes(60 * SECOND, SECOND),
)
_host = st.builds(
    HostSetup,
    config=_config,
    mtu=_sometimes(1500, 128, 576, 9000, 1501),
    offload=_sometimes(0, const.OFFLOAD_CSUM, TSO),
    coarse=_sometimes(0, MILLISECOND, 20 * MILLISECOND),
    timers_first=st.booleans(),
)
_near = st.sampled_from((2**32 - 1, 2**32 - 3000, 2**32 - 20_000, 2**31 - 1, 2**31 - 3000, 2**31 - 20_000, 12345))
_setup = st.builds(
    Setup,
    hosts=st.tuples(_host, _host),
    iss=st.none() | st.tuples(_near, _near),
    start=st.just(START),
    carries_super=st.booleans(),
    seed=st.integers(0, 2**16),
)
_weather = st.builds(
    Weather,
    loss=_sometimes(0, 3, 13, 40),
    burst=_sometimes(0, 0, 0, 2),
    duplicate=_sometimes(0, 13, 128),
    reorder=_sometimes(0, 13, 128),
    corrupt=_sometimes(0, 3, 13),
    delay=_sometimes(MILLISECOND, 1000, 30 * MILLISECOND, 300 * MILLISECOND, 2 * SECOND),
    jitter=_sometimes(0, MILLISECOND, 200 * MILLISECOND),
)
_box = st.builds(
    Box,
    split=_sometimes(0, 0, 1, 2, 3),
    merge=_sometimes(False, False, True),
    divide=_sometimes(False, False, True),
    stretch=_sometimes(0, 0, 2, 4),
    strip=_sometimes((), (), (3,), (8,), (4,), (2, 3, 4, 8)),
    naked=_sometimes(False, False, False, True),
)
_accidents = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(0, 40)),
    st.tuples(st.sampled_from(("drop", "drop", "twice", "late", "corrupt")), st.integers(1, 60)),
    max_size=5,
)
_reaction = st.tuples(st.sampled_from(EVENTS), st.sampled_from(CALLS), st.sampled_from(SIZES))
_op = st.tuples(st.sampled_from(GAPS), st.sampled_from(KINDS), st.integers(0, 255), st.integers(0, 255))
# a list of lists: one list of up to sixty would mostly be short
_ops = st.lists(st.lists(_op, max_size=10), max_size=6).map(lambda parts: [op for part in parts for op in part])


def programs(heals: bool | None = None) -> st.SearchStrategy[Program]:
    return st.builds(
        Program,
        setup=_setup,
        weather=st.just(Weather()) | _weather,
        box=st.just(Box()) | _box,
        accidents=_accidents,
        reactions=st.lists(st.tuples(st.integers(0, 5), _reaction), max_size=8),
        greetings=st.lists(st.sampled_from(GREETINGS), max_size=4),
        closers=st.integers(0, 255),
        ops=_ops,
        heals=st.sampled_from((True, True, True, False)) if heals is None else st.just(heals),
    )


# -- playing -------------------------------------------------------------------------------------------------------------------


def begin(program: Program) -> World:
    world = World(program.setup)
    world.wire.weather = program.weather
    world.wire.box = program.box
    world.wire.accidents = dict(program.accidents)
    for number, reaction in program.reactions:
        world.reactions_for.setdefault(number, []).append(reaction)
    world.greetings = dict(enumerate(program.greetings, 1))
    if not program.weather.harmless():
        world.outage += HOUR
    return world


def play(world: World, program: Program) -> None:
    """The program to its end, and every connection to its own."""
    world.connect(world.hosts[0], 0)
    for gap, what, a, b in program.ops:
        if gap:
            world.advance(gap)
        world.calls += 1
        operate(world, what, world.hosts[a & 1], a >> 1, b)
        world.settle()
    for host in world.hosts:
        host.asleep_until = 0
    (heal if program.heals else leave)(world, program)
    for host in world.hosts:
        if host.listening is not None:
            host.listening.close(world.now)
    for _ in range(100):
        if not any(host.timers.count or host.inbox for host in world.hosts):
            break
        world.advance(2 * MINUTE)
    world.check()
    world.clean()


def operate(world: World, what: str, host: Host, who: int, b: int) -> None:
    mine = [person for person in world.crowd if person.host is host and person.conn is not None]
    wire, now = world.wire, world.now
    d = host.index
    if what in ("write", "pause", "resume", "shutdown", "close", "abort", "nodelay", "congestion", "marks", "keepalive"):
        if mine:
            mine[-1 - who % len(mine)].act(what, SIZES[b % len(SIZES)] if what == "write" else b, now)
    elif what == "connect":
        world.connect(host, b % 4)
    elif what == "nobody":
        world.connect(host, b % 4, port=81)
    elif what == "cross":  # a simultaneous open, if the delay lets it be one
        if len(world.crowd) + 2 <= PEOPLE:
            world.connect(host, 0, 2000 + b % 2, 1000 + b % 2)
            world.connect(world.hosts[1 - d], 0, 1000 + b % 2, 2000 + b % 2)
    elif what == "weather":
        wire.weather = attrs.evolve(
            wire.weather, loss=(0, 5, 20, 0)[who % 4], delay=(1000, MILLISECOND, 100 * MILLISECOND, SECOND)[b % 4]
        )
    elif what == "box":
        wire.box = attrs.evolve(wire.box, split=b % 4, merge=bool(b & 4), divide=bool(b & 8), stretch=(b >> 4) % 4)
    elif what == "mtu":
        wire.mtu = MTUS[b % len(MTUS)]
    elif what == "dark":
        length = OUTAGES[b % len(OUTAGES)]
        for side in (0, 1) if b & 64 else (d,):
            wire.dark_until[side] = now + length
        world.outage += length
    elif what == "shut":
        wire.shut_until[d] = now + OUTAGES[b % len(OUTAGES)]
        world.outage += OUTAGES[b % len(OUTAGES)]
    elif what == "sleep":
        host.asleep_until = now + OUTAGES[b % len(OUTAGES)]
        world.outage += OUTAGES[b % len(OUTAGES)]
    elif what == "jump":
        world.now += JUMPS[b % len(JUMPS)]
        if JUMPS[b % len(JUMPS)] > HOUR:  # nothing is on its way for so long (RFC 9293 3.4.3: the MSL)
            for each in world.hosts:
                each.inbox.clear()
        world.outage += HOUR
    elif what == "relisten":
        if host.listening is not None:
            host.listening.close(now)
            world.unlistened = True
        host.listen()
    elif what == "replay":
        replay(world, d, who, b)
    elif what == "icmp":
        rumour(world, host, who, b)
    elif what in ("forge", "perfect"):
        forge(world, host, who, b, what == "perfect")


def replay(world: World, d: int, who: int, b: int) -> None:
    """An old duplicate of the same incarnation arrives; one of an earlier one may do what no stack can prevent."""
    found = world.wire.oldest(d, who * 256 + b, world.now)
    if found is None:
        return
    when, data, gso = found
    ports = int.from_bytes(data[:4], "big")
    if world.watch.incarnations.get(world.watch.between(d, ports), 0) > 2:
        world.watch.taint(1 - d, ports)
    world.forged += 1
    world.say("replay of", when - world.setup.start, codec.Segment.decode(data))
    world.deliver(1 - d, world.now + 1000, data, gso, True)


def rumour(world: World, host: Host, who: int, b: int) -> None:
    """An ICMP error about something that was sent lately, or long ago."""
    sent = world.wire.history[host.index]
    if not sent:
        return
    data = sent[-1 - who % min(len(sent), 8)][1] if b & 128 else sent[(who * 7) % len(sent)][1]
    type, code, mtu = ((3, 4, 576), (3, 4, 0), (3, 4, 68), (3, 1, 0), (3, 3, 0), (4, 0, 0), (11, 0, 0), (3, 4, 1200))[b % 8]
    world.forged += 1
    world.hard_icmp = world.hard_icmp or (type == 3 and code != 4)
    world.say("icmp", type, code, mtu, codec.Segment.decode(data))
    world.icmp(host, type, code, data, mtu)


def forge(world: World, host: Host, who: int, b: int, perfect: bool) -> None:
    """A segment that the peer never sent. A blind one has numbers which RFC 5961 and the window refuse; where it could do harm
    nevertheless it counts as a perfect guess, and the connection as lost."""
    conns: list[Connection] = list(host.tcp.connections())
    if not conns:
        return
    c = conns[who % len(conns)]
    flags = (
        const.RST,
        const.RST | const.ACK,
        const.SYN,
        const.SYN | const.ACK,
        const.ACK,
        const.ACK | const.PSH,
        const.FIN | const.ACK,
    )[b % 7]
    far = world.wire.rng.getrandbits(32)
    window = (c.rcv_adv - c.rcv_nxt) & const.M32
    seq = c.rcv_nxt + (0, 1, -1, window - 1, window, far, -2, 1 << 31)[(b >> 3) % 8] * (0 if perfect else 1)
    ack = c.snd_una + (0, 1, -1, (c.snd_max - c.snd_una) + 1, far, 1 << 31, -70000, -c.max_snd_wnd - 1)[(b >> 5) % 8]
    payload = bytes(5) if flags & const.PSH else b""
    harmful = perfect or _could_harm(c, flags, seq & const.M32, ack & const.M32, len(payload))
    if harmful and not perfect:
        return
    if harmful:
        world.watch.taint(host.index, c.remote_port << 16 | c.local_port)
    segment = codec.Segment(
        c.remote_port, c.local_port, seq & const.M32, ack & const.M32 if flags & const.ACK else 0, flags, 5000, b"", payload
    )  # fmt: skip
    world.forged += 1
    world.say("forged to", "ab"[host.index], segment)
    world.record(host.index, segment.encode(c.remote, c.local), world.now, 1)
    world.watch.arrived[host.index] += 1
    host.ip.trusted = False
    host.ip.inject(c.remote, c.local, const.PROTO_TCP, segment.encode(c.remote, c.local), world.now)
    host.ip.flush(world.now)


def _could_harm(c: Connection, flags: int, seq: int, ack: int, n: int) -> bool:
    ahead = (seq - c.rcv_nxt) & const.M32
    window = (c.rcv_adv - c.rcv_nxt) & const.M32
    if c.state == tc.SYN_SENT:
        return bool(flags & const.SYN) or ack == c.snd_max
    if c.state == tc.SYN_RECEIVED:
        return ahead <= window or seq == c.irs or (n > 0 and ahead > const.M32 - n)
    inside = ahead == 0 or ahead <= window or (-ahead & const.M32) < n + 2
    if flags & const.RST:
        return ahead == 0
    if flags & const.SYN or not inside:
        return False
    beyond = (ack - c.snd_max) & const.M32
    behind = (c.snd_una - ack) & const.M32
    return not (0 < beyond <= const.M31 or c.max_snd_wnd < behind <= const.M31)


# -- ends ----------------------------------------------------------------------------------------------------------------------


def _until(world: World, limit: int, program: Program | None = None) -> list[Person]:
    """Run until everybody has heard the end, or for `limit`; who has not. With a program people say that they are done, those too who
    come meanwhile."""
    end = world.now + limit
    step = 10 * MILLISECOND
    known = len(world.crowd)
    while True:
        if program is not None:
            for person in list(world.crowd):
                _finish(program, person, world.now)
            if len(world.crowd) > known:
                known, end = len(world.crowd), world.now + limit
        alive = [person for person in world.crowd if not person.closed]
        if not alive or world.now >= end:
            return alive
        world.advance(step)
        step = min(2 * step, MINUTE)


def heal(world: World, program: Program) -> None:
    """The wire is good again, everybody says all it has to say and reads to the end: all ends in order, and soon."""
    world.wire.calm()
    world.say("healed")
    stuck = [person.name for person in _until(world, HEALED, program) if not person.tainted]
    assert not stuck, f"{stuck} have not ended in {HEALED / SECOND:g} s over a good wire"
    for person in world.crowd:
        if not person.closed:
            person.act("close", 0, world.now)
    assert not _until(world, ENDLESS), "a connection into which a forger has written has not ended"
    for person in world.crowd:
        if not person.tainted:
            judge(world, person)


def _finish(program: Program, person: Person, now: int) -> None:
    if person.closed or person.conn is None:
        return
    if person.paused:
        person.act("resume", 0, now)
    if person.closed or person.did_shutdown or person.did_close:
        return
    person.act("close" if program.closers >> person.number & 1 else "shutdown", 0, now)


def leave(world: World, program: Program) -> None:
    """The wire is cut for good. Who has data on the way is told soon enough; who only listens, when it closes."""
    world.wire.cut()
    world.outage += HOUR
    world.say("cut")
    world.advance(10 * SECOND)  # what was on the wire arrives yet
    waiting = [person for person in world.crowd if not person.closed and person.conn is not None and person.conn.unsent]
    waiting = [person for person in waiting if not person.did_close]
    world.advance(ENDLESS)
    assert all(person.closed for person in waiting if not person.tainted), "data that nobody acknowledges, and no time-out"
    for person in list(world.crowd):
        if not person.closed:
            person.act("resume", 0, world.now)
            person.act("close", 0, world.now)
    alive = _until(world, ENDLESS)
    assert not alive, f"{[person.name for person in alive]} have not ended though the wire is cut"


def judge(world: World, p: Person) -> None:
    """What the documentation promises about how `p` ended."""
    q = p.partner() if p.connected else None
    error = p.error
    story = f"{p.name}: {error!r}, {p.received} of {q.sent if q else '?'} received"
    patient = world.outage > PATIENCE
    if p.connected and error is None and not p.refused and not p.void:
        assert q is not None, story
        if not q.rude and q.error is None:
            assert q.received == p.sent, f"{q.name} got {q.received} of {p.sent} bytes, and {p.name} was told that all went well"
        if not p.did_close:
            assert p.eof, f"{story}: closed(None) without eof"
    if error is None or p.refused or p.void:
        return
    name = type(error).__name__
    if name == "Aborted":
        assert p.did_abort or p.did_close, story
    elif name == "PeerReset":
        lawful = q is None or q.rude or q.error is not None
        assert lawful or patient or world.unlistened or p.tainted, f"{story}: reset by a polite peer ({q and q.error!r})"
    elif name == "TimedOut":
        assert patient or (q is None and world.unlistened) or world.hurried, story
    elif name in ("Refused", "Unreachable"):
        assert not p.connected or world.hard_icmp, story
        assert world.hard_icmp or patient or world.unlistened or p.conn.remote_port != PORT or q is None, story  # type: ignore[union-attr]
