"""Where there is a crowd, segments of one batch wait for their turn (tcp/lookahead.py): all is told as ever, in the same order.

Here the crowd begins with nobody, so that each segment waits.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from netstack import build_info, const
from netstack.cores import Frame, StreamUser
from netstack.tcp.lookahead import GROUP, LEAST
from netstack.testing.script import Recorder, TcpScript

PORTS = 50000


@pytest.fixture
def crowd(script: Callable[..., TcpScript]) -> TcpScript:
    peer = script()
    peer.tcp.ahead.begin_at(0)
    return peer


def several(peer: TcpScript, count: int) -> list[Recorder]:
    """So many connections, from ports that follow on PORTS."""
    peer.listen()
    users = []
    for i in range(count):
        peer.send("S", seq=0, mss=1460, port=PORTS + i)
        peer.expect("SA", seq=0, ack=1)
        peer.send("A", seq=1, ack=1, port=PORTS + i)
        users.append(peer.user)
    assert len({id(user) for user in users}) == count
    return users


def say(peer: TcpScript, i: int, data: bytes, seq: int = 1, flags: str = "AP") -> None:
    """A segment for the `i`-th connection, and the batch goes on."""
    peer.send(flags, seq=seq, ack=1, data=data, port=PORTS + i, flush=False)


def test_what_waits_is_told_at_the_end_of_the_batch_and_in_order(crowd: TcpScript) -> None:
    users = several(crowd, 3)
    order: list[tuple[int, bytes]] = []
    for i, user in enumerate(users):
        user.reactions["data"] = lambda now, i=i, user=user: order.append((i, user.received))
    for i, data, seq in ((0, b"a", 1), (1, b"b", 1), (0, b"c", 2), (2, b"d", 1)):
        say(crowd, i, data, seq)
    assert not order
    crowd.flush()
    assert order == [(0, b"a"), (1, b"b"), (0, b"ac"), (2, b"d")]


def test_no_more_wait_than_have_a_place(crowd: TcpScript) -> None:
    (user,) = several(crowd, 1)
    (other,) = several_more(crowd, 1, 1)
    for i in range(GROUP):
        say(crowd, i & 1, b"x", 1 + i // 2)
    assert len(user.received) + len(other.received) == GROUP
    crowd.flush()
    assert len(user.received) + len(other.received) == GROUP


def several_more(peer: TcpScript, first: int, count: int) -> list[Recorder]:
    users = []
    for i in range(first, first + count):
        peer.send("S", seq=0, mss=1460, port=PORTS + i)
        peer.expect("SA", seq=0, ack=1)
        peer.send("A", seq=1, ack=1, port=PORTS + i)
        users.append(peer.user)
    return users


def test_below_a_crowd_nothing_waits(script: Callable[..., TcpScript]) -> None:
    peer = script()
    users = several(peer, 2)
    assert len(users) < LEAST
    say(peer, 0, b"a")
    say(peer, 1, b"b")
    assert [user.received for user in users] == [b"a", b"b"]
    peer.flush()


def test_a_flow_that_goes_on_does_not_wait(crowd: TcpScript) -> None:
    users = several(crowd, 2)
    say(crowd, 1, b"a")
    assert users[1].received == b"a"  # whose segment was the last one, too
    say(crowd, 0, b"b")
    say(crowd, 1, b"c", 2)
    assert users[1].received == b"a"  # behind one that waits
    crowd.flush()
    assert [user.received for user in users] == [b"b", b"ac"]


@pytest.mark.parametrize(("size", "gso"), [(2 * 1460, 1460), (2000, 0), (200, 100)])
def test_what_is_large_comes_behind_those_that_wait(crowd: TcpScript, size: int, gso: int) -> None:
    users = several(crowd, 2)
    order: list[int] = []
    for i, user in enumerate(users):
        user.reactions["data"] = lambda now, i=i: order.append(i)
    say(crowd, 0, b"a")
    crowd.send("A", seq=1, ack=1, data=bytes(size), port=PORTS + 1, flush=False, gso=gso)
    assert order == [0, 1]
    crowd.flush()


def test_those_that_come_when_the_crowd_has_gone_wait_behind_those_that_do(script: Callable[..., TcpScript]) -> None:
    peer = script()
    users = several(peer, 3)
    peer.tcp.ahead.begin_at(3)
    say(peer, 0, b"a")
    next(c for c in peer.tcp.connections() if c.remote_port == PORTS + 2).abort(peer.now)
    say(peer, 1, b"b")
    assert [user.received for user in users] == [b"", b"", b""]
    peer.flush()
    assert [user.received for user in users] == [b"a", b"b", b""]
    say(peer, 0, b"c", 2)
    assert users[0].received == b"ac"
    peer.flush()


def test_while_somebody_looks_each_has_its_turn_at_once(crowd: TcpScript) -> None:
    users = several(crowd, 3)
    say(crowd, 0, b"a")

    class Nobody:
        def on_state(self, entry: object, old: int, new: int) -> None: ...

    crowd.tcp.hub.witness = Nobody()
    say(crowd, 1, b"b")
    assert [user.received for user in users] == [b"a", b"b", b""]
    crowd.flush()


def test_a_connection_that_an_earlier_callback_has_aborted_is_gone(crowd: TcpScript) -> None:
    users = several(crowd, 2)
    gone = next(c for c in crowd.tcp.connections() if c.remote_port == PORTS + 1)
    users[0].reactions["data"] = gone.abort
    say(crowd, 0, b"a")
    say(crowd, 1, b"b")
    crowd.sent.clear()
    crowd.flush()
    assert users[1].closed and not users[1].received
    resets = [segment for segment in crowd.take() if segment.flags & const.RST]
    assert len(resets) == 2  # of `abort`, and of the segment that came to nobody


def test_a_connection_that_an_earlier_callback_has_paused_keeps_its_text(crowd: TcpScript) -> None:
    users = several(crowd, 2)
    other = next(c for c in crowd.tcp.connections() if c.remote_port == PORTS + 1)
    users[0].reactions["data"] = other.pause
    say(crowd, 0, b"a")
    say(crowd, 1, b"b")
    crowd.flush()
    assert users[1].received == b""
    other.resume(crowd.now)
    assert users[1].received == b"b"


def test_a_segment_may_meet_the_time_wait_that_one_before_it_has_led_to(crowd: TcpScript) -> None:
    (user,) = several(crowd, 1)
    several_more(crowd, 1, 1)
    conn = next(c for c in crowd.tcp.connections() if c.remote_port == PORTS)
    conn.close(crowd.now)
    crowd.sent.clear()
    crowd.send("AF", seq=1, ack=2, port=PORTS, flush=False)
    crowd.send("AF", seq=1, ack=2, port=PORTS, flush=False)  # again: our ACK might have been lost
    assert not crowd.tcp.hub.waits
    crowd.flush()
    assert user.closed and user.error is None and len(crowd.tcp.hub.waits) == 1
    assert len([segment for segment in crowd.take() if segment.flags == const.ACK]) == 2


def test_a_connection_and_its_first_text_may_wait_together(crowd: TcpScript) -> None:
    several(crowd, 2)
    crowd.send("S", seq=0, mss=1460, port=PORTS + 2, flush=False)
    crowd.send("A", seq=1, ack=1, port=PORTS + 2, flush=False)
    say(crowd, 2, b"hello")
    assert len(crowd.accepted) == 2
    crowd.flush()
    assert len(crowd.accepted) == 3 and crowd.user.received == b"hello"


def test_an_icmp_error_comes_behind_those_that_wait(crowd: TcpScript) -> None:
    users = several(crowd, 2)
    say(crowd, 0, b"a")
    crowd.icmp(3, 1, seq=1)
    assert users[0].received == b"a"
    crowd.flush()


def test_an_exception_out_of_a_callback_takes_nobodys_turn(crowd: TcpScript) -> None:
    users = several(crowd, 4)

    def fail(now: int) -> None:
        raise RuntimeError("of a user")

    users[1].reactions["data"] = fail
    users[2].reactions["data"] = fail
    for i in range(4):
        say(crowd, i, b"x")
    with pytest.raises(RuntimeError, match="of a user"):
        crowd.flush()
    assert [user.received for user in users] == [b"x"] * 4
    for i in range(4):
        users[i].reactions.clear()
        say(crowd, i, b"y", 2)
    crowd.flush()
    assert [user.received for user in users] == [b"xy"] * 4


@pytest.mark.parametrize("count", [3, 3 * GROUP])
def test_what_comes_in_by_a_callback_comes_behind_those_that_wait(crowd: TcpScript, count: int) -> None:
    """However much it is: a slab that is being read is nobody else's."""
    users = several(crowd, 3)
    seen: list[bytes] = []

    def more(now: int) -> None:
        users[0].reactions.clear()
        for i in range(count):
            say(crowd, 2, b"%05d" % i, 1 + 5 * i)
        seen.append(users[1].received)

    users[0].reactions["data"] = more
    say(crowd, 0, b"a")
    say(crowd, 1, b"b")
    crowd.flush()
    assert users[1].received == b"b" and seen == [b"" if count < GROUP - 2 else b"b"]
    assert users[2].received == b"".join(b"%05d" % i for i in range(count))


