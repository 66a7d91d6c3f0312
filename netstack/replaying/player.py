"""Everybody else: a node of a world that plays all other hosts of a capture towards one of its hosts.

**Order.** The steps of the capture are gone through one by one, in the order of the file. A step of our host's has happened when
its stack has sent that much; a step of a peer's is played when its time has come and its own connection is ready for it. So all
that depended on each other keeps its order, between connections too: nobody connects to the port that an answer named before
that answer has been given. It can't deadlock with a program that does what the captured one did, since what is in the file
before something else did not need that.

**Patience.** A program that does something else is waited for, and then the connection in question goes on a *track* of its own,
where it can be as late as it likes, while the others go on. There it gives up what it waits for: what is missing will be in
the report, and the next step is played.

**Time.** On its own pace each gap between two packets of the capture lasts as long as it did, divided by the speed; when our host
takes longer, all that follows is so much later. At full speed there are no gaps, only the order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .. import const
from ..address import Ip4, ip4_text
from ..captures.mib import CapturesMib
from ..captures.reading import Puzzle
from ..instant import MILLISECOND, SECOND, Instant
from ..ipv4.mib import IpMib
from ..tcp.wire import Segment
from ..testing.clock import VirtualClock
from ..testing.nodes import Node
from .exchange import DatagramPlay
from .order import Rearrangement
from .quotes import requoted
from .report import Mismatch
from .script import Script
from .steps import ACK, RST, SYN, DatagramStep, DatagramTalk, SegmentStep, Step, TcpTalk
from .talk import TcpPlay, reset_for
from .track import Burst, Track

Play = TcpPlay | DatagramPlay

TICK = SECOND // 4  # patience and resending are looked at so often
PATIENCE = 5 * SECOND  # for a step of our host's, beyond the time that it took when it was captured
QUIET = SECOND // 2  # without news at the end: what our host sends too much comes within that
ACK_DELAY = 100 * MILLISECOND  # on its own pace, for what the captured acknowledgements don't cover in time
AT_ONCE = 16  # connections that are rearranged at a time: backlogs are bounded
STRANGERS = 1000  # connections and datagrams that the capture doesn't have which are named; a program may make them without end


class Player(Node):
    """`begin` lets it play; `on_done` is called once, when all is played and quiet, or the deadline is reached."""

    def __init__(self, script: Script, number: int, clock: VirtualClock) -> None:
        super().__init__("capture", number, Ip4(0))
        self.own("0.0.0.0/0")
        self.script = script
        self.patience: int = PATIENCE
        self.quiet: int = QUIET
        self.deadline: int = const.NEVER
        self.done = False
        self.timed_out = False
        self.on_done: Callable[[], object] | None = None
        self.prompt: Callable[[Play, Step], object] | None = None  # told when a step of our host's is next
        self.packets = 0
        self.started = self.ended = 0
        self.strange: list[Mismatch] = []
        self._clock = clock
        self._speed: float | None = None
        self._tracks: list[Track] = []
        self._main: Track | None = None
        self._bursts: deque[TcpPlay] = deque()
        self._refusing = False
        self._rearrangement = Rearrangement()
        self._wait_answers = True
        self._begun = False
        self._news = 0  # when something happened last
        self._base = 0  # the instant of the capture's beginning, as far behind as our host is
        self._woken: int = const.NEVER
        self._touched: set[TcpPlay] = set()
        self._strangers: set[tuple[int, ...]] = set()
        self._puzzle = Puzzle(CapturesMib(), IpMib())
        self._plays: dict[object, Play] = {}
        self._tcp: dict[tuple[int, int, int], TcpPlay] = {}  # by the live ends
        self._unopened: dict[tuple[int, int], deque[TcpPlay]] = {}  # that our host is to open, by where to
        self._udp: dict[tuple[int, int, int], DatagramPlay] = {}  # by the captured ends
        self._ports: dict[int, int] = {}  # live ports of our host's for those that it had when it was captured
        self._echoes: dict[tuple[bool, int, int], DatagramPlay] = {}
        self._asked: dict[tuple[int, int], DatagramPlay] = {}  # by the live identifier and whom
        for talk in script.talks:
            self._plays[talk] = self._play_of(talk)

    def _play_of(self, talk: TcpTalk | DatagramTalk) -> Play:
        if isinstance(talk, TcpTalk):
            play = TcpPlay(talk, self._emit)
            if not talk.peer_opens:
                self._unopened.setdefault((talk.peer, talk.peer_port), deque()).append(play)
            return play
        exchange = DatagramPlay(talk, self._emit)
        if talk.kind == "udp":
            self._udp[talk.host_port, talk.peer, talk.peer_port] = exchange
        elif talk.kind == "echo":
            self._echoes[talk.we_asked, talk.host_port, talk.peer] = exchange
        return exchange

    def plays(self) -> list[Play]:
        """In the order of the capture."""
        return [self._plays[talk] for talk in self.script.talks]

    def begin(self, speed: float | None, rearrangement: Rearrangement, wait_answers: bool, deadline: int) -> None:
        """Play from now on, until the instant `deadline` at most. `speed` None: as fast as our host goes along."""
        now = self._clock.now
        self._speed, self._rearrangement, self._wait_answers = speed, rearrangement, wait_answers
        self.deadline = deadline
        self.started = self._base = self._news = now
        self._begun = True
        if rearrangement.is_plain:
            self._main = Track(self.script.steps, now)
            self._tracks = [self._main]
        else:
            datagrams: list[Step] = [step for step in self.script.steps if isinstance(step, DatagramStep)]
            self._tracks = [Track(datagrams, now)]
            self._bursts = deque(play for play in self.plays() if isinstance(play, TcpPlay))
        self._clock.call_at(now, self._tick)

    # -- the clock ------------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant:
        return Instant(self.inbox.soonest)

    def run(self, now: Instant) -> bool:
        """Take what our host has sent, and go on."""
        for frame in self.inbox.take(now, const.BATCH):
            self._take(frame, now)
        self._pump(now)
        return self.inbox.soonest <= now

    def _tick(self) -> None:
        if self.done:
            return
        now = self._clock.now
        if now >= self.deadline:
            self.timed_out = True
            self._finish(now)
            return
        waiting = False
        for play in list(self._tcp.values()):
            if play.waits_for_ack:
                waiting = True
                play.resend(now)
        for track in list(self._tracks):
            if not self._is_patient(track, now):
                self._lose_patience(track, now)
        self._pump(now)
        if not self._tracks and not self._bursts and not waiting and now - self._news >= self.quiet:
            self._finish(now)
            return
        self._clock.call_at(min(now + TICK, max(self.deadline, now + 1)), self._tick)

    def _is_patient(self, track: Track, now: int) -> bool:
        step = track.blocked_by if isinstance(track, Burst) else track.step
        if step is None:
            return True
        wait = self.patience >> min(track.impatient, 4)
        play = self._plays[step.talk]
        if isinstance(play, TcpPlay):
            if play.waits_for_ack:
                return True
            if not track.impatient:
                wait += max(0, play.progress - track.since)
        if not isinstance(track, Burst):
            if self._due(step) > now:
                return True
            wait += int(max(0, step.time - track.last) / (self._speed or 1))
        return now - track.since < wait

    def _lose_patience(self, track: Track, now: int) -> None:
        step = track.blocked_by if isinstance(track, Burst) else track.step
        assert step is not None
        if track is self._main:
            self._tracks.append(track.split(step, now))
            return
        track.since = now
        track.impatient += 1
        play = self._plays[step.talk]
        play.give_up(step)  # type: ignore[arg-type]  # a step of its own talk
        if play.over and isinstance(track, Burst):
            track.drop()

    def _finish(self, now: int) -> None:
        self.done = True
        self.ended = now
        if self.on_done is not None:
            self.on_done()

    # -- going through the steps -----------------------------------------------------------------------------------------------

    def _pump(self, now: int) -> None:
        """Play whatever is ready."""
        if not self._begun or self.done:
            return
        again = True
        while again:
            while self._bursts and len(self._tracks) <= AT_ONCE:
                # a port that refuses one connection and takes another is asked for one at a time
                if self._tracks and (self._bursts[0].talk.refused or self._refusing):
                    break
                self._refusing = self._bursts[0].talk.refused
                self._tracks.append(Burst(self._bursts.popleft(), self._rearrangement, self._wait_answers, now))
            for track in self._tracks:
                self._advance(track, now)
            left = [track for track in self._tracks if not track.finished]
            again = len(left) < len(self._tracks) and bool(self._bursts)
            self._tracks = left
        self._acknowledge(now)

    def _advance(self, track: Track, now: int) -> None:
        """As far as it goes."""
        while True:
            step = track.step
            if step is None:
                if track.refill():
                    track.since = now
                    continue
                return
            play = self._plays[step.talk]
            if step.ours:
                self._ask(play, step)
            if not step.ours and not isinstance(track, Burst) and self._is_early(step, now):
                return
            if isinstance(play, TcpPlay):
                assert isinstance(step, SegmentStep)
                if not play.may(step, self._wait_answers):
                    if step.ours:
                        play.invite(step, now)
                    return
            else:
                assert isinstance(step, DatagramStep)
                if not play.may(step):
                    return
            track.at += 1
            track.since, track.last = now, step.time
            if track is self._main and self._speed is not None:
                self._base = max(self._base, now - int(step.time / self._speed))
            self._do(play, step, now)

    def _ask(self, play: Play, step: Step) -> None:
        if self.prompt is not None and play.asked is not step:
            play.asked = step
            self.prompt(play, step)

    def _do(self, play: Play, step: Step, now: int) -> None:
        if step.ours:
            if isinstance(play, DatagramPlay):
                play.pass_by()
            return
        self.packets += 1
        self._news = now
        if isinstance(play, TcpPlay):
            assert isinstance(step, SegmentStep)
            if step.flags & SYN and not step.flags & ACK:
                self._ask(play, step)
                self._seat(play, play.talk.host_port, now)
            play.play(step, now)
        else:
            assert isinstance(step, DatagramStep)
            if play.talk.kind == "other":
                step = requoted(step, self._tcp_ends, self._ports)
            play.play(step, now)

    def _due(self, step: Step) -> int:
        return 0 if self._speed is None else self._base + int(step.time / self._speed)

    def _is_early(self, step: Step, now: int) -> bool:
        """Has its time not come yet? Then we are called when it has."""
        due = self._due(step)
        if due <= now:
            return False
        if not now < self._woken <= due:
            self._woken = due
            self._clock.call_at(due, lambda: self._pump(self._clock.now))
        return True

    def _acknowledge(self, now: int) -> None:
        """What has come and isn't covered by the script in time."""
        touched, self._touched = self._touched, set()
        for play in sorted((play for play in touched if play.owes), key=lambda play: play.talk.steps[0].number):
            if self._speed is None:
                play.settle(now)
            else:
                self._clock.call_later(ACK_DELAY, lambda play=play: play.settle(self._clock.now))  # type: ignore[misc]

    def _seat(self, play: TcpPlay, host_port: int, now: int) -> None:
        """From now on the connection with these ends is this one."""
        key = host_port, play.talk.peer, play.talk.peer_port
        old = self._tcp.get(key)
        if old is not None and old is not play:
            old.abort(now)
            play.begin_after(old)
        self._tcp[key] = play

    # -- for puppets ------------------------------------------------------------------------------------------------------------

    def expect(self, play: TcpPlay, host_port: int) -> None:
        """The next SYN from this port is of this connection."""
        waiting = self._unopened[play.talk.peer, play.talk.peer_port]
        if play in waiting:
            waiting.remove(play)
        play.host_port = host_port
        self._seat(play, host_port, self._clock.now)

    def play_at(self, host_port: int, peer: int, peer_port: int) -> TcpPlay | None:
        """The present connection with these ends."""
        return self._tcp.get((host_port, peer, peer_port))

    def exchange_at(self, host_port: int, peer: int, peer_port: int) -> DatagramPlay | None:
        return self._udp.get((host_port, peer, peer_port))

    @property
    def unfinished(self) -> int:
        """Steps that were not come to."""
        return sum(len(track.steps) - track.at for track in self._tracks)

    def _emit(self, frame: bytes, now: int) -> None:
        self.ways[0].carry(frame, now)

    # -- what our host sends -----------------------------------------------------------------------------------------------------

    def _take(self, frame: bytes, now: int) -> None:
        head = (frame[0] & 15) << 2
        if (frame[6] & 0x3F) | frame[7]:  # a fragment
            whole = self._puzzle.add(0, now, frame, head)
            if whole is None:
                return
            frame = whole[0]
        dst = int.from_bytes(frame[16:20], "big")
        body = frame[head : frame[2] << 8 | frame[3]]
        proto = frame[9]
        if proto == const.PROTO_TCP:
            self._segment(Segment.decode(body), int.from_bytes(frame[12:16], "big"), dst, now)
        elif proto == const.PROTO_UDP:
            self._datagram(int.from_bytes(body[:2], "big"), dst, int.from_bytes(body[2:4], "big"), body[8:], now)
        elif proto == const.PROTO_ICMP and body[0] in (const.ICMP_ECHO, const.ICMP_ECHO_REPLY):
            self._echo(body, dst, now)

    def _segment(self, segment: Segment, src: int, dst: int, now: int) -> None:
        key = segment.sport, dst, segment.dport
        play = self._tcp.get(key)
        opens = segment.flags & (SYN | ACK) == SYN
        if opens and play is not None and play.host_isn is None:
            play.over = ""  # later than the script was ready to wait
        elif opens and (play is None or play.host_isn != segment.seq):
            play = self._opened(segment, dst)
        if play is None:
            if not segment.flags & RST:
                self._emit(reset_for(segment, dst, src), now)
            if opens:
                text = f"a connection to {ip4_text(dst)}:{segment.dport} that the capture doesn't have"
                self._stranger("extra connection", key, text)
            return
        if play.take(segment, now):
            self._news = now
        self._touched.add(play)

    def _opened(self, segment: Segment, dst: int) -> TcpPlay | None:
        """Our host opens a connection: the first of those to there that it opened when it was captured, and not yet now."""
        waiting = self._unopened.get((dst, segment.dport))
        if not waiting:
            return None
        play = waiting.popleft()
        play.host_port = segment.sport
        play.over = ""
        self._seat(play, segment.sport, self._clock.now)
        return play

    def _datagram(self, sport: int, dst: int, dport: int, payload: bytes, now: int) -> None:
        self._news = now
        captured = self._ports.get(sport, sport)
        play = self._udp.get((captured, dst, dport))
        if play is None or (play.talk.we_open and play.host_port is None):
            # from a port that the stack has chosen: the first exchange with that peer that has none
            free = (each for each in self._udp.values() if each.host_port is None)
            play = next((each for each in free if (each.talk.peer, each.talk.peer_port) == (dst, dport)), play)
            if play is not None:
                self._bind(play.talk.host_port, sport)
        if play is None:
            self._stranger("extra", (sport, dst, dport), f"a datagram to {ip4_text(dst)}:{dport} that the capture doesn't have")
            return
        play.take(payload)

    def _bind(self, captured: int, live: int) -> None:
        """What our host sent from a port then it sends from another now, whoever to."""
        self._ports[live] = captured
        for (port, _, _), play in self._udp.items():
            if port == captured:
                play.host_port = live

    def _echo(self, message: bytes, dst: int, now: int) -> None:
        self._news = now
        ident = int.from_bytes(message[4:6], "big")
        if message[0] == const.ICMP_ECHO_REPLY:
            play = self._echoes.get((False, ident, dst))
        else:
            play = self._asked.get((ident, dst)) or self._echoes.get((True, ident | 1 << 16, dst))
            if play is None or (play.heard and (ident, dst) not in self._asked):
                # identifiers are made up: the first captured one to there that nobody has taken
                free = (each for (ours, _, peer), each in self._echoes.items() if ours and peer == dst and not each.heard)
                play = next(free, None)
            if play is not None:
                self._asked[ident, dst] = play
        if play is None:
            self._stranger("extra", (ident, dst, message[0]), f"an echo to {ip4_text(dst)} that the capture doesn't have")
            return
        play.take(message)

    def _stranger(self, kind: str, key: tuple[int, ...], text: str) -> None:
        if key not in self._strangers and len(self._strangers) < STRANGERS:
            self._strangers.add(key)
            self.strange.append(Mismatch(kind, f"{ip4_text(self.script.host)}:{key[0]}", text))

    def _tcp_ends(self, host_port: int, peer: int, peer_port: int) -> TcpPlay | None:
        """The latest connection with these captured ends."""
        found = [play for play in self._plays.values() if isinstance(play, TcpPlay)]
        for play in reversed(found):
            talk = play.talk
            if (talk.host_port, talk.peer, talk.peer_port) == (host_port, peer, peer_port) and play.host_isn is not None:
                return play
        return None
