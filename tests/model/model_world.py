"""Two TCPs, a clock, a hostile wire and the people who use them: what a program (model_program.py) is played on.

Each host has its own timers and an inbox, since a host can sleep: then nothing of it happens, and when it wakes a minute's
deadlines and datagrams are due at once. A jump of the clock is the same for both, the wire silent.
"""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from pathlib import Path

import attrs
from model_user import Person, Reaction
from model_watch import Watch
from model_wire import Wire

from netstack import const, pcap
from netstack.checksum import checksum
from netstack.cores import IpError, StreamUser
from netstack.errors import AddressInUse, NoBuffers, Unreachable
from netstack.instant import SECOND
from netstack.tcp import const as tc
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.tcp.tcp import Tcp
from netstack.testing.capture import CaptureFile
from netstack.testing.loopip import LoopIp, Packet
from netstack.timers import Timers

TSO = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4
PORT = 80
START = 1000 * SECOND
PEOPLE = 12
DEFAULT = TcpConfig()


def brief(value: object) -> str:
    """Like `repr`, for frozen classes, without what has its default."""
    if attrs.has(type(value)):
        items = [(a.name, getattr(value, a.name), a.default) for a in attrs.fields(type(value))]
        shown = [f"{name}={brief(item)}" for name, item, default in items if item != default and item not in ([], {})]
        return f"{type(value).__name__}({', '.join(shown)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(brief, value))},)"
    return repr(value)


@attrs.frozen(kw_only=True, repr=False)
class HostSetup:
    config: TcpConfig = DEFAULT
    mtu: int = 1500
    offload: int = 0
    coarse: int = 0  # ns: it looks for arrivals only so often, as interrupts that are held back
    timers_first: bool = False

    __repr__ = brief


@attrs.frozen(kw_only=True, repr=False)
class Setup:
    hosts: tuple[HostSetup, HostSetup] = (HostSetup(), HostSetup())
    iss: tuple[int, int] | None = None  # of the connections to fixed ports; None: as it comes
    start: int = START
    ts_wraps: bool = False  # host 0's timestamps of its connection from port 40000 do so, 300 ms after the start
    carries_super: bool = False
    seed: int = 0

    __repr__ = brief


class Host:
    def __init__(self, index: int, setup: HostSetup, world: World, rng: random.Random, now: int) -> None:
        self.index = index
        self.setup = setup
        self.world = world
        self.timers = Timers(now)
        self.ip = LoopIp(f"10.0.0.{index + 1}", self._leaves, setup.mtu, setup.offload)
        self.tcp = Tcp(self.ip, self.timers, rng, setup.config)
        self.inbox: list[tuple[int, int, bytes, int, bool]] = []
        self.asleep_until = 0
        self.listening = None
        self.listen()

    def listen(self) -> None:
        self.listening = self.tcp.listen(0, PORT, lambda conn: self.world.accept(self, conn))

    def _leaves(self, packet: Packet, now: int) -> None:
        self.world.leaves(self, packet.data, packet.gso, now)

    def due(self) -> int:
        when = self.timers.next_deadline()
        if self.inbox and self.inbox[0][0] < when:
            when = self.inbox[0][0]
        return when if when > self.asleep_until else self.asleep_until if when < const.NEVER else when

    def poll(self, now: int) -> None:
        if now < self.asleep_until:
            return
        if self.setup.timers_first:
            self.timers.run(now)
        if self.inbox and self.inbox[0][0] <= now:
            ip, watch = self.ip, self.world.watch
            other = self.world.hosts[1 - self.index].ip.address
            for _ in range(const.BATCH):
                if not self.inbox or self.inbox[0][0] > now:
                    break
                _, _, data, gso, clean = heapq.heappop(self.inbox)
                self.world.record(self.index, data, now, pcap.INBOUND)
                watch.arrived[self.index] += 1
                if clean:
                    watch.arrives(self.index, data)
                ip.trusted = clean and self.setup.offload != 0
                ip.inject(other, ip.address, const.PROTO_TCP, data, now, 0, gso)
            ip.flush(now)
        self.timers.run(now)


