"""Strategies without a connection: CUBIC against its RFC's formulas, Reno against its own, and what both share.

The numbers are the RFC's, in segments of 1000 bytes; the reference for CUBIC is written here, in floats, from RFC 9438 alone.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.congestion import registry
from netstack.tcp.congestion.cubic import Cubic, ticks_to_climb
from netstack.tcp.congestion.reno import Reno
from netstack.testing.control import Driver

MSS = 1000
BOTH = pytest.mark.parametrize("name", ["cubic", "reno"])


def driver(name: str, cwnd: int, ssthresh: int | None = None, mss: int = MSS) -> Driver:
    """A strategy with these windows, in segments; in congestion avoidance when ssthresh is not given."""
    d = Driver(registry.make(name, mss))
    d.start(mss, False)
    d.adopt(cwnd * mss, (cwnd if ssthresh is None else ssthresh) * mss)
    return d


def cubic_of(d: Driver) -> Cubic:
    assert isinstance(d.cc, Cubic)
    return d.cc


# -- what both share ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mss", "window"), [(536, 5360), (1460, 14600), (2190, 14600), (9000, 18000), (88, 880)])
def test_the_initial_window_is_ten_segments_within_bounds(mss: int, window: int) -> None:
    """RFC 6928 2; after a lost SYN it is one segment."""
    d = Driver(Reno(mss))
    assert d.cc.cwnd == window
    d.start(mss, True)
    assert d.cc.cwnd == mss


@BOTH
def test_slow_start_doubles_in_a_round_trip_and_stops_at_ssthresh(name: str) -> None:
    """RFC 5681 3.1."""
    d = driver(name, 10, 35)
    now = d.clock(10 * MSS, MSS, 100 * MILLISECOND, 0)
    assert d.cc.cwnd == 20 * MSS
    d.clock(15 * MSS, MSS, 100 * MILLISECOND, now)
    assert d.cc.cwnd == 35 * MSS


@BOTH
def test_a_window_acknowledged_in_one_burst_is_cut_once_at_its_loss(name: str) -> None:
    """What the ACKs before have taken off the flight would have been sent anew by now, were sending not to wait for the batch."""
    d, other = driver(name, 20), driver(name, 20)
    for i in range(10):
        d.ack(MSS, (20 - i) * MSS, SECOND, 7)
    d.loss(10 * MSS, 7)
    other.loss(20 * MSS, 7)
    assert d.cc.ssthresh == pytest.approx(other.cc.ssthresh, abs=MSS // 2)
    later = driver(name, 20)
    later.ack(MSS, 20 * MSS, SECOND, 7)
    later.loss(10 * MSS, 8)
    assert later.cc.ssthresh == pytest.approx(other.cc.ssthresh // 2, abs=MSS // 2), "another instant is another batch"


def test_reno_grows_when_all_that_the_window_lets_out_is_acknowledged() -> None:
    """RFC 5681 3.1: half a segment is never sent, and its ACK not waited for."""
    d = Driver(Reno(MSS))
    d.adopt(6 * MSS + MSS // 2, MSS)
    for i in range(6):
        assert d.cc.cwnd == 6 * MSS + MSS // 2
        d.ack(MSS, 6 * MSS, SECOND, i)
    assert d.cc.cwnd == 7 * MSS + MSS // 2


@BOTH
def test_many_small_acks_grow_the_window_no_more_than_one(name: str) -> None:
    """ACK splitting, RFC 3465 1."""
    whole, split = driver(name, 10, 1000), driver(name, 10, 1000)
    whole.ack(10 * MSS, 10 * MSS, MILLISECOND, 0)
    split.clock(10 * MSS, 10, MILLISECOND, 0)
    assert split.cc.cwnd == whole.cc.cwnd == 20 * MSS
    whole, split = driver(name, 10), driver(name, 10)
    whole.clock(10 * MSS, MSS, MILLISECOND, 0)
    split.clock(10 * MSS, 10, MILLISECOND, 0)
    assert abs(split.cc.cwnd - whole.cc.cwnd) < MSS // 10


@BOTH
def test_after_a_time_out_slow_start_grows_by_a_segment_for_each_ack(name: str) -> None:
    """RFC 3465 2.3."""
    d = driver(name, 40)
    d.timeout(40 * MSS, 0)
    assert d.cc.cwnd == MSS and d.cc.ssthresh == {"cubic": 28 * MSS, "reno": 20 * MSS}[name]
    d.ack(30 * MSS, 40 * MSS, MILLISECOND, MILLISECOND)
    assert d.cc.cwnd == 2 * MSS


@BOTH
def test_a_window_that_is_not_half_used_does_not_grow(name: str) -> None:
    """RFC 7661 4.3."""
    d = driver(name, 20, 1000)
    for i in range(100):
        d.ack(MSS, 9 * MSS, MILLISECOND, i * MILLISECOND)
    assert d.cc.cwnd == 20 * MSS
    d.ack(MSS, 10 * MSS, MILLISECOND, SECOND)
    assert d.cc.cwnd == 21 * MSS


@BOTH
def test_a_batch_of_acks_is_no_idle_application(name: str) -> None:
    """While a batch is read nothing is sent, so the flight falls; the window was full all the same."""
    d = driver(name, 20, 1000)
    for left in range(20, 0, -1):
        d.ack(MSS, left * MSS, MILLISECOND, SECOND)
    assert d.cc.cwnd == 40 * MSS


@BOTH
def test_an_idle_time_beyond_the_rto_restarts_with_the_initial_window(name: str) -> None:
    """RFC 5681 4.1: cwnd = min(IW, cwnd); what the path carried stays in ssthresh (RFC 7661 4.4.3)."""
    d = driver(name, 100, 60)
    d.restart(200 * MILLISECOND, 200 * MILLISECOND, SECOND)
    assert (d.cc.cwnd, d.cc.ssthresh) == (100 * MSS, 60 * MSS), "no longer than the RTO"
    d.restart(201 * MILLISECOND, 200 * MILLISECOND, SECOND)
    assert (d.cc.cwnd, d.cc.ssthresh) == (10 * MSS, 75 * MSS)
    small = driver(name, 4)
    small.restart(SECOND, 200 * MILLISECOND, SECOND)
    assert small.cc.cwnd == 4 * MSS, "restarting never opens a window"


@BOTH
def test_a_loss_leaves_two_segments_at_the_least_and_what_limited_transmit_sent_does_not_count(name: str) -> None:
    """RFC 5681 3.1 equation 4, 3.2 step 2; RFC 9438 4.6."""
    d = driver(name, 2)
    d.loss(2 * MSS, 0)
    assert d.cc.cwnd == d.cc.ssthresh == 2 * MSS
    d = driver(name, 10)
    d.loss(12 * MSS, 0)
    assert d.cc.ssthresh == {"cubic": 7 * MSS, "reno": 5 * MSS}[name]
    d = driver(name, 40)
    d.loss(20 * MSS, 0)
    assert d.cc.cwnd == {"cubic": 14 * MSS, "reno": 10 * MSS}[name], "flight, not cwnd"


@BOTH
def test_recovery_ends_at_the_slow_start_threshold(name: str) -> None:
    """RFC 9937 6: rate reduction has brought what is in flight there, so there is no burst to fear."""
    d = driver(name, 40)
    d.loss(40 * MSS, 0)
    ssthresh = d.cc.ssthresh
    d.recovered(100 * MSS, 0)
    assert d.cc.cwnd == ssthresh == d.cc.ssthresh


@BOTH
def test_a_smaller_path_keeps_the_bytes_of_the_window(name: str) -> None:
    d = driver(name, 10)
    d.new_mss(500)
    assert (d.cc.cwnd, d.cc.mss) == (10_000, 500)
    d.timeout(10_000, 0)
    d.new_mss(1400)
    assert d.cc.cwnd == 1400, "never below one segment"


@BOTH
def test_the_window_stops_where_scaling_ends(name: str) -> None:
    d = driver(name, 1 << 14, mss=65495)
    now = 0
    for _ in range(200):
        now += SECOND
        d.ack(1 << 30, 1 << 30, SECOND, now)
    assert d.cc.cwnd <= (1 << 30) * 3 // 2
    before = d.cc.cwnd
    d.ack(1 << 30, 1 << 30, SECOND, now)
    assert before >= 1 << 30 and d.cc.cwnd == before


def test_reno_grows_by_a_segment_for_each_window() -> None:
    """RFC 5681 3.1 equation 3."""
    d = driver("reno", 10)
    now = 0
    for window in range(10, 20):
        assert d.cc.cwnd == window * MSS
        now = d.clock(window * MSS, MSS, 10 * MILLISECOND, now)


# -- CUBIC --------------------------------------------------------------------------------------------------------------------


def after_a_loss(window: int, mss: int = MSS) -> Driver:
    """CUBIC whose first loss came at `window` segments, and the epoch after it, which began at 0."""
    d = driver("cubic", window, mss=mss)
    d.ack(1, window * mss, 1, 0)
    d.loss(window * mss, 0)
    d.recovered(window * mss, 0)
    d.ack(1, d.cc.cwnd, 1, 0)
    return d


def test_the_cubic_function_has_the_values_of_the_formula() -> None:
    """RFC 9438 4.2: W_max = 100, cwnd_epoch = 70: K = cbrt(30 / 0.4) = 4.2172 s."""
    d = after_a_loss(100)
    cc = cubic_of(d)
    assert cc.w_max == 100 * MSS and cc.cwnd == pytest.approx(70 * MSS, abs=2)
    assert cc.k / 4000 == pytest.approx(4.2172, abs=0.001)
    values = {0: 70.0, 1: 86.681, 2: 95.64, 3: 99.279, 4: 99.996, 5: 100.192, 6: 102.267, 8: 121.653, 10: 177.354, 20: 1672.589}
    for seconds, segments in values.items():
        assert cc.w_cubic(seconds * SECOND) == pytest.approx(segments * MSS, rel=0.0005), seconds


@pytest.mark.parametrize(("mss", "window"), [(88, 1 << 30), (1460, 1 << 30), (65495, 1 << 30), (88, 880), (1, 1 << 30)])
def test_no_window_and_no_time_is_too_large_for_63_bits(mss: int, window: int) -> None:
    d = driver("cubic", window // mss, mss=mss)
    d.ack(1, window, 1, 0)
    d.loss(window, 0)
    d.recovered(window, 0)
    d.ack(1, window, 1, 0)
    cc = cubic_of(d)
    expected = min(320.0, (0.3 * window / mss / 0.4) ** (1 / 3))
    assert cc.k / 4000 == pytest.approx(expected, rel=0.001, abs=0.001)
    ever = [cc.w_cubic(s * SECOND) for s in (*range(0, 700, 7), 10_000_000)]
    assert ever == sorted(ever) and ever[-1] > 5_000
    d.ack(1 << 30, 1 << 30, 100 * SECOND, 10_000 * SECOND)
    assert 0 < d.cc.cwnd <= 3 << 29


@given(st.integers(0, 1 << 30), st.integers(88, 65495))
def test_the_cube_root_is_exact(n: int, mss: int) -> None:
    root = ticks_to_climb(n, mss)
    cube = n * 10_000 // mss * 16_000_000
    assert root**3 <= cube < (root + 1) ** 3


class Reference:
    """RFC 9438 4.2 to 4.6 in segments and seconds, without a thought for speed or width."""

    def __init__(self, w_max: float) -> None:
        self.w_max = self.prior = w_max
        self.cwnd = self.w_est = 0.7 * w_max
        self.k = ((self.w_max - self.cwnd) / 0.4) ** (1 / 3)

    def w_cubic(self, t: float) -> float:
        return 0.4 * (t - self.k) ** 3 + self.w_max

    def ack(self, segments: float, t: float, rtt: float) -> None:
        alpha = 1.0 if self.w_est >= self.prior else 3 * (1 - 0.7) / (1 + 0.7)
        self.w_est += alpha * segments / self.cwnd
        if self.w_cubic(t) < self.w_est:
            self.cwnd = max(self.cwnd, self.w_est)
            return
        target = min(max(self.w_cubic(t + rtt), self.cwnd), 1.5 * self.cwnd)
        self.cwnd += (target - self.cwnd) / self.cwnd * segments


@pytest.mark.parametrize(
    ("window", "rtt", "regions"),
    [
        (10, 0.01, {"reno"}),
        (10, 0.1, {"reno"}),
        (10, 0.5, {"concave", "convex"}),
        (100, 0.01, {"reno"}),
        (100, 0.1, {"concave", "convex", "reno"}),
        (100, 0.5, {"concave", "convex"}),
        (2000, 0.01, {"concave"}),
        (2000, 0.1, {"concave"}),
        (2000, 0.5, {"concave"}),
    ],
)
@pytest.mark.parametrize("each", [1, 2, 3.7])
def test_the_window_after_a_loss_follows_the_reference(window: int, rtt: float, regions: set[str], each: float) -> None:
    """RFC 9438 4.2 to 4.5. ACK by ACK for 20 s or until it has tripled: concave, flat, convex, and where Reno would be faster."""
    d, reference, seen = after_a_loss(window), Reference(window), set()
    t, acks = 0.0, 0
    while t < 20 and reference.cwnd < 3 * window and acks < 16_000:
        t += rtt * each / reference.cwnd
        acks += 1
        reference.ack(each, t, rtt)
        d.ack(int(each * MSS), d.cc.cwnd, int(rtt * SECOND), int(t * SECOND))
        assert abs(d.cc.cwnd / MSS - reference.cwnd) < 0.05 + 0.002 * reference.cwnd, f"after {t} s"
        seen.add("reno" if reference.w_cubic(t) < reference.w_est else "concave" if reference.cwnd < window else "convex")
    assert acks > 30 and seen >= regions


def test_on_a_short_path_it_grows_like_reno() -> None:
    """RFC 9438 4.3: 9/17 of a segment in a round trip until it is where it was, then a whole one."""
    d = after_a_loss(20)
    rtt = MILLISECOND
    now = 0
    before = d.cc.cwnd
    for _ in range(10):
        now = d.clock(d.cc.cwnd, MSS, rtt, now)
    assert (d.cc.cwnd - before) / 10 == pytest.approx(9 / 17 * MSS, rel=0.05)
    while d.cc.cwnd <= 20 * MSS:
        now = d.clock(d.cc.cwnd, MSS, rtt, now)
    before = d.cc.cwnd
    for _ in range(10):
        now = d.clock(d.cc.cwnd, MSS, rtt, now)
    assert (d.cc.cwnd - before) / 10 == pytest.approx(MSS, rel=0.05)


def test_it_grows_by_half_in_a_round_trip_at_most() -> None:
    """RFC 9438 4.2: slower than slow start, however long the epoch."""
    d = after_a_loss(100)
    before = d.cc.cwnd
    d.clock(before, MSS, SECOND, 100 * SECOND)
    assert 1.4 * before < d.cc.cwnd <= 1.5 * 1.5 * before
    before = d.cc.cwnd
    d.ack(100 * before, before, SECOND, 200 * SECOND)
    assert d.cc.cwnd == before * 3 // 2


def test_an_ack_never_shrinks_the_window() -> None:
    """RFC 9438 4.2: target is at least cwnd."""
    d = after_a_loss(100)
    now, last = 0, 0
    for _ in range(2000):
        now = d.clock(MSS, MSS, 500 * MILLISECOND, now)
        assert d.cc.cwnd >= last
        last = d.cc.cwnd


def test_a_loss_below_the_last_maximum_gives_room_to_others() -> None:
    """RFC 9438 4.7, fast convergence: W_max = cwnd * (1 + 0.7) / 2."""
    d = after_a_loss(100)
    assert d.cc.cwnd == pytest.approx(70 * MSS, abs=2)
    d.loss(d.cc.cwnd, SECOND)
    assert cubic_of(d).w_max == pytest.approx(59.5 * MSS, abs=2)
    assert d.cc.cwnd == pytest.approx(49 * MSS, abs=2)
    d.adopt(80 * MSS, 80 * MSS)
    d.loss(80 * MSS, 2 * SECOND)
    assert cubic_of(d).w_max == 80 * MSS, "above it, the maximum is remembered as it is"


def test_after_a_time_out_the_cubic_starts_flat() -> None:
    """RFC 9438 4.8: K = 0, W_max where congestion avoidance begins."""
    d = after_a_loss(100)
    d.timeout(70 * MSS, SECOND)
    assert d.cc.cwnd == MSS and d.cc.ssthresh == pytest.approx(49 * MSS, abs=2)
    now = SECOND
    while d.cc.cwnd < d.cc.ssthresh:
        now = d.clock(MSS, MSS, 100 * MILLISECOND, now)
    now = d.clock(MSS, MSS, 100 * MILLISECOND, now)
    cc = cubic_of(d)
    assert cc.k == 0 and cc.w_max == pytest.approx(49 * MSS, abs=MSS)
    assert cc.w_cubic(5 * SECOND) == pytest.approx(cc.w_max + 50 * MSS, rel=0.001)


def test_time_in_which_the_application_was_the_limit_does_not_count() -> None:
    """RFC 9438 4.2, 5.8: an hour of trickling, and it goes on where it was."""
    rtt = 100 * MILLISECOND
    busy, lazy = after_a_loss(100), after_a_loss(100)
    now = busy.clock(500 * MSS, MSS, rtt, 0)
    assert now == lazy.clock(500 * MSS, MSS, rtt, 0) and busy.cc.cwnd == lazy.cc.cwnd
    later = now
    for _ in range(3600):
        later += SECOND
        lazy.ack(MSS, MSS, rtt, later)
    assert lazy.cc.cwnd == busy.cc.cwnd
    busy.clock(500 * MSS, MSS, rtt, now)
    lazy.clock(500 * MSS, MSS, rtt, later)
    assert lazy.cc.cwnd == pytest.approx(busy.cc.cwnd, rel=0.01)


def test_a_pause_shorter_than_the_rto_does_not_count_either() -> None:
    rtt = 100 * MILLISECOND
    busy, lazy = after_a_loss(100), after_a_loss(100)
    now = busy.clock(500 * MSS, MSS, rtt, 0)
    lazy.clock(500 * MSS, MSS, rtt, 0)
    for i in range(1, 50):
        lazy.restart(SECOND, SECOND, now + i * SECOND)
    assert lazy.cc.cwnd == busy.cc.cwnd
    busy.clock(500 * MSS, MSS, rtt, now)
    lazy.clock(500 * MSS, MSS, rtt, now + 49 * SECOND)
    assert lazy.cc.cwnd == pytest.approx(busy.cc.cwnd, rel=0.01)


def test_after_a_restart_a_new_epoch_begins_where_slow_start_ends() -> None:
    d = after_a_loss(100)
    now = d.clock(500 * MSS, MSS, 100 * MILLISECOND, 0)
    assert 80 * MSS < d.cc.cwnd < 90 * MSS, "three quarters of it are less than ssthresh"
    d.restart(10 * SECOND, SECOND, now + 10 * SECOND)
    assert d.cc.cwnd == 10 * MSS and d.cc.ssthresh == 70 * MSS
    now = d.clock(200 * MSS, MSS, 100 * MILLISECOND, now + 10 * SECOND)
    cc = cubic_of(d)
    assert cc.epoch and cc.epoch_at > 10 * SECOND and cc.w_max == 100 * MSS and cc.cwnd < 100 * MSS


# -- response functions -------------------------------------------------------------------------------------------------------


def respond(name: str, rtt: int, distance: int, each: int, epochs: int = 30) -> float:
    """The mean window, in segments, where one segment in `distance` is lost and repaired at once: the pure model of the formulas.
    Each ACK is for `each` segments. The first half of the epochs is the way there."""
    d = driver(name, 10)
    now = since = 0
    for i in range(epochs):
        if i == epochs // 2:
            since = now
        now = d.clock(distance * MSS, each * MSS, rtt, now)
        d.loss(d.cc.cwnd, now)
        d.recovered(d.cc.cwnd, now)
    return (epochs - epochs // 2) * distance * rtt / (now - since)


def reno_response(p: float) -> float:
    """sqrt(3 / (2bp)) with b = 1: bytes are counted, so delayed ACKs change nothing. 1.22 / sqrt(p)."""
    return math.sqrt(3 / (2 * p))


def cubic_response(p: float, rtt: float) -> float:
    """RFC 9438 5.1, equation 6, or the Reno-friendly region where that is larger (5.1, tables)."""
    return max(reno_response(p), (0.4 * 3.7 / 1.2) ** 0.25 * (rtt / p) ** 0.75)


@pytest.mark.parametrize("distance", [100, 1000, 10_000])
@pytest.mark.parametrize("each", [1, 2])
def test_reno_responds_to_loss_as_published(distance: int, each: int) -> None:
    assert respond("reno", 100 * MILLISECOND, distance, each) == pytest.approx(reno_response(1 / distance), rel=0.15)


@pytest.mark.parametrize(
    ("milliseconds", "distance", "each", "table"),
    [(100, 100, 1, 12), (100, 1000, 1, 38), (100, 10_000, 2, 187), (100, 100_000, 32, 1054), (10, 10_000, 2, 120)],
)
def test_cubic_responds_to_loss_as_published(milliseconds: int, distance: int, each: int, table: int) -> None:
    """RFC 9438 5.1: the formula, and the numbers of its two tables."""
    assert cubic_response(1 / distance, milliseconds / 1000) == pytest.approx(table, rel=0.03)
    assert respond("cubic", milliseconds * MILLISECOND, distance, each) == pytest.approx(table, rel=0.15)