def test_a_batch_that_ends_within_a_callback(crowd: TcpScript) -> None:
    users = several(crowd, 3)
    users[0].reactions["data"] = lambda now: crowd.flush()
    other = next(c for c in crowd.tcp.connections() if c.remote_port == PORTS + 1)

    def answer(now: int) -> None:
        other.write(b"1", now)
        other.write(b"2", now)

    users[2].reactions["data"] = answer
    for i in range(3):
        say(crowd, i, b"x")
    crowd.flush()
    assert [user.received for user in users] == [b"x"] * 3
    assert [segment.payload for segment in crowd.take() if segment.payload] == [b"12"]  # in one, as in any batch


class Keeper(StreamUser):
    """Reads from the slab once more when it has let others in, and keeps a view of it."""

    def __init__(self, others: Callable[[], None]) -> None:
        self.others = others
        self.view = memoryview(b"")

    def connected(self, now: int) -> None: ...

    def data(self, f: Frame, n: int, now: int) -> None:
        text = bytes(f.buf[f.off : f.off + n])
        self.others()
        assert bytes(f.buf[f.off : f.off + n]) == text
        self.view = memoryview(f.buf)[f.off : f.off + n]


@pytest.mark.skipif(build_info().build == "compiled", reason="a user in plain Python gets no slabs there")
def test_a_slab_that_is_read_or_kept_is_nobody_elses(crowd: TcpScript) -> None:
    several(crowd, 3)
    first, _, third = sorted(crowd.tcp.connections(), key=lambda c: c.remote_port)
    keeper = Keeper(lambda: [say(crowd, 1, b"%03d" % i, 1 + 3 * i) for i in range(2 * GROUP)] and None)
    first.attach(keeper)
    say(crowd, 0, b"abc")
    say(crowd, 2, b"x")
    crowd.flush()
    for i in range(1, GROUP):
        say(crowd, 2, b"y", 1 + i)
    crowd.flush()
    assert bytes(keeper.view) == b"abc" and third.state == first.state