class World:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.now = setup.start
        rng = random.Random(setup.seed)
        self.watch = Watch()
        self.people: dict[tuple[int, int, int, int], Person] = {}
        self.crowd: list[Person] = []
        self.reactions_for: dict[int, list[Reaction]] = {}
        self.greetings: dict[int, str] = {}  # what the n-th person does in `accept`
        self.keepalives = ((0, SECOND, 1), (SECOND, SECOND, 2), (600 * SECOND, 75 * SECOND, 9))
        self.accepting: Person | None = None
        self.frames: list[tuple[int, int, bytes, int]] = []
        self.story: list[str] = []
        self.hosts = tuple(Host(i, setup.hosts[i], self, random.Random(rng.getrandbits(32)), self.now) for i in range(2))
        addresses = (self.hosts[0].ip.address, self.hosts[1].ip.address)
        self.wire = Wire(addresses, random.Random(rng.getrandbits(32)), self.deliver, setup.carries_super)
        self.wire.too_big = self.too_big
        self.order = itertools.count()
        self.probes = 0  # what a shut window may draw, where it is only the wire that says so
        self.forced: set[int] = set()
        self.written = self.calls = self.reactions = self.forged = self.connects = 0
        self.outage = 0  # ns for which the world stood in the way: time-outs are lawful then
        self.hard_icmp = self.unlistened = self.hurried = False
        self.polls = 0

    def say(self, *words: object) -> None:
        self.story.append(f"{(self.now - self.setup.start) / SECOND:.6f} {' '.join(map(str, words))}")

    # -- the wire ---------------------------------------------------------------------------------------------------------------

    def record(self, host: int, data: bytes, now: int, direction: int) -> None:
        self.frames.append((now, host, data, direction))

    def leaves(self, host: Host, data: bytes, gso: int, now: int) -> None:
        self.record(host.index, data, now, pcap.OUTBOUND)
        self.watch.leaves(host.index, data, gso)
        self.wire.carry(host.index, data, gso, now)

    def deliver(self, to: int, when: int, data: bytes, gso: int, clean: bool) -> None:
        host = self.hosts[to]
        if host.setup.coarse:
            when = -(-when // host.setup.coarse) * host.setup.coarse
        heapq.heappush(host.inbox, (when, next(self.order), data, gso, clean))

    def too_big(self, d: int, data: bytes, now: int) -> None:
        """The router before a smaller MTU says so, three times of four."""
        if self.wire.rng.getrandbits(2):
            self.icmp(self.hosts[d], 3, 4, data, self.wire.mtu)

    def icmp(self, host: Host, type: int, code: int, data: bytes, mtu: int = 0) -> None:
        """An error about a segment that `host` has sent, from a router."""
        there = self.hosts[1 - host.index].ip.address
        host.ip.inject_error(const.PROTO_TCP, IpError(type, code, host.ip.address, there, data[:8], mtu, 0x0A0000FE), self.now)

    def inject(self, host: Host, data: bytes) -> None:
        """`data` reaches `host` at once, as a batch of its own."""
        self.record(host.index, data, self.now, pcap.INBOUND)
        self.watch.arrived[host.index] += 1
        there = self.hosts[1 - host.index].ip.address
        host.ip.trusted = False
        host.ip.inject(there, host.ip.address, const.PROTO_TCP, data, self.now)
        host.ip.flush(self.now)

    # -- people -----------------------------------------------------------------------------------------------------------------

    def _person(self, host: Host) -> Person:
        person = Person(self, host, len(self.crowd))
        person.reactions = list(self.reactions_for.get(person.number, ()))
        self.crowd.append(person)
        return person

    def _register(self, person: Person, conn: Connection) -> None:
        person.conn = conn
        if person.key in self.people:  # two within one tick of the ISS clock: nobody could tell their segments apart
            self.watch.tainted.add(person.between)
        self.people[person.key] = person

    def accept(self, host: Host, conn: Connection) -> StreamUser | None:
        person = self._person(host)
        self._register(person, conn)
        greeting = self.greetings.get(person.number, "")
        self.say(person.name, "accepted from", conn.remote_port, greeting)
        if greeting == "refuse":
            person.refused = person.closed = True
            return None
        if greeting:
            self.accepting = person
            person.act(greeting, 3000, self.now)
            self.accepting = None
            person.void = person.did_abort
            person.closed = person.closed or person.void
        return person.user

    def connect(self, host: Host, how: int, port: int = PORT, local_port: int | None = None) -> Person | None:
        """`how`: from a fixed port with a chosen ISS (0, 1), or from any."""
        if len(self.crowd) >= PEOPLE:
            return None
        other = self.hosts[1 - host.index]
        if local_port is None:
            local_port = 40000 + how if how < 2 else 0
        if local_port and self.setup.iss is not None and local_port not in self.forced:
            self.forced.add(local_port)
            ends = ((host, local_port, other, port), (other, port, host, local_port))
            for (mine, here, theirs, there), want in zip(ends, self.setup.iss, strict=True):
                hub = mine.tcp.hub
                hub.iss_bias = 0
                hub.iss_bias = want - hub.iss(mine.ip.address, here, theirs.ip.address, there, self.now)
        person = self._person(host)
        try:
            conn = host.tcp.connect(0, local_port, other.ip.address, port, person.user, self.now)
        except (AddressInUse, NoBuffers, Unreachable):
            self.crowd.remove(person)
            return None
        self.connects += 1
        self._register(person, conn)
        self.say(person.name, "connects", conn.local_port, "to", port)
        return person

    def ended(self, person: Person, now: int) -> None:
        self.say(person.name, "closed", repr(person.error))

    # -- time -------------------------------------------------------------------------------------------------------------------

    def advance(self, duration: int) -> None:
        self.run_until(self.now + duration)

    def run_until(self, end: int) -> None:
        a, b = self.hosts
        while True:
            due_a, due_b = a.due(), b.due()
            due = due_a if due_a < due_b else due_b
            if due > end:
                break
            if due > self.now:
                self.now = due
            if due_a <= self.now:
                self.poll(a)
            if due_b <= self.now:
                self.poll(b)
        self.now = max(self.now, end)

    def poll(self, host: Host) -> None:
        host.poll(self.now)
        self.settle()

    def settle(self) -> None:
        """After anything has happened."""
        if self.wire.box.merge:
            self.wire.release(0, self.now)
            self.wire.release(1, self.now)
        self.polls += 1
        if not self.polls & 7:
            self.check()
            self.account()

    def account(self) -> None:
        """What may be sent at the most is a function of the work, the harm and the time: a handshake, a close and their repetitions
        for each connection; every byte in the smallest segments that the two may agree on, and each of these sent and acknowledged
        a few times; a few answers to whatever the wire invents; probes, and keep-alives where they are asked for each second.
        Two whom a forger has told different numbers challenge each other twice a second, as RFC 5961 has it, until one closes."""
        conns = len(self.crowd) + 1
        sizes = [min(host.setup.mtu - 60, (host.setup.config.rcv_buf or 65536) // 4, tc.DEFAULT_MSS) for host in self.hosts]
        work = 100 * conns + 6 * (self.written // min(sizes)) + 3 * (self.wire.made + self.forged + self.calls + self.reactions)
        chatty = self.hurried or any(0 < host.setup.config.keepalive < 60 * SECOND for host in self.hosts)
        each = 10 * SECOND if not chatty and not self.watch.tainted else SECOND // 4
        self.watch.most = work + self.probes + conns * min(self.now - self.setup.start, 7200 * SECOND) // each

    # -- what must hold always --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Of each host, at any time."""
        for host in self.hosts:
            hub = host.tcp.hub
            held = established = live = 0
            for c in host.tcp.connections():
                ooo = 0 if c.ooo is None else c.ooo.nbytes
                held += c.rx_bytes + c.unsent + (0 if c.ooo is None else c.ooo.cost())
                if c.ended and c.state == tc.CLOSED:
                    continue
                if c.ended and c.state == tc.TIME_WAIT:
                    continue
                live += 1
                established += c.state in (tc.ESTABLISHED, tc.CLOSE_WAIT)
                assert ooo <= (c.rcv_adv - c.rcv_nxt) & const.M32, "more is held beyond a hole than is offered"
                assert c.rx_bytes <= 2 * c.rcv_buf + 2 * (1 << max(0, c.rcv_wscale)), "more waits for a reader than window.py lends"
                una, nxt, most = 0, (c.snd_nxt - c.snd_una) & const.M32, (c.snd_max - c.snd_una) & const.M32
                assert una <= nxt <= most <= const.M31, f"SND.UNA {c.snd_una}, SND.NXT {c.snd_nxt}, SND.MAX {c.snd_max}"
                assert ((c.rcv_adv - c.rcv_nxt) & const.M32) <= 1 << 30, f"RCV.NXT {c.rcv_nxt}, right edge {c.rcv_adv}"
            assert hub.held == held, f"{hub.held} bytes are said to be held, {held} are"
            assert live == hub.count, f"{live} connections, counted {hub.count}"
            assert host.tcp.mib.CurrEstab == established
            entries = sum(len(table) for table in hub.tables.values())
            assert entries == hub.count + len(hub.waits)
            assert host.timers.count <= entries + 8
            lost = host.tcp.mib.OutSegs - self.watch.sent[host.index]
            assert lost >= host.tcp.ext.OutFailed and (lost == 0 or host.tcp.ext.OutFailed), f"{lost} segments were never sent"
            assert host.tcp.mib.InSegs == self.watch.arrived[host.index]

    def clean(self) -> None:
        """Nothing is left."""
        for host in self.hosts:
            hub = host.tcp.hub
            assert not hub.tables and not hub.waits and not hub.half and not hub.todo and not hub.unread, "tables are not empty"
            assert hub.count == 0 and hub.held == 0, f"{hub.count} connections, {hub.held} bytes are left"
            assert host.timers.count == 0, f"{host.timers.count} timers are left"
            assert host.tcp.mib.CurrEstab == 0
            assert host.tcp.mib.OutRsts >= self.watch.resets[host.index]

    # -- for those who look at a failure ----------------------------------------------------------------------------------------

    def capture(self, path: Path) -> None:
        """Both hosts' datagrams, in and out, as a pcapng file."""
        file = CaptureFile(path)
        for name in ("a", "b"):
            file.interface(name, False)
        ends = [host.ip.address for host in self.hosts]
        for when, host, data, direction in self.frames:
            src, dst = (ends[host], ends[1 - host]) if direction == pcap.OUTBOUND else (ends[1 - host], ends[host])
            head = struct.pack("!BBHHHBBHII", 0x45, 0, min(20 + len(data), 65535), 0, 0x4000, 64, 6, 0, src, dst)
            head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
            file.frame(host, when, head + data, direction)
        file.close()


def remembered(world: World) -> int:
    """When to start so that timestamps wrap soon: where they begin is random, but the same for the same seed."""
    person = world.connect(world.hosts[0], 0)
    assert person is not None and person.conn is not None
    tick = person.conn.ts_offset + world.now // tc.TS_TICK
    return world.now + (-300 - tick & const.M32) * tc.TS_TICK
