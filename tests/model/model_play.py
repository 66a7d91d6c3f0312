"""Plays a program on a world, brings every connection to its end, and judges how it ended."""

from __future__ import annotations

import attrs
from model_program import MINUTE, SIZES, Program
from model_user import Person
from model_world import PEOPLE, PORT, Host, World, remembered

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import const as tc
from netstack.tcp import wire as codec
from netstack.tcp.connection import Connection

HOUR = 60 * MINUTE
DAY = 24 * HOUR
HEALED = 15 * MINUTE  # a good wire ends every connection in order within this: RTO_MAX for what waits longest, a few times over
ENDLESS = 2 * HOUR  # and no wire at all ends it by time-outs within this: 15 retries of at most 120 s, keep-alives on top
PATIENCE = 5 * SECOND  # an outage that no retry limit may feel

JUMPS = (SECOND, MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 12 * DAY, 25 * DAY, 50 * DAY)
OUTAGES = (50 * MILLISECOND, SECOND, 4 * SECOND, 30 * SECOND, 5 * MINUTE, HOUR)
BLINKS = (MILLISECOND, 20 * MILLISECOND, 100 * MILLISECOND, 300 * MILLISECOND)
MTUS = (600, 1000, 1400, 1499)
RUMOURS = ((3, 4, 576), (3, 4, 0), (3, 4, 68), (3, 4, 1200), (4, 0, 0), (11, 0, 0), (3, 1, 0), (3, 3, 0))  # type, code, mtu


def begin(program: Program) -> World:
    world = World(program.setup)
    if program.setup.ts_wraps:
        world = World(attrs.evolve(program.setup, start=remembered(world)))
    world.wire.weather = program.weather
    world.wire.box = program.box
    configs = [host.setup.config for host in world.hosts]
    if any(c.syn_cookies == "always" or (c.syn_cookies == "auto" and c.max_half_open < PEOPLE) for c in configs):
        # a box that takes the timestamps off the ACK, though not off the SYN,ACK, takes what a cookie says of scaling with them
        world.wire.box = attrs.evolve(program.box, naked=False)
    world.wire.accidents = dict(program.accidents)
    for number, reaction in program.reactions:
        world.reactions_for.setdefault(number, []).append(reaction)
    world.greetings = dict(enumerate(program.greetings, 1))
    if not program.weather.harmless():
        world.outage += HOUR
    # a listener that has sent cookies answers no segment that looks like early text (cookies.py): a connection that is gone may
    # look so, and its peer then learns of it by time-out, not by a reset
    if any(host.setup.config.syn_cookies == "always" for host in world.hosts):
        world.outage += HOUR
    bounds = [host.setup.config.max_connections for host in world.hosts]
    if (
        min(bounds) < PEOPLE
    ):  # connections are dropped for want of room, and what a paused user does not read is sent again and again
        world.outage += HOUR
        world.unlistened = True
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
        host.ip.routed = True
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
    if what in ("write", "bulk", "pause", "resume", "shutdown", "close", "abort", "nodelay", "congestion", "marks", "keepalive"):
        if mine:
            size = SIZES[b % len(SIZES)] if what == "write" else SIZES[-1 - b % 5] if what == "bulk" else b
            mine[-1 - who % len(mine)].act("write" if what == "bulk" else what, size, now)
    elif what in ("connect", "nobody"):
        world.connect(host, b % 4, port=PORT if what == "connect" else 81)
    elif what == "again":
        world.connect(world.hosts[0], 0)
    elif what == "cross":  # a simultaneous open, if the delay lets it be one
        if len(world.crowd) + 2 <= PEOPLE:
            world.connect(host, 0, 2000 + b % 2, 1000 + b % 2)
            world.connect(world.hosts[1 - d], 0, 1000 + b % 2, 2000 + b % 2)
    elif what == "weather":
        wire.weather = attrs.evolve(
            wire.weather, loss=(0, 5, 10, 0)[who % 4], delay=(1000, MILLISECOND, 100 * MILLISECOND, SECOND)[b % 4]
        )
    elif what == "box":
        wire.box = attrs.evolve(wire.box, split=b % 4, merge=bool(b & 4), divide=bool(b & 8), stretch=(b >> 4) % 4)
    elif what == "mtu":
        wire.mtu = MTUS[b % len(MTUS)]
    elif what == "narrow":  # the host's own device has learnt of a smaller path
        world.watch.unseen[d] = True
        host.ip.mtu = min(host.ip.mtu, MTUS[b % len(MTUS)])
    elif what in ("dark", "blink", "shut", "lapse", "sleep", "doze", "route"):
        length = OUTAGES[b % len(OUTAGES)] if what in ("dark", "shut", "sleep") else BLINKS[b % len(BLINKS)]
        world.outage += length
        if what in ("dark", "blink"):
            for side in (0, 1) if b & 64 else (d,):
                wire.dark_until[side] = now + length
        elif what in ("shut", "lapse"):
            wire.shut_until[d] = now + length
            world.probes += length * len(world.crowd) // (50 * MILLISECOND)  # each is taken, and the next is sent an RTO later
        elif what == "route":
            world.watch.unseen[d] = True
            host.ip.routed = not host.ip.routed
            world.outage += HOUR
        else:
            host.asleep_until = now + length
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
    elif what == "garbage":
        garbage(world, host, b)
    elif what == "replay":
        replay(world, d, who, b)
    elif what in ("icmp", "toobig"):
        rumour(world, host, who, b, RUMOURS if what == "icmp" else RUMOURS[:6])
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