def told(script: Callable[..., TcpScript], seed: int, least: int) -> tuple[list[Any], list[Any]]:
    """What users hear and peers see of some connections, whose users do anything to any of them while batches come in."""
    rng, dice = random.Random(seed), random.Random(seed + 1)  # of the wire, and of the users
    peer = script()
    peer.tcp.ahead.begin_at(least)
    users = several(peer, 6)
    conns = sorted(peer.tcp.connections(), key=lambda c: c.remote_port)
    heard: list[Any] = []
    at = [1] * 6

    def anything(i: int, now: int) -> None:
        heard.append((i, users[i].received))
        c, user = conns[j := dice.randrange(6)], users[j]
        what = dice.randrange(16)
        if user.closed:
            return
        if what == 0:
            c.abort(now)
        elif what == 1:
            c.close(now)
        elif what < 4:
            c.pause(now)
        elif what < 8:
            c.resume(now)
        elif what < 12 and c.state == 4:
            c.write(b"answer", now)

    for i, user in enumerate(users):
        user.reactions["data"] = lambda now, i=i: anything(i, now)
        user.reactions["closed"] = lambda now, i=i: heard.append((i, "closed"))
        user.reactions["eof"] = lambda now, i=i: heard.append((i, "eof"))
    seen: list[Any] = []
    for _ in range(30):
        for _ in range(rng.choice((1, 3, 10, 70))):
            i = rng.randrange(6)
            data = rng.randbytes(rng.choice((1, 100, 1400)))
            what = rng.randrange(60)
            if what == 0:
                say(peer, i, b"", at[i], "AF")
            elif what == 1:
                say(peer, i, b"", at[i], "RA")
            elif what == 2:
                peer.icmp(3, 1, seq=1)
            else:
                if what > 8:
                    at[i] += len(data)  # now and then it comes again, or another in its place
                say(peer, i, data, at[i] - (len(data) if what > 8 else 0))
        peer.flush()
        seen.append([(s.dport, s.seq, s.ack, s.flags, s.payload) for s in peer.take()])
        peer.advance(rng.choice((0, 1_000_000, 50_000_000)))
    return heard, seen


def test_all_is_as_if_nobody_waited(script: Callable[..., TcpScript], seed: int) -> None:
    for i in range(12):
        assert told(script, seed + i, 0) == told(script, seed + i, LEAST), seed + i
