"""Requests at random, read by four: what our reader takes, no two others refuse, and who takes it reads the same.

Where a message ends, what its body is, its method, target and fields: one other opinion is one too many, since a smuggler needs no
more than a proxy that has it. The other way round readings are meant to differ: ours refuses more. What we take by choice though
others refuse it stands in `chosen`, with the clause that says so.

For a campaign: PYTHONPATH=. python tests/fuzz/test_fuzz_http_readings.py COUNT [SEED]
"""

import sys
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import NamedTuple

from http_readings import ASIDE, READINGS, Seen
from http_requests import stream

from netstack.http.config import HttpLimits
from netstack.http.events import Body, End, Event, Refusal, RequestHead
from netstack.http.h1.reader import Reader

LIMITS = HttpLimits()


class Ours(NamedTuple):
    head: RequestHead
    body: bytes
    start: int
    end: int


def read(data: bytes, *cuts: int) -> tuple[list[Event], list[Ours], int | None]:
    """All events, adjacent bodies joined; the whole messages; and where one begins that did not end."""
    reader = Reader(LIMITS)
    events: list[Event] = []
    whole: list[Ours] = []
    start = fed = 0
    edges = [0, *cuts, len(data)]
    for piece in [data[at:to] for at, to in pairwise(edges) if to > at]:
        fed += len(piece)
        got = reader.feed(piece)
        while True:
            for each in got:
                if isinstance(each, Body) and isinstance(events[-1], Body):
                    events[-1] = Body(events[-1].data + each.data)
                else:
                    events.append(each)
            if not got or not isinstance(got[-1], End):
                break
            end = fed - reader.buffered
            head, body = (events[-2], b"") if isinstance(events[-2], RequestHead) else (events[-3], events[-2].data)  # type: ignore[union-attr]
            assert isinstance(head, RequestHead)
            whole.append(Ours(head, body, start, end))
            start = end
            got = reader.resume()
    open_ = bool(events) and not isinstance(events[-1], End | Refusal)
    return events, whole, start if open_ else None


def chosen(name: str, data: bytes) -> bytes | None:
    """`data` without what we take by choice and `name` is known to refuse; None: it is not to be asked about this at all."""
    if name in ("h11", "http.server"):
        data = data.removeprefix(b"\r\n")  # RFC 9112 2.2: a server SHOULD ignore at least one empty line before a request
    return data


def plain(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Two spellings of a framing are one: h11 writes it anew."""
    found = []
    for name, value in fields:
        if name == b"content-length" and value.isdigit():
            value = b"%d" % int(value)
        elif name == b"transfer-encoding":
            value = value.lower()
        found.append((name, value))
    return found


def differences(data: bytes) -> list[str]:
    """Where our reading of `data` is not that of the others."""
    _, whole, open_ = read(data)
    found = []
    for ours in whole:
        rest = data[ours.start :]
        refusals = []
        for name, reading in READINGS.items():
            asked = chosen(name, rest)
            theirs = reading(asked)
            if not isinstance(theirs, Seen):
                if theirs != ASIDE:
                    refusals.append(f"{name}: {theirs}")
                continue
            end = theirs.end + len(rest) - len(asked)
            if end != ours.end - ours.start:
                found.append(f"{name} sees the end at {ours.start + end}, we at {ours.end}")
            elif theirs.body != ours.body:
                found.append(f"{name} reads the body {theirs.body!r}, we {ours.body!r}")
            elif (theirs.method, theirs.target) != (ours.head.method.encode(), ours.head.target.encode()):
                found.append(f"{name} reads {theirs.method!r} {theirs.target!r}, we {ours.head.method} {ours.head.target}")
            elif plain(theirs.fields) != plain(ours.head.fields):
                found.append(f"{name} reads the fields {theirs.fields}, we {ours.head.fields}")
        if len(refusals) > 1:
            found.append(f"we take at {ours.start} what others don't: {', '.join(refusals)}")
    if open_ is not None:
        ends = [name for name, reading in READINGS.items() if isinstance(reading(chosen(name, data[open_:])), Seen)]
        if ends:
            found.append(f"we wait for more of what began at {open_}, and {', '.join(ends)} has it whole")
    return found


def test_no_two_refuse_what_we_take_and_all_read_the_same(seed: int) -> None:
    random = Random(seed)
    for _ in range(1500):
        data = stream(random)
        assert not differences(data), data


def test_each_cut_gives_the_same_events(seed: int) -> None:
    random = Random(seed)
    for _ in range(150):
        data = stream(random)
        events = read(data)[0]
        for at in range(1, len(data)):
            assert read(data, at)[0] == events, (at, data)
        assert read(data, *range(1, len(data)))[0] == events, data


def campaign(count: int, seed: int) -> None:
    random = Random(seed)
    tally: Counter[str] = Counter()
    for number in range(count):
        data = stream(random)
        events, whole, _ = read(data)
        tally["taken"] += len(whole)
        if events and isinstance(events[-1], Refusal):
            start = whole[-1].end if whole else 0
            takers = [name for name, reading in READINGS.items() if isinstance(reading(data[start:]), Seen)]
            tally[f"refused {events[-1].reason} {len(takers)} take it"] += 1
            if len(takers) == 3 and tally[f"refused {events[-1].reason} 3 take it"] < 3:
                print("all but we take", events[-1].reason, data[start:])
        for difference in differences(data):
            tally["differences"] += 1
            print(f"{seed}/{number}: {difference}\n    {data!r}")
        if not number % 20:
            for at in range(1, len(data)):
                assert read(data, at)[0] == events, (at, data)
    for what, times in sorted(tally.items(), key=lambda item: -item[1]):
        print(f"{times:8} {what}")


if __name__ == "__main__":
    campaign(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
