"""Events as a Chrome trace, which https://ui.perfetto.dev opens: a process for each host, a thread for each connection.

On a connection's track lie its states as slices, and its segments as instants, with their reasons among the arguments; below it
run counters: cwnd, ssthresh, bytes in flight, srtt and both windows. The format is the JSON of the Trace Event Format: an array,
whose closing bracket may be missing, so that a trace can be read though its writer has died.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from ..tcp import const as tc
from ..tcp import state as states
from .events import CAME, NOTE, SENT, Event
from .flow import Flow, Look
from .reasons import UNLIMITED
from .words import Words, fields

COUNTERS = ("cwnd", "ssthresh", "in flight", "srtt ms", "peer's window", "our window")


class Perfetto:
    """`write` gets text. Times are microseconds, as the format wants them."""

    def __init__(self, write: Callable[[str], object], words: Words) -> None:
        self._write = write
        self._words = words
        self._hosts: dict[str, int] = {}
        self._threads: dict[tuple[int, int], _Track] = {}
        self._begun = False
        self._last = 0

    def event(self, event: Event) -> None:
        ts = event.time / 1000
        self._last = max(self._last, event.time)
        pid = self._hosts.get(event.host)
        if pid is None:
            pid = self._hosts[event.host] = len(self._hosts) + 1
            self._put({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": event.host}})
        flow, s = event.flow, event.segment
        if flow is None:
            shown = {"ph": "i", "s": "t", "name": self._words.other(event), "cat": "packet", "ts": ts, "pid": pid, "tid": 0}
            self._put({**shown, "args": self._args(event)})
            return
        track = self._threads.get((pid, flow.number))
        if track is None:
            here, there = self._words.ends(flow)
            track = self._threads[pid, flow.number] = _Track(f"{here} - {there}")
            self._put({"ph": "M", "name": "thread_name", "pid": pid, "tid": flow.number, "args": {"name": track.name}})
        for old, new, why in event.states:
            self._state(track, pid, flow, ts, old, new, why)
        if not event.states and track.state < 0 and event.look is not None:
            self._begin(track, pid, flow, ts, event.look.state, "it was there before")
        if s is not None:
            name = ("> " if event.kind == SENT else "< ") + fields(event, flow, s)
            shown = {"ph": "i", "s": "t", "name": name, "cat": "segment", "ts": ts, "pid": pid, "tid": flow.number}
            self._put({**shown, "args": self._args(event)})
        if event.look is not None:
            self._counters(track, pid, ts, event.look)

    def close(self) -> None:
        """End the slices that are open, and the array."""
        for (pid, number), track in self._threads.items():
            if track.state >= 0:
                self._put({"ph": "E", "ts": self._last / 1000, "pid": pid, "tid": number})
        self._write("\n]\n" if self._begun else "[]\n")

    def _args(self, event: Event) -> dict[str, object]:
        args: dict[str, object] = {"bytes": event.length} if event.kind != NOTE else {}
        if event.notes:
            args["why" if event.kind == SENT else "what came of it" if event.kind == CAME else "note"] = "; ".join(event.notes)
        return args

    def _state(self, track: _Track, pid: int, flow: Flow, ts: float, old: int, new: int, why: str) -> None:
        if track.state >= 0:
            self._put({"ph": "E", "ts": ts, "pid": pid, "tid": flow.number})
            track.state = -1
        if new != tc.CLOSED:
            self._begin(track, pid, flow, ts, new, why)
        else:
            shown = {"ph": "i", "s": "t", "name": "CLOSED", "cat": "state", "ts": ts, "pid": pid, "tid": flow.number}
            self._put({**shown, "args": {"why": why, "from": states.name(old)}})

    def _begin(self, track: _Track, pid: int, flow: Flow, ts: float, state: int, why: str) -> None:
        track.state = state
        begin = {"ph": "B", "name": states.name(state), "cat": "state", "ts": ts, "pid": pid, "tid": flow.number}
        self._put({**begin, "args": {"why": why}})

    def _counters(self, track: _Track, pid: int, ts: float, now: Look) -> None:
        values = (
            max(now.cwnd, 0),
            now.ssthresh if 0 <= now.ssthresh < UNLIMITED else 0,
            now.in_flight,
            now.srtt / 1e6,
            now.snd_wnd,
            now.rcv_wnd,
        )
        for i, name in enumerate(COUNTERS):
            if values[i] != track.counted[i]:
                self._put({"ph": "C", "name": f"{track.name} {name}", "ts": ts, "pid": pid, "args": {name: values[i]}})
        track.counted = values

    def _put(self, entry: dict[str, object]) -> None:
        self._write(("[\n" if not self._begun else ",\n") + json.dumps(entry, separators=(",", ":")))
        self._begun = True


class _Track:
    def __init__(self, name: str) -> None:
        self.name = name
        self.state = -1
        self.counted: tuple[float, ...] = (-1.0,) * len(COUNTERS)
