"""One direction of a cable: bursts, acknowledgements, segments by number, holding back until others have passed, changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import const
from netstack.errors import UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.faults import Faults
from netstack.testing.inbox import Inbox
from netstack.testing.line import Held, Line, landed
from netstack.testing.picks import read_picks, show_picks
from tests.net.attacker import eth, tcp

A, B = 0x0A000001, 0x0A000002


def line(seed: int = 1, header: int = 0, **fields: object) -> Line:
    return Line(Faults(**fields), random.Random(seed), header)  # type: ignore[arg-type]  # as a test writes them


def data(seq: int, n: int = 100, flags: str = "A", port: int = 1000) -> bytes:
    return tcp(A, B, port, 80, flags, seq=seq, ack=1, data=bytes(n))


def passes(path: Line, frame: bytes, now: int = 0) -> bool:
    return bool(path.carry(frame, now)[0])


# -- bursts ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "burst", "within"), [(0.05, 4, 1.0), (0.2, 10, 1.0), (0.1, 6, 0.5), (0.02, 1, 1.0)])
def test_bursts_have_the_share_and_the_length_that_were_asked_for(loss: float, burst: float, within: float) -> None:
    path = line(loss=loss, burst=burst, burst_loss=within)
    lost = [not passes(path, b"x") for _ in range(200_000)]
    share = sum(lost) / len(lost)
    assert abs(share - loss) < 0.1 * loss
    starts = sum(1 for before, now in zip([False, *lost], lost, strict=False) if now and not before)
    length = sum(lost) / starts
    if within == 1.0:
        assert abs(length - max(burst, 1 / (1 - loss))) < 0.1 * burst
    else:
        assert length > 1.5 / (1 - loss), "they are not independent"


def test_without_bursts_the_dice_fall_as_they_always_did() -> None:
    path, dice = line(seed=7, loss=0.3), random.Random(7)
    assert [passes(path, b"abc") for _ in range(1000)] == [dice.getrandbits(53) >= 0.3 * 2**53 for _ in range(1000)]


def test_bursts_that_cannot_make_the_loss_are_refused() -> None:
    with pytest.raises(UsageError, match="raise burst_loss above it"):
        Faults(loss=0.6, burst=3, burst_loss=0.5)
    with pytest.raises(UsageError, match="less than one frame"):
        Faults(loss=0.1, burst=0.5)


# -- acknowledgements and segments by number ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [0, 14])
def test_only_acknowledgements_without_data_are_lost_as_such(header: int) -> None:
    path = line(header=header, ack_loss=1.0)

    def frame(packet: bytes) -> bytes:
        return eth(1, 2, const.ETH_IPV4, packet) if header else packet

    assert not passes(path, frame(tcp(A, B, 1, 2, "A", 5, 6)))
    for flags, n in (("A", 1), ("SA", 0), ("S", 0), ("FA", 0), ("RA", 0), ("R", 0)):
        assert passes(path, frame(tcp(A, B, 1, 2, flags, 5, 6, data=bytes(n)))), flags
    assert passes(path, frame(b"\x45" + bytes(60)))
    assert passes(path, b"\x45\0\0") and passes(path, b"")
    assert path.mib.AckLost == 1 and path.mib.Lost == 0


def test_a_segment_is_dropped_by_its_number_in_its_flow() -> None:
    path = line(drop="2+4")
    start = 2**32 - 250  # the flow crosses the end of the circle
    seqs = [start + 100 * n for n in range(5)]
    assert passes(path, data(start - 1, 0, "S"))
    assert [passes(path, data(seq)) for seq in seqs] == [True, False, True, False, True]
    assert [passes(path, data(seq)) for seq in seqs] == [True] * 5, "retransmissions pass"
    assert [passes(path, data(seq, port=2000)) for seq in seqs] == [True, False, True, False, True], "another flow counts anew"
    assert path.carry(data(seqs[4] + 100), 0)[1] == "" and path.mib.Picked == 4


def test_a_retransmission_is_dropped_by_its_number() -> None:
    path = line(drop=((3, 0), (3, 1), (3, 3)))
    assert [passes(path, data(100 * n)) for n in range(4)] == [True, True, False, True]
    assert path.carry(data(200), 0) == ([], "dropped: it is retransmission 1 of segment 3")
    assert passes(path, data(200))
    assert not passes(path, data(150, 200)), "cut in another way it is still the same first byte"
    assert passes(path, data(200))


def test_a_new_connection_between_the_same_ports_begins_at_one() -> None:
    path = line(drop="1")
    assert not passes(path, data(100))
    assert passes(path, data(200))
    assert passes(path, data(5000, 0, "S"))
    assert not passes(path, data(5001))


def test_lists_of_segments_are_read_and_shown() -> None:
    assert read_picks("5-7+9r1+9") == ((5, 0), (6, 0), (7, 0), (9, 0), (9, 1))
    assert read_picks(4) == ((4, 0),) and read_picks([3, (2, 5)]) == ((2, 5), (3, 0)) and read_picks("") == ()
    faults = Faults(drop="5-6+9r1", reorder_past=3, hold=MILLISECOND, ack_loss=0.5, burst=2)
    assert Faults.parse(str(faults)) == faults
    assert show_picks(read_picks("2r1+1")) == "1+2r1"
    for wrong in ("x", "0", "3-", "-1"):
        with pytest.raises(UsageError):
            read_picks(wrong)


# -- holding back ------------------------------------------------------------------------------------------------------------


def order(path: Line, frames: int, inbox: Inbox, gap: int = MILLISECOND) -> list[int]:
    """Frames 0, 1, … enter, `gap` apart; the order in which they land, all within the time of `hold`."""
    got: list[int] = []
    for n in range(frames):
        for arrival, thing in path.carry(bytes([n]), n * gap)[0]:
            inbox.put(arrival, thing)
    got += [frame[0] for frame in inbox.take(100 * SECOND, 1000)]
    return got


@pytest.mark.parametrize("past", [1, 2, 5])
def test_a_frame_held_back_comes_right_behind_the_nth_that_passed(past: int) -> None:
    class Dice:
        """Holds frame 2 back and no other."""

        def __init__(self) -> None:
            self.drawn = 0

        def getrandbits(self, k: int) -> int:
            self.drawn += 1
            return 0 if self.drawn == 3 else 2**53 - 1

    path = Line(Faults(reorder=0.5, reorder_past=past, delay=3 * MILLISECOND), Dice(), 0)
    want = [n for n in range(10) if n != 2]
    want.insert(2 + past, 2)
    assert order(path, 10, Inbox()) == want
    assert path.mib.Reordered == 1


def test_a_frame_that_nobody_overtakes_comes_when_the_time_is_up() -> None:
    path = line(reorder=1.0, reorder_past=3, hold=50 * MILLISECOND, delay=5 * MILLISECOND)
    ((arrival, thing),), fate = path.carry(b"late", 0)
    assert arrival == 55 * MILLISECOND and landed(thing) == b"late"
    assert fate == "held back until 3 others have passed"


def test_a_frame_that_was_released_does_not_come_twice() -> None:
    path = line(reorder=1.0, reorder_past=1, hold=SECOND)
    inbox = Inbox()
    (held,), _ = path.carry(b"first", 0)
    inbox.put(*held)
    path.change(Faults())
    arrivals, _ = path.carry(b"second", 10)
    assert [(when, landed(thing)) for when, thing in arrivals] == [(10, b"second"), (10, b"first")]
    assert isinstance(held[1], Held) and landed(held[1]) is None
    assert inbox.take(2 * SECOND, 10) == [] and inbox.soonest == const.NEVER


def test_what_was_held_and_came_by_itself_is_not_released_again() -> None:
    path = line(reorder=1.0, reorder_past=2, hold=10)
    (held,), _ = path.carry(b"first", 0)
    path.change(Faults())
    assert [len(path.carry(b"next", 100 + n)[0]) for n in range(4)] == [1, 1, 1, 1]
    assert landed(held[1]) == b"first"


@given(
    st.builds(
        Faults,
        loss=st.sampled_from([0.0, 0.2]),
        burst=st.sampled_from([1.0, 3.0]),
        duplicate=st.sampled_from([0.0, 0.3]),
        reorder=st.sampled_from([0.0, 0.3, 1.0]),
        reorder_past=st.integers(0, 6),
        hold=st.integers(0, 40),
        reorder_by=st.integers(0, 40),
        delay=st.integers(0, 30),
        jitter=st.integers(0, 10),
        rate=st.sampled_from([None, 8_000_000_000]),
        queue=st.integers(1, 5),
    ),
    st.lists(st.integers(0, 20), max_size=60),
    st.integers(0, 2**32),
)
def test_every_frame_lands_once_for_each_copy_and_not_after_its_time(faults: Faults, gaps: list[int], seed: int) -> None:
    path = Line(faults, random.Random(seed), 0)
    inbox = Inbox()
    now = copies = 0
    latest = 0
    for n, gap in enumerate(gaps):
        now += gap
        arrivals, fate = path.carry(bytes([n]), now)
        assert fate.startswith("dropped") is (not arrivals)
        for arrival, thing in arrivals:
            assert arrival >= now + faults.delay
            latest = max(latest, arrival)
            inbox.put(arrival, thing)
        copies += bool(arrivals) + ("duplicated" in fate)
    assert len(inbox.take(latest, 10_000)) == copies and inbox.soonest == const.NEVER


# -- changes -----------------------------------------------------------------------------------------------------------------


def test_after_a_change_of_path_new_frames_may_overtake_old_ones() -> None:
    path = line(delay=50 * MILLISECOND)
    inbox = Inbox()
    for arrival, thing in path.carry(b"old", 0)[0]:
        inbox.put(arrival, thing)
    path.change(Faults(delay=10 * MILLISECOND))
    for arrival, thing in path.carry(b"new", MILLISECOND)[0]:
        inbox.put(arrival, thing)
    assert inbox.soonest == 11 * MILLISECOND
    assert inbox.take(11 * MILLISECOND, 10) == [b"new"] and inbox.take(50 * MILLISECOND, 10) == [b"old"]


def test_a_slower_path_does_not_reorder() -> None:
    path = line(delay=10 * MILLISECOND)
    first = path.carry(b"old", 0)[0][0][0]
    path.change(Faults(delay=50 * MILLISECOND))
    assert path.carry(b"new", MILLISECOND)[0][0][0] == 51 * MILLISECOND > first


# -- the inbox ---------------------------------------------------------------------------------------------------------------


def test_the_inbox_is_ordered_by_arrival_and_then_by_entry(seed: int) -> None:
    dice = random.Random(seed)
    inbox, model = Inbox(), []
    for n in range(2000):
        if dice.random() < 0.6:
            when = dice.choice([n, n, n, n + dice.randrange(50), dice.randrange(2000)])
            assert inbox.put(when, n.to_bytes(2, "big"))
            model.append((when, n))
            model.sort()
        else:
            now = dice.randrange(2000)
            most = dice.randrange(1, 5)
            due = [item for item in model if item[0] <= now][:most]
            assert [int.from_bytes(frame, "big") for frame in inbox.take(now, most)] == [n for _, n in due]
            del model[: len(due)]
        assert inbox.soonest == (model[0][0] if model else const.NEVER) and len(inbox) == len(model)
