"""The ring of frames and what is read off them: bounded, total, and right about the numbers."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.cores import Frame, Out
from netstack.http.dashboard.ring import HEAD, OBJECTS, Kept, Ring
from netstack.http.dashboard.trace import FEW, MOST, Trace
from netstack.instant import MILLISECOND, SECOND
from netstack.pcap import INBOUND, OUTBOUND
from netstack.testing.endpoint import Endpoint
from netstack.testing.net import World

HERE, THERE = (0x0A000001, 80), (0x0A000002, 5000)
ETH = bytes.fromhex("020000000001020000000002 0800")


def segment(seq: int, n: int, ack: int = 0, window: int = 0, flags: int = 0x10, options: bytes = b"", sent: bool = True) -> Kept:
    """At 1 ms for each thousand of `seq`."""
    (a, ap), (b, bp) = (HERE, THERE) if sent else (THERE, HERE)
    header = 20 + len(options)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + header + n, 0, 0x4000, 64, 6, 0, a, b)
    tcp = struct.pack("!HHIIBBHHH", ap, bp, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, header << 2, flags, window, 0, 0)
    data = ETH + ip + tcp + options
    return Kept(MILLISECOND, OUTBOUND if sent else INBOUND, data, len(data) + n, False, 0)


def trace(iss: int = 0, irs: int = 0, scales: tuple[int, int] = (2, 3)) -> Trace:
    return Trace(HERE, THERE, iss, irs, scales, 14, 0)


def test_both_ways_are_told_apart_and_counted_from_the_initial_number_past_2_to_the_32() -> None:
    t = trace(iss=0xFFFFFF00, irs=1000)
    t.frame(segment(0xFFFFFF00, 0, flags=0x02))
    t.frame(segment(0xFFFFFF01, 500))
    t.frame(segment(1001, 100, ack=0xFFFFFF01 + 500, window=10, sent=False))
    t.frame(segment(0xFFFFFF01 + 500, 0, ack=1101, window=10))
    told = t.take()
    assert told["out"]["data"] == [[1000, 0, 1000, 1, 0], [1000, 1, 1000, 501, 0]]
    assert told["out"]["acks"] == [[1000, 501, 501 + 80]]
    assert told["in"]["data"] == [[1000, 1, 1000, 101, 0]]
    assert told["in"]["acks"][-1] == [1000, 101, 101 + 40]
    assert t.take()["out"] == {"data": [], "acks": [], "sacks": [], "skipped": 0}


def test_what_was_seen_before_is_sent_again_or_late() -> None:
    t = trace()
    for seq in (1, 1001, 1, 2001):
        t.frame(segment(seq, 1000))
        t.frame(segment(seq, 1000, sent=False))
    told = t.take()
    assert [d[4] for d in told["out"]["data"]] == [0, 0, 1, 0]
    assert [d[4] for d in told["in"]["data"]] == [0, 0, 2, 0]


def test_a_knock_at_a_shut_window_is_not_a_retransmission() -> None:
    t = trace()
    t.frame(segment(1, 1000))
    t.frame(segment(1, 0, ack=1001, window=0, sent=False))
    t.frame(segment(1000, 1))
    assert [d[4] for d in t.take()["out"]["data"]] == [0, 0]


def test_sacks_are_read_whatever_stands_around_them() -> None:
    t = trace(iss=100)
    options = b"\1\1\5\x12" + struct.pack("!IIII", 600, 1100, 2100, 2600) + b"\0\0"
    t.frame(segment(1, 0, ack=101, sent=False, options=options))
    assert t.take()["out"]["sacks"] == [[1000, 500, 1000], [1000, 2000, 2500]]


def test_a_burst_becomes_few_pieces_and_nothing_is_lost_of_it() -> None:
    t = trace()
    for i in range(10 * MOST):
        t.frame(segment(1 + i * 1000, 1000))
    data = t.take()["out"]["data"]
    assert len(data) == FEW
    assert data[-1][3] == 1 + 10 * MOST * 1000
    for i in range(2 * MOST):  # with holes between them nothing can be joined
        t.frame(segment(1 + (20 * MOST + 2 * i) * 1000, 1000))
    told = t.take()["out"]
    assert (len(told["data"]), told["skipped"]) == (MOST, MOST)


def test_other_peoples_frames_are_passed_over() -> None:
    t = trace()
    good = segment(1, 10)
    fragment, udp, other, v6 = (bytearray(good.data) for _ in range(4))
    fragment[20] |= 0x20
    udp[23] = 17
    other[34] ^= 1
    v6[14] = 0x65
    for data in (fragment, udp, other, v6, good.data[:40], b""):
        t.frame(good._replace(data=bytes(data)))
    assert t.segments == 0
    t.frame(good)
    assert t.segments == 1


@given(data=st.binary(max_size=120), sent=st.booleans(), keep=st.integers(0, 80))
def test_no_frame_can_break_it(data: bytes, sent: bool, keep: int) -> None:
    t = trace()
    frame = segment(1, 10, options=b"\5\x0a" + bytes(10), sent=sent)
    t.frame(frame._replace(data=frame.data[:keep] + data))
    t.take()


# -- the ring ------------------------------------------------------------------------------------------------------------------


def come(ring: Ring, data: bytes, now: int) -> None:
    f = Frame(2048)
    f.buf[: len(data)] = data
    f.off, f.end, f.now = 14, len(data), now
    ring.on_input(f)


def go(ring: Ring, data: bytes, now: int) -> None:
    p = Out()
    p.off -= 14
    p.hdr[p.off :] = data[:14]
    p.data, p.n = data[14:], len(data) - 14
    ring.on_send(p, now)


def test_frames_are_kept_whole_and_in_order_both_ways() -> None:
    ring = Ring(14)
    come(ring, ETH + b"in", 1)
    go(ring, ETH + b"out", 2)
    first, second = Kept(1, INBOUND, ETH + b"in", 16, False, 0), Kept(2, OUTBOUND, ETH + b"out", 17, False, 0)
    assert list(ring.all()) == [first, second]
    assert ring.since(1, 9) == [second]
    assert (ring.first, ring.end) == (0, 2)
    ring.clear()
    assert (ring.first, ring.end, ring.size, list(ring.all())) == (2, 2, 0, [])


@pytest.mark.parametrize("put", [come, go])
def test_a_flood_is_bounded_and_of_fast_traffic_the_headers_stay(put: object) -> None:
    assert callable(put)
    limit = 100 * (1000 + OBJECTS)
    ring = Ring(14, limit)
    for i in range(5000):
        put(ring, ETH + bytes(986), i * MILLISECOND)
        assert ring.size <= limit
    assert ring.short
    assert ring.end == 5000
    kept = list(ring.all())
    assert len(kept) == ring.end - ring.first > 300, "headers of more frames than whole ones would fit"
    assert {(len(k.data), k.length) for k in kept} == {(HEAD, 1000)}
    assert ring.size == len(kept) * (HEAD + OBJECTS)
    for i in range(1000):  # slow again
        put(ring, ETH + bytes(986), 10 * SECOND + i * SECOND)
    assert not ring.short
    assert {len(k.data) for k in ring.all()} == {1000}


# -- the seam ------------------------------------------------------------------------------------------------------------------


def test_a_stack_shows_its_frames_to_one_who_comes_and_goes_while_it_works() -> None:
    world = World(seed=1, delay=MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(b"x" * 20000, close=False))
    ring = Ring(14)
    world.run(until=lambda: len(server.received) > 0)
    a.stack.watch(ring)
    second = Ring(14)
    a.stack.watch(second)
    world.run(until=lambda: len(server.received) == 20000)
    seen = ring.end
    assert {kept.direction for kept in ring.all()} == {INBOUND, OUTBOUND}
    assert all(kept.data[12:14] in (b"\x08\x00", b"\x08\x06") for kept in ring.all())
    assert second.end == seen and [k.data for k in second.all()] == [k.data for k in ring.all()]
    a.stack.unwatch(ring)
    a.stack.unwatch(ring)  # who doesn't look any more may say so
    assert client.conn is not None
    client.conn.write(b"more", world.now)
    world.run(until=lambda: server.received.endswith(b"more"))
    assert ring.end == seen < second.end
    a.stack.unwatch(second)
    assert a.stack.link.rx.observer is None and a.stack.tcp.hub.witness is None
