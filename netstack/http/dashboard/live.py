"""The event streams of a dashboard (server-sent events, WHATWG HTML 9.2): the whole stack twice a second, one connection ten times.

Everything here is done for who looks, and by who looks: a stream samples when its viewer has taken what was sent before, and the
frames are watched from the first stream to the end of the last. With nobody there is no timer, and no observer at the link.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...errors import TimedOut, UsageError
from ...instant import MILLISECOND, SECOND, Duration
from ...runtime.waits import Waits, waits_here
from ..serve.message import HttpError
from .ring import Ring
from .status import Pair, Status
from .trace import Trace

PERIOD = Duration(500 * MILLISECOND)  # of the table and the counters: numbers that change faster can't be read
SAMPLE = Duration(100 * MILLISECOND)  # of one connection: a line that is drawn ten times a second looks alive
SHARE, TRACE_SHARE = 20, 4  # a stream works at most one twentieth, or fourth, of the time, however much there is to tell
ROWS = 200  # connections in a table: a stranger can open thousands
STREAMS = 16  # at once, two for a page: who opens more keeps the stack busy with telling of itself
FRAMES = 4000  # looked at between two waits: 10 ms, when a connection is picked and the ring is full
BEHIND = 2 * FRAMES  # a trace that has more before it leaves some out, and says so: who looks wants to see the present
PAGES = 64  # connections of browsers that are remembered: six for each that has the page open
RETRY = 1000  # ms until a browser connects again

COLUMNS = (
    "local", "remote", "state", "phase", "congestion", "srtt", "rttvar", "min_rtt", "cwnd", "ssthresh", "in_flight", "unsent",
    "not_sent", "unread", "snd_wnd", "rcv_wnd", "retransmits", "reasons", "acked_bytes", "delivery_rate",
)  # fmt: skip

Json = Mapping[str, Any]


class Live:
    """What all the streams of a dashboard share."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.pages: dict[str, None] = {}  # whose connections carried the page itself: they are not the traffic one came to see
        self.ring = Ring(14 if status.ethernet else 0)
        self.streams = 0
        self.watching = False

    def enter(self) -> None:
        """One more looks."""
        self.streams += 1
        if self.streams == 1:
            with suppress(UsageError):  # no frames can be seen here: then there is no diagram, and all the rest
                self.status.watch(self.ring)
                self.watching = True

    def leave(self) -> None:
        self.streams -= 1
        if not self.streams and self.watching:
            self.status.watch(None)
            self.watching = False
            self.ring.clear()

    def carried(self, client: str) -> None:
        """`client` has asked for a part of the page."""
        self.pages.pop(client, None)
        self.pages[client] = None
        if len(self.pages) > PAGES:
            del self.pages[next(iter(self.pages))]

    def check(self) -> None:
        """Raises HttpError when too many look."""
        if self.streams >= STREAMS:
            raise HttpError(503, "Too many pages are open: close one.", {"retry-after": "5"})

    async def overview(self, hello: Json, words: Sequence[str], since: int) -> AsyncIterator[bytes]:
        """`hello` first, then what has changed; `words` say which connections. `since`: the instant at which uptime begins."""
        waits = waits_here()
        status = self.status
        self.enter()
        try:
            meanings = status.meanings()
            yield b"retry: %d\n\n" % RETRY + event(
                "hello", {**hello, "columns": COLUMNS, "meanings": meanings, "period": PERIOD // MILLISECOND}
            )
            before: dict[str, object] = {}
            counted: Mapping[str, Mapping[str, int]] = {}
            while True:
                began = waits.now()
                total, found, rows = status.busiest(ROWS, words)
                table = [[row.get(name) for name in COLUMNS] for row in rows]
                tick: dict[str, object] = {"total": total, "found": found, "rows": table}
                counters = status.counters()
                tick["counters"] = changed(counters, counted)
                counted = counters
                for name, now in (
                    ("about", status.about()),
                    ("neighbours", status.neighbours()),
                    ("routes", status.routes()),
                    ("pages", list(self.pages)),
                    ("listeners", status.listeners()),
                    ("kept", {"bytes": self.ring.size, "frames": self.ring.end - self.ring.first, "short": self.ring.short}),
                ):
                    if before.get(name) != now:
                        before[name] = tick[name] = now
                tick["up"] = (waits.now() - since) // MILLISECOND
                yield event("tick", tick)
                await rest(waits, began, PERIOD, SHARE)
        finally:
            self.leave()

    async def connection(self, pair: Pair, hello: Json, since: int) -> AsyncIterator[bytes]:
        """`hello`, and one connection until it is over. Times are microseconds after `since`."""
        waits = waits_here()
        picked = self.status.pick(pair)
        if picked is None:
            yield event("over", {})
            return
        self.enter()
        try:
            yield b"retry: %d\n\n" % RETRY + event("hello", hello)
            trace = Trace(_split(pair[0]), _split(pair[1]), picked.iss, picked.irs, picked.scales, self.ring.link, since)
            told = -1
            number = max(self.ring.first, self.ring.end - BEHIND)
            while True:
                began = waits.now()
                over = picked.over
                missed = self.ring.end - number
                if missed > BEHIND:
                    number += missed - FRAMES
                frames = self.ring.since(number, FRAMES)
                number = max(number, self.ring.first) + len(frames)
                for kept in frames:
                    trace.frame(kept)
                trace.know(picked.irs, picked.scales)
                row = dict(picked.row())
                again, told = self._again(trace, row.pop("retransmissions", ()), told, since)
                sample = {"t": (began - since) // 1000, "row": row, "received": picked.received, "again": again, **trace.take()}
                sample["missed"] = missed - FRAMES if missed > BEHIND else 0
                yield event("sample", sample)
                if over:
                    yield event("over", {})
                    return
                await rest(waits, began, SAMPLE if len(frames) < FRAMES else Duration(0), TRACE_SHARE)
        finally:
            self.leave()

    @staticmethod
    def _again(trace: Trace, retransmissions: Any, told: int, since: int) -> tuple[list[list[object]], int]:
        """What was sent again after the instant `told`, and the instant of the last of it."""
        news = [each for each in retransmissions if each["at"] > told]
        rows = [[(each["at"] - since) // 1000, trace.out.near(each["offset"]), each["n"], each["why"]] for each in news]
        return rows, max((each["at"] for each in news), default=told)


def event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def changed(now: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Of counters, those that differ."""
    news = {
        group: {name: value for name, value in values.items() if before.get(group, {}).get(name) != value}
        for group, values in now.items()
    }
    return {group: values for group, values in news.items() if values}


async def rest(waits: Waits, began: int, period: Duration, share: int) -> None:
    """Until `period` after `began`, or longer where the work itself took more than one part of `share`."""
    now = waits.now()
    pause = max(period - (now - began), share * (now - began), MILLISECOND)
    with suppress(TimedOut):
        await waits.wait(waits.event(), Duration(min(pause, 5 * SECOND)))


def _split(address: str) -> tuple[int, int]:
    host, _, port = address.rpartition(":")
    a, b, c, d = (int(part) for part in host.split("."))
    return a << 24 | b << 16 | c << 8 | d, int(port)
