"""The scoreboard against a model that knows the fate of each single byte."""

from __future__ import annotations

import random

import pytest

from netstack.tcp import const as tc
from netstack.tcp.recovery import board
from netstack.tcp.recovery.rack import Flight

MSS = 100
ORIGINS = pytest.mark.parametrize("una", [1000, 2**31 - 700, 2**32 - 700])


def flight(una: int = 1000, now: int = 0, min_rtt: int = 0) -> Flight:
    fl = Flight()
    fl.open(una, now, min_rtt)
    return fl


def runs(fl: Flight, una: int) -> list[tuple[int, int, bool, bool, bool]]:
    """Begin, end, SACKed, lost, sent again; offsets from `una`."""
    m = 2**32
    return [((r.seq - una) % m, (r.end - una) % m, bool(r.sacked), bool(r.lost), bool(r.resent)) for r in fl.runs]


class Model:
    """Byte by byte: `a` on its way, `s` SACKed, `l` lost."""

    def __init__(self, una: int) -> None:
        self.una = una
        self.begin = 0
        self.fate: list[str] = []

    def count(self, what: str) -> int:
        return self.fate[self.begin :].count(what)


@ORIGINS
@pytest.mark.parametrize("case", range(40))
def test_every_byte_has_the_fate_that_the_peer_told(una: int, case: int, seed: int) -> None:
    rng = random.Random(f"{seed} {una} {case}")
    fl = flight(una)
    model = Model(una)
    now = 0
    for _ in range(120):
        now += rng.randrange(3)
        end = len(model.fate)
        fl.hear(now, -1, 0)
        match rng.randrange(6):
            case 0 | 1:
                n = rng.randrange(1, 4 * MSS)
                fl.leave((una + end) % 2**32, (una + end + n) % 2**32, now)
                model.fate += "a" * n
            case 2 if end > model.begin:
                ack = rng.randrange(model.begin, end + 1)
                fresh = sum(fate != "s" for fate in model.fate[model.begin : ack])
                fl.cumulative((una + ack) % 2**32)
                model.begin = ack
                assert fl.fresh == fresh
            case 3 if end > model.begin:
                a = rng.randrange(model.begin, end)
                b = rng.randrange(a, end) + 1
                fresh = sum(fate != "s" for fate in model.fate[a:b])
                assert fl.sack((una + a) % 2**32, (una + b) % 2**32)
                model.fate[a:b] = "s" * (b - a)
                assert fl.fresh == fresh
            case 4 if end > model.begin and rng.random() < 0.3:
                fl.lose_all(tc.BY_RTO)
                model.fate[model.begin :] = ["s" if fate == "s" else "l" for fate in model.fate[model.begin :]]
            case 5 if fl.lost:
                i = next(i for i, run in enumerate(fl.runs) if run.lost)
                run = fl.runs[i]
                begin, length = (run.seq - una) % 2**32, (run.end - run.seq) % 2**32
                n = rng.randrange(1, length + 1)
                if n < length:
                    fl.split(i, (run.seq + n) % 2**32)
                fl.leave_again(i, now)
                model.fate[begin : begin + n] = "a" * n
        assert (fl.sacked, fl.lost) == (model.count("s"), model.count("l"))
        assert fl.pipe(len(model.fate) - model.begin) == model.count("a")
        told = "".join(("s" if s else "l" if lost else "a") * (e - b) for b, e, s, lost, _ in runs(fl, una))
        assert told == "".join(model.fate[model.begin :])
        assert [b for b, *_ in runs(fl, una)][1:] == [e for _, e, *_ in runs(fl, una)][:-1], "runs leave no gaps"


def test_what_leaves_at_once_is_one_run_and_what_is_sacked_side_by_side_too() -> None:
    fl = flight()
    for i in range(10):
        fl.leave(1000 + i * MSS, 1000 + (i + 1) * MSS, 5)
    assert len(fl.runs) == 1
    fl.leave(2000, 2100, 6)
    assert len(fl.runs) == 2
    fl.sack(1300, 1400)
    fl.sack(1500, 1600)
    assert len(fl.runs) == 6
    fl.sack(1400, 1500)
    assert runs(fl, 1000) == [
        (0, 300, False, False, False),
        (300, 600, True, False, False),
        (600, 1000, False, False, False),
        (1000, 1100, False, False, False),
    ]


def test_runs_are_as_fine_as_a_part_of_the_round_trip_but_never_span_a_retransmission() -> None:
    fl = flight(min_rtt=32_000)
    fl.leave(1000, 1100, 0)
    fl.leave(1100, 1200, 1_000)
    assert len(fl.runs) == 1
    fl.leave(1200, 1300, 1_001)
    assert len(fl.runs) == 2
    fl.hear(1_100, -1, 32_000)
    fl.lose_head(100, tc.BY_DUPACKS)
    fl.leave_again(0, 1_100)
    fl.leave(1300, 1400, 1_200)
    assert len(fl.runs) == 4