def rumour(world: World, host: Host, who: int, b: int, choice: tuple[tuple[int, int, int], ...]) -> None:
    """An ICMP error about something that was sent lately, or long ago."""
    sent = world.wire.history[host.index]
    if not sent:
        return
    data = sent[-1 - who % min(len(sent), 8)][1] if b & 128 else sent[(who * 7) % len(sent)][1]
    type, code, mtu = choice[b % len(choice)]
    world.forged += 1
    world.hard_icmp = world.hard_icmp or (type != 4 and (type, code) != (3, 4))  # a reason to give, should it end so
    world.say("icmp", type, code, mtu, codec.Segment.decode(data))
    world.icmp(host, type, code, data, mtu)


def garbage(world: World, host: Host, b: int) -> None:
    """Random bytes, or a segment that was cut short or has a bit wrong: no checksum comes out right, but for one in 65,536."""
    rng = world.wire.rng
    sent = world.wire.history[1 - host.index]
    data = sent[rng.getrandbits(16) % len(sent)][1] if sent and b & 1 else rng.randbytes(b)
    data = data[: b % 40] if b & 2 else data[:13] + bytes([b]) + data[14:]
    if codec.checksum_ok(data, *world.wire.ends(1 - host.index)):
        return
    world.forged += 1
    world.inject(host, data)


def forge(world: World, host: Host, who: int, b: int, perfect: bool) -> None:
    """A segment that the peer never sent. A blind one has numbers which RFC 5961 and the window refuse; where it could do harm
    nevertheless it counts as a perfect guess, and the connection as lost."""
    conns: list[Connection] = list(host.tcp.connections())
    if not conns:
        return
    c = conns[(b >> 3) % len(conns)]
    flags = codec.flag_bits(("R", "RA", "S", "SA", "A", "PA", "FA")[b % 7])
    far = world.wire.rng.getrandbits(32)
    window = (c.rcv_adv - c.rcv_nxt) & const.M32
    seq = c.rcv_nxt + (0, 1, -1, window - 1, window, far, -2, 1 << 31)[who % 8] * (0 if perfect else 1)
    ack = c.snd_una + (0, 1, -1, (c.snd_max - c.snd_una) + 1, far, 1 << 31, -70000, -c.max_snd_wnd - 1)[who // 8 % 8]
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
    world.inject(host, segment.encode(c.remote, c.local))


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
    """Run until everybody has heard the end, or for `limit`; who has not. With a program people say that they are done, those
    too who come meanwhile."""
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
    stuck = [person.name for person in _until(world, HEALED, program) if not _may_wait(person)]
    assert not stuck, f"{stuck} have not ended in {HEALED / SECOND:g} s over a good wire"
    for person in world.crowd:
        if not person.closed:
            person.act("close", 0, world.now)
    assert not _until(world, ENDLESS), "a connection has not ended though it was closed"
    for person in world.crowd:
        if not person.tainted:
            judge(world, person)
            if program.polite:
                assert person.error is None and person.eof and not person.rude, f"{person.name}: {person.error!r}"


def _may_wait(person: Person) -> bool:
    """A reader whose peer has gone without a word that arrived may wait for ever, were it not for keep-alives; so may one between
    whom and its peer a forger has put other numbers."""
    conn = person.conn
    if person.tainted or conn is None:
        return True
    partner = person.partner()
    return person.connected and not conn.unsent and (partner is None or partner.rude or partner.error is not None)


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
        if q is not None and q.host.setup.config.time_wait < MINUTE:  # it had gone before the loss of its ACKs was repaired
            lawful = lawful or (q.closed and q.received == p.sent)
        assert lawful or patient or world.unlistened or p.tainted, f"{story}: reset by a polite peer ({q and q.error!r})"
    elif name == "TimedOut":
        assert patient or (q is None and world.unlistened) or world.hurried, story
    elif name in ("Refused", "Unreachable"):
        assert not p.connected or world.hard_icmp, story
        assert world.hard_icmp or patient or world.unlistened or p.conn.remote_port != PORT or q is None, story  # type: ignore[union-attr]
