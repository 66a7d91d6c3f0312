"""Looks at one stack: an observer of its link (adapters.py) and a witness of its changes of state (tcp/tcb.py), who makes events.

While a frame is on its way up, what it causes is collected: it ends with `on_taken`. A segment that is sent meanwhile, a
duplicate ACK or a reset, is told after it. What is sent at other times is told at once, by `on_send`; and a change of state that
a segment is about to explain, a connect or a close, waits for that segment.

Nothing is raised into the stack. Whatever goes wrong here ends the watching, and is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from .. import const
from ..cores import Frame, Out
from ..stack import Stack
from ..tcp import const as tc
from ..tcp.connection import Connection
from ..tcp.demux import key_of
from ..tcp.timewait import TimeWait
from ..timers import Timer
from . import reasons
from .events import CAME, NOTE, SENT, Event
from .flow import Ends, Flow, look
from .reading import FIN, SYN, Segment, segment

FLOWS = 4096  # remembered at once: a stranger who tries all ports makes one for each
HEAD = 600  # bytes of a frame that are read where nobody keeps whole ones: all headers, and a question to the DNS
HELD = frozenset((tc.SYN_SENT, tc.FIN_WAIT_1, tc.LAST_ACK))  # states whose segment follows at once, or as soon as it may

Wanted = Callable[[Event], bool]


class Counters:
    """Those of a stack that say something: what has moved since the last time, in their names and in words."""

    def __init__(self, stack: Stack) -> None:
        self._readers: list[tuple[Any, Callable[[Any], tuple[int, ...]], list[str], list[str]]] = []
        for name, group in stack.groups().items():
            told = {}
            for counter, meaning in group.MEANING.items():
                if name == "TcpExt" or meaning.startswith(("dropped", "refused", "lost")):
                    said = reasons.SAID.get(counter) if name == "TcpExt" else None
                    if said is None and meaning.startswith(("dropped", "refused", "lost")):
                        said = meaning
                    told[counter] = "" if said is None or counter in reasons.SILENT else said
            if len(told) > 1:
                self._readers.append((group, attrgetter(*told), list(told), list(told.values())))
        self._before = [read(group) for group, read, _, _ in self._readers]

    def moved(self) -> tuple[set[str], list[str]]:
        """Names; and words, for those that have some."""
        names: set[str] = set()
        words: list[str] = []
        for i, (group, read, counters, said) in enumerate(self._readers):
            now = read(group)
            before = self._before[i]
            if now != before:
                self._before[i] = now
                for k, value in enumerate(now):
                    if value != before[k]:
                        names.add(counters[k])
                        if said[k] and said[k] not in words:
                            words.append(said[k])
        return names, words


class Watcher:
    def __init__(
        self, stack: Stack, host: str, clock: Callable[[], int], tell: Callable[[Event], None], fail: Callable[[Exception], None],
        *, whole: bool, epoch: int,
    ) -> None:  # fmt: skip
        """`whole`: frames are kept whole, not only their beginnings. `epoch`: the instant from which events are counted."""
        self.stack = stack
        self.host = host
        self.link = 0 if stack.netif.mac is None else const.ETH_HEADER
        self.flows: dict[Ends, Flow] = {}
        self._clock = clock
        self._tell = tell
        self._fail = fail
        self._whole = whole
        self._epoch = epoch
        self._made = 0
        self._counters = Counters(stack)
        self._open: list[Event] = []  # what came, and what was sent because of it
        self._before: Any = None  # how its connection looked
        self._held: Flow | None = None
        self._said: set[str] = set()  # counters that moved when that was told
        self._reset: Connection | None = None  # has just been sent one
        self._on = False

    def start(self) -> None:
        self._on = True
        self.stack.watch(self)

    def stop(self) -> None:
        """Tell what was held back, and look no more."""
        self.stack.unwatch(self)
        if self._on:
            self._on = False
            try:
                self._finish()
                self._release()
            except Exception as error:
                self._fail(error)

    # -- what the stack calls -----------------------------------------------------------------------------------------------------

    def on_input(self, f: Frame) -> None:
        if self._on:
            try:
                self._input(f)
            except Exception as error:
                self._broken(error)

    def on_taken(self, now: int) -> None:
        if self._on and self._open:
            try:
                self._finish()
            except Exception as error:
                self._broken(error)

    def on_flush(self, now: int) -> None: ...

    def on_send(self, p: Out, now: int) -> None:
        if self._on:
            try:
                self._send(p, now)
            except Exception as error:
                self._broken(error)

    def on_state(self, entry: Timer, old: int, new: int) -> None:
        if self._on:
            try:
                self._state(entry, old, new)
            except Exception as error:
                self._broken(error)

    def _broken(self, error: Exception) -> None:
        """The trace ends, the network doesn't. The stack goes on calling until it is told to stop, outside of this call."""
        self._on = False
        self._open.clear()
        self._fail(error)

    # -- in -----------------------------------------------------------------------------------------------------------------------

    def _input(self, f: Frame) -> None:
        self._finish()  # the one before, where an error of the program's flew through
        start = f.off - self.link
        stop = f.end if self._whole else min(f.end, start + HEAD)
        data = bytes(memoryview(f.buf)[start:stop])
        event = Event(f.now - self._epoch, self.host, CAME, data, f.end - start, self.link, f.csum == const.CSUM_PARTIAL, gso=f.gso)
        self._counters.moved()
        self._before = None
        s = self._segment(data)
        if s is not None:
            self._release()
            event.segment = s
            flow = event.flow = self._flow((s.dst, s.dport, s.src, s.sport))
            c = self._know(flow)
            flow.note_segment(s, False)
            event.window = flow.window(s, False)
            self._before = None if c is None else look(c)
        self._open.append(event)

    def _answer(self) -> None:
        """The notes of what came: all that it has done so far. The counters that moved say why something is sent, too."""
        event = self._open[0]
        if event.answered:
            return
        event.answered = True
        self._said, words = self._counters.moved()
        flow, s = event.flow, event.segment
        if flow is None or s is None:
            event.notes += words
            return
        c = flow.conn if flow.conn is not None else self._know(flow)
        event.window = flow.window(s, False)
        now = event.look = None if c is None else look(c)
        before = self._before
        if before is None and c is not None and s.flags & SYN:
            event.notes += words
        else:
            event.notes += reasons.received(flow, s, before, now, words, event.window)
        if now is not None:
            flow.last = now

    def _finish(self) -> None:
        if not self._open:
            return
        self._answer()
        events, self._open = self._open, []
        self._said = set()
        last = events[-1]
        flow = last.flow
        if flow is not None and flow.conn is not None:
            now = look(flow.conn)
            if last.look is not None:
                last.notes += reasons.changed(last.look, now)
            last.look = flow.last = now
        for event in events:
            self._tell(event)

    # -- out ----------------------------------------------------------------------------------------------------------------------

    def _send(self, p: Out, now: int) -> None:
        data = bytes(memoryview(p.hdr)[p.off :])
        if self._whole:
            data += p.payload()
        elif p.n and p.data is not None and len(data) < HEAD:
            data += bytes(memoryview(p.data)[p.o : p.o + min(p.n, HEAD - len(data))])
        event = Event(now - self._epoch, self.host, SENT, data, p.length(), self.link, p.csum_off != 0, gso=p.gso)
        event.answered = True
        s = self._segment(data)
        answers = None
        if self._open:
            self._answer()
            answers = self._open[0].segment
        if s is None:
            event.notes += self._counters.moved()[1]
        else:
            self._explain(event, s, now, answers)
        if self._open:
            self._open.append(event)
        else:
            self._tell(event)

    def _explain(self, event: Event, s: Segment, now: int, answers: Segment | None) -> None:
        flow = event.flow = self._flow((s.src, s.sport, s.dst, s.dport))
        event.segment = s
        if self._held is not None and self._held is not flow:
            self._release()
        c = self._know(flow)
        flow.note_segment(s, True)
        event.window = flow.window(s, True)
        names, words = self._counters.moved()
        names |= self._said
        self._said = set()
        was = flow.last
        is_now = event.look = None if c is None else look(c)
        held, flow.held = flow.held, []
        self._held = None
        for _, old, new, why in held:
            event.states.append((old, new, why))
        event.notes += [note for note in reasons.sent(flow, s, was, is_now, names, now, answers) if note]
        event.notes += [word for word in words if word not in event.notes and word in _WITH_A_SEGMENT]
        if s.flags & 4:
            self._reset = c
        if s.flags & 16:
            flow.acked = s.ack
            flow.edge = (s.ack + event.window) & 0xFFFFFFFF
            flow.sent_acks += 1 if not s.flags & SYN else 0
        if is_now is not None:
            flow.last = is_now
        if s.length and not s.flags & FIN:
            flow.owes = ""  # whatever it carries, it acknowledges

    # -- changes of state ---------------------------------------------------------------------------------------------------------

    def _state(self, entry: Timer, old: int, new: int) -> None:
        if isinstance(entry, Connection):
            ends = (entry.local, entry.local_port, entry.remote, entry.remote_port)
        elif isinstance(entry, TimeWait):
            ends = (entry.local, entry.ports >> 16, entry.remote, entry.ports & 0xFFFF)
        else:
            return
        flow = self._flow(ends)
        if isinstance(entry, Connection):
            flow.know(entry)
        coming = self._open[0].segment if self._open and self._open[0].flow is flow else None
        names = self._said if self._open else self._counters.moved()[0]
        why = reasons.why_state(old, new, coming, names, self._reset is entry)
        self._reset = None
        change = (old, new, why)
        if self._open:
            at = self._open[-1] if self._open[-1].flow is flow else self._open[0]
            at.states.append(change)
        elif new in HELD:
            self._release()
            flow.held.append((self._clock() - self._epoch, *change))
            self._held = flow
        else:
            self._release()
            self._note(self._clock() - self._epoch, flow, change)
        if new in (tc.CLOSED, tc.TIME_WAIT):
            flow.conn = None
            flow.last = None

    def _note(self, time: int, flow: Flow, change: tuple[int, int, str]) -> None:
        event = Event(time, self.host, NOTE, flow=flow, states=[change])
        event.look = None if flow.conn is None or change[1] == tc.CLOSED else look(flow.conn)
        self._tell(event)

    def _release(self) -> None:
        """Changes of state that waited for a segment, which has not come."""
        flow = self._held
        if flow is not None:
            self._held = None
            held, flow.held = flow.held, []
            for time, old, new, why in held:
                self._note(time, flow, (old, new, why))

    # -- whose it is --------------------------------------------------------------------------------------------------------------

    def _segment(self, data: bytes) -> Segment | None:
        if self.link and data[self.link - 2 : self.link] != b"\x08\x00":
            return None
        return segment(data, self.link)

    def _flow(self, ends: Ends) -> Flow:
        flow = self.flows.get(ends)
        if flow is None:
            if len(self.flows) >= FLOWS:
                self.flows.pop(next(iter(self.flows)))
            self._made += 1
            flow = self.flows[ends] = Flow(ends, self._made)
        return flow

    def _know(self, flow: Flow) -> Connection | None:
        local, local_port, remote, remote_port = flow.ends
        table = self.stack.tcp.hub.tables.get(local)
        return flow.know(None if table is None else table.get(key_of(remote, remote_port, local_port)))


_WITH_A_SEGMENT = frozenset(reasons.SAID[name] for name in ("TCPToZeroWindowAdv", "TCPFromZeroWindowAdv", "AckHeldBack"))