def test_a_peer_cannot_make_the_list_long() -> None:
    """CVE-2019-11478: SACKs of every second byte."""
    fl = flight()
    fl.leave(1000, 1000 + 10 * board.MOST_RUNS, 0)
    fl.hear(1, -1, 0)
    taken = [fl.sack(1001 + 2 * i, 1002 + 2 * i) for i in range(3 * board.MOST_RUNS)]
    assert len(fl.runs) <= board.MOST_RUNS + 1
    assert taken[0] and not taken[-1]
    assert fl.sacked + fl.pipe(10 * board.MOST_RUNS) == 10 * board.MOST_RUNS
    fl.cumulative(1000 + 10 * board.MOST_RUNS)
    assert not fl.runs and fl.sacked == 0


def test_many_small_writes_do_not_make_the_list_long() -> None:
    fl = flight()
    for i in range(3 * board.MOST_RUNS):
        fl.leave(1000 + i, 1001 + i, i)
    assert len(fl.runs) <= board.MOST_RUNS


# -- which of them are lost: RFC 8985 6 ---------------------------------------------------------------------------------------


def sent_apart(n: int, gap: int = 10) -> Flight:
    """`n` segments, `gap` apart."""
    fl = flight()
    for i in range(n):
        fl.leave(1000 + i * MSS, 1000 + (i + 1) * MSS, i * gap)
    return fl


def test_what_was_sent_before_the_last_that_arrived_is_lost_when_the_window_has_passed() -> None:
    fl = sent_apart(5)
    fl.hear(1020, -1, 0)
    fl.sack(1200, 1300)  # sent at 20: a round trip of 1000
    fl.detect(100)
    assert fl.marked == 0 and fl.reo_due == 10 + 1000 + 100
    fl.hear(1105, -1, 0)
    fl.detect(100)
    assert [run.lost for run in fl.runs] == [True, False, False, False, False] and fl.reo_due == 1110
    fl.hear(1110, -1, 0)
    fl.detect(100)
    assert [run.lost for run in fl.runs] == [True, True, False, False, False] and fl.reo_due == 0


def test_a_lost_retransmission_is_found_by_what_was_sent_after_it() -> None:
    fl = sent_apart(3)
    fl.hear(1020, -1, 0)
    fl.sack(1100, 1300)
    fl.detect(0)
    assert fl.marked == MSS
    fl.leave_again(0, 1020)
    fl.leave(1300, 1400, 1030)
    fl.hear(1900, -1, 0)
    fl.detect(0)
    assert fl.marked == 0
    fl.hear(2030, -1, 0)
    fl.sack(1300, 1400)
    fl.detect(0)
    assert fl.marked == MSS and fl.runs[0].lost


def test_the_ack_of_a_retransmission_that_came_too_soon_is_the_originals() -> None:
    """RFC 8985 6.2 step 2: it must not make RACK believe that the path is quick."""
    fl = sent_apart(3)
    fl.hear(1020, -1, 1000)
    fl.sack(1100, 1300)
    fl.detect(0)
    fl.leave_again(0, 1020)
    fl.hear(1025, -1, 1000)
    fl.cumulative(1100)
    assert (fl.rack_at, fl.rack_rtt) == (20, 1000)


def test_an_echo_says_that_it_was_the_original() -> None:
    fl = sent_apart(3)
    fl.hear(1020, -1, 10)
    fl.sack(1100, 1300)
    fl.detect(0)
    fl.leave_again(0, 1020)
    fl.hear(3000, 500, 10)
    fl.cumulative(1100)
    assert fl.rack_at == 20 and fl.ambiguous


def test_what_arrives_behind_the_highest_was_overtaken() -> None:
    fl = sent_apart(4)
    fl.hear(1020, -1, 0)
    fl.sack(1200, 1300)
    assert fl.reordered_by == 0
    fl.hear(1030, -1, 0)
    fl.sack(1100, 1200)
    assert fl.reordered_by == MSS


def test_one_ack_that_tells_of_two_blocks_is_no_sign_of_reordering() -> None:
    """The one that came last is told first: RFC 2018 4."""
    fl = sent_apart(6)
    fl.hear(1020, -1, 0)
    fl.sack(1400, 1500)
    fl.sack(1200, 1300)
    assert fl.reordered_by == 0


def test_the_rate_is_what_arrived_over_the_time_that_it_took() -> None:
    fl = sent_apart(4, gap=100)
    fl.hear(1000, -1, 0)
    fl.cumulative(1100)
    assert fl.delivered == MSS
    fl.leave(1400, 1500, 1000)
    fl.hear(2000, -1, 0)
    fl.cumulative(1500)
    assert fl.delivered == 5 * MSS
