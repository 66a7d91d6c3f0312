"""A program: how the world is set up, and what happens in it. Drawn by Hypothesis, played by model_play.py, printed when it fails.

An operation is `(pause before it, what, a, b)`: `a` chooses a host and a person, `b` says how much. Every number means something in
every operation, so that a program stays a program while it shrinks.

Six genres, since chaos alone ends every story before it has begun:

    CHAOS   anything at all
    POLITE  much data, all that a network does to it, and nobody who ends anything early: all must arrive, and end in order
    RUDE    as much data, and users who close and abort in the midst of it
    REUSE   short connections between the same few ports, and what is left on the wire of the one before
    CUT     the wire is gone in the end: time-outs must end what nothing else can
    TIGHT   as chaos, with bounds so small that all of them are reached
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st
from model_user import Reaction
from model_wire import Box, Weather
from model_world import TSO, HostSetup, Setup, brief

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig

Op = tuple[int, str, int, int]
MINUTE = 60 * SECOND

SIZES = (0, 1, 2, 87, 88, 89, 535, 536, 537, 1447, 1448, 1449, 1460, 1461, 2920, 5000, 8000, 16000, 40000, 102400)
GAPS = (0, 0, 1000, 100_000, MILLISECOND, 10 * MILLISECOND, 40 * MILLISECOND, 200 * MILLISECOND, SECOND, 5 * SECOND, MINUTE)
EVENTS = ("connected", "data", "eof", "writable", "closed")
PLAIN, FAIR, NONE = Setup(), Weather(), Box()


@attrs.frozen(kw_only=True, repr=False)
class Program:
    setup: Setup = PLAIN
    weather: Weather = FAIR
    box: Box = NONE
    accidents: dict[tuple[int, int], tuple[str, int]] = attrs.field(factory=dict)
    reactions: list[tuple[int, Reaction]] = attrs.field(factory=list)
    greetings: list[str] = attrs.field(factory=list)  # what the persons, from number 1 on, do in `accept`
    closers: int = 0  # bit n: person n closes at the end, others shut down and read on
    ops: list[Op] = attrs.field(factory=list)
    heals: bool = True
    polite: bool = False

    __repr__ = brief  # what Hypothesis prints can be copied into a test


@attrs.frozen
class Genre:
    kinds: tuple[str, ...]
    calls: tuple[str, ...] = ("write", "write", "pause", "shutdown", "resume", "nodelay", "marks", "connect", "close", "abort")
    greetings: tuple[str, ...] = ("", "", "", "", "write", "shutdown", "pause", "close", "refuse", "abort")
    closers: int = 255
    gaps: tuple[int, ...] = GAPS
    heals: bool = True
    polite: bool = False
    tight: bool = False


CHAOS = Genre(
    (
        "wait", "write", "write", "write", "bulk", "pause", "resume", "connect", "shutdown", "nodelay", "congestion", "marks",
        "keepalive", "cross", "weather", "box", "mtu", "dark", "shut", "replay", "replay", "forge", "forge", "icmp", "icmp",
        "sleep", "jump", "close", "nobody", "relisten", "abort", "perfect", "garbage", "route", "narrow", "blink", "lapse",
    )
)  # fmt: skip
TIGHT = attrs.evolve(CHAOS, kinds=CHAOS.kinds + ("connect", "cross", "pause", "bulk", "pause", "bulk") * 2, tight=True)
POLITE = Genre(
    (
        "wait", "write", "write", "bulk", "bulk", "bulk", "bulk", "pause", "resume", "resume", "connect", "nodelay", "congestion",
        "marks", "weather", "box", "mtu", "blink", "lapse", "doze", "replay", "forge", "toobig", "garbage", "narrow", "shutdown",
    ),
    calls=("write", "write", "pause", "resume", "nodelay", "marks", "connect"),
    greetings=("", "write", "pause"),
    closers=0,
    gaps=GAPS[:-1],
    polite=True,
)  # fmt: skip
RUDE = attrs.evolve(
    POLITE,
    kinds=(*POLITE.kinds, "close", "abort", "shutdown", "bulk", "bulk", "write", "perfect"),
    calls=(*CHAOS.calls, "write", "write", "write", "write"),
    closers=255,
    polite=False,
)
REUSE = Genre(
    (
        "wait", "again", "again", "again", "cross", "write", "write", "shutdown", "shutdown", "shutdown", "close", "abort",
        "replay", "replay", "replay", "blink", "forge", "jump",
    ),
    calls=("write", "shutdown", "close", "abort"),
    greetings=("", "", "", "shutdown", "shutdown", "close"),
    gaps=(0, 1000, MILLISECOND, 10 * MILLISECOND, SECOND, 5 * SECOND, MINUTE),
)  # fmt: skip
CUT = attrs.evolve(CHAOS, kinds=CHAOS.kinds + ("bulk", "bulk", "write", "wait") * 3, heals=False)


def _sometimes(default: object, *others: object) -> st.SearchStrategy[object]:
    return st.sampled_from((default, default, default, *others))


def _tuned(marks: tuple[int, int] | None, **fields: Any) -> TcpConfig:
    """The marks are a pair, or tune themselves."""
    low, high = marks or (None, None)
    return TcpConfig(snd_low=low, snd_high=high, **fields)


def _config(polite: bool, tight: bool) -> st.SearchStrategy[TcpConfig]:
    bounds = {
        "memory_pressure": st.just(1),
        "memory_max": st.sampled_from((1, 5000, 50_000)),
        "max_half_open": st.integers(1, 2),
        "max_connections": st.integers(1, 5),
        "max_time_wait": st.integers(1, 2),
    }
    return st.builds(
        _tuned,
        rcv_buf=_sometimes(None, 2048, 3000, 20_000, 65535, 65536, 1_000_000),
        rcv_buf_max=_sometimes(16 << 20, 2048, 65535, 100_000),
        marks=_sometimes(None, (0, 1), (1, 1), (0, 1000), (1, 65536)),
        snd_buf_max=_sometimes(16 << 20, 5000),
        nodelay=st.booleans(),
        congestion=st.sampled_from(("cubic", "reno")),
        timestamps=_sometimes(True, False),
        sack=_sometimes(True, False),
        syn_cookies=st.just("auto") if polite else st.sampled_from(("auto", "auto", "always", "never")),
        keepalive=_sometimes(0, 600 * SECOND, 2 * SECOND),
        time_wait=st.just(MINUTE) if polite else _sometimes(MINUTE, SECOND),  # a second is less than a lost ACK takes to repair
        **(bounds if tight else {}),
    )


def _setup(polite: bool, tight: bool) -> st.SearchStrategy[Setup]:
    host = st.builds(
        HostSetup,
        config=_config(polite, tight),
        mtu=_sometimes(1500, 128, 576, 9000, 1501),
        offload=_sometimes(0, const.OFFLOAD_CSUM, TSO),
        coarse=_sometimes(0, MILLISECOND, 20 * MILLISECOND),
        timers_first=st.booleans(),
    )
    near = st.sampled_from((2**32 - 1, 2**32 - 3000, 2**32 - 20_000, 2**31 - 1, 2**31 - 3000, 2**31 - 20_000, 12345))
    return st.builds(
        Setup,
        hosts=st.tuples(host, host),
        iss=st.none() | st.tuples(near, near),
        ts_wraps=_sometimes(False, True),
        carries_super=st.booleans(),
        seed=st.integers(0, 2**16),
    )


def _weather(polite: bool) -> st.SearchStrategy[Weather]:
    return st.builds(
        Weather,
        loss=_sometimes(0, 3, 6, 13 if polite else 40),
        burst=_sometimes(0, 0, 0, 1 if polite else 2),
        duplicate=_sometimes(0, 13, 128),
        reorder=_sometimes(0, 13, 128),
        corrupt=_sometimes(0, 3, 9 if polite else 13),
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


def programs(genre: Genre) -> st.SearchStrategy[Program]:
    reaction = st.tuples(st.sampled_from(EVENTS), st.sampled_from(genre.calls), st.sampled_from(SIZES))
    op = st.tuples(st.sampled_from(genre.gaps), st.sampled_from(genre.kinds), st.integers(0, 255), st.integers(0, 255))
    # a list of lists: one list of up to sixty would mostly be short
    ops = st.lists(st.lists(op, max_size=10), max_size=6).map(lambda parts: [op for part in parts for op in part])
    return st.builds(
        Program,
        setup=_setup(genre.polite, genre.tight),
        weather=st.just(Weather()) | _weather(genre.polite),
        box=st.just(Box()) | _box,
        accidents=_accidents,
        reactions=st.lists(st.tuples(st.integers(0, 5), reaction), max_size=8),
        greetings=st.lists(st.sampled_from(genre.greetings), max_size=4),
        closers=st.integers(0, genre.closers),
        ops=ops,
        heals=st.just(genre.heals),
        polite=st.just(genre.polite),
    )
