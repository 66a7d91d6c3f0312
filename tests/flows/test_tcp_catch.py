"""SYNs that are held: nothing is answered before somebody has decided, and then what he said."""

import random

import pytest

from netstack.errors import Aborted, Refused, UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import wire
from netstack.tcp.config import TcpConfig
from netstack.testing.script import Recorder, TcpScript


class Catching(TcpScript):
    """A stack whose catcher writes down what it is given."""

    def __init__(self, **config: object) -> None:
        super().__init__(config=TcpConfig(**config))
        self.requests: list = []
        self.ended: list = []

    def catch(self) -> None:
        self.tcp.catch(self.caught)

    def caught(self, request) -> None:
        self.requests.append(request)
        request.on_end = lambda: self.ended.append(request)

    def make_user(self, conn):
        self._conn = conn
        self.user = Recorder()
        return self.user.user

    def ext(self) -> dict[str, int]:
        return {name: value for name, value in self.tcp.ext.snapshot().items() if value}

    def syn_from(self, src: int, port: int, seq: int = 0) -> None:
        self.send_raw(self.segment("S", seq=seq, port=port).encode(src, self.local), src=src)
        self.flush()


def caught(**config: object) -> Catching:
    peer = Catching(**config)
    peer.catch()
    peer.send("S", seq=0, mss=1400, wscale=7)
    peer.expect_nothing()
    return peer


def test_a_syn_is_held_until_it_is_accepted_and_then_its_options_count():
    peer = caught()
    (request,) = peer.requests
    assert (request.src, request.src_port, request.dst, request.dst_port) == (peer.peer, 40000, peer.local, 80)
    assert request.live and request.mss == 1400
    peer.advance(700 * MILLISECOND)
    peer.force_iss()
    assert request.accept(peer.make_user, peer.now) is peer.conn
    answer = peer.expect("SA", seq=0, ack=1)
    assert wire.mss_option(1460) in answer.options
    assert not request.live and peer.user.events == []
    peer.scale = 7
    peer.send("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]
    assert peer.conn.mss == 1400 and peer.conn.snd_wscale == 7
    peer.send("A", seq=1, ack=1, data=b"hello")
    assert peer.user.received == b"hello"
    assert peer.tcp.mib.PassiveOpens == 1 and peer.ext()["SynHeld"] == 1
    assert len(peer.tcp.held) == 0 and peer.ended == []


def test_it_may_be_accepted_from_inside_the_call():
    peer = Catching()
    peer.tcp.catch(lambda request: request.accept(peer.make_user, peer.now))
    peer.send("S", seq=0)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]


def test_a_repeated_syn_finds_its_request_and_one_with_another_number_replaces_it():
    peer = caught()
    for _ in range(3):
        peer.advance(SECOND)
        peer.send("S", seq=0, mss=1400, wscale=7)
    assert len(peer.requests) == 1 and peer.ext()["SynHeldAgain"] == 3
    peer.send("S", seq=100_000)
    first, second = peer.requests
    assert peer.ended == [first] and not first.live and second.live
    assert first.accept(peer.make_user, peer.now) is None
    first.refuse(peer.now)
    peer.expect_nothing()
    peer.force_iss()
    second.accept(peer.make_user, peer.now)
    peer.expect("SA", seq=0, ack=100_001)


def test_a_refusal_is_a_reset_that_the_peer_believes():
    peer = caught()
    peer.requests[0].refuse(peer.now)
    reset = peer.expect("RA", ack=1)
    assert reset.seq == 0
    peer.requests[0].refuse(peer.now)
    peer.expect_nothing()
    assert peer.ended == [] and peer.tcp.mib.OutRsts == 1


def test_unreachable_is_said_by_icmp():
    peer = caught()
    peer.requests[0].unreachable(1, peer.now)
    assert peer.ip.unreachables == [1]
    peer.expect_nothing()


def test_what_is_dropped_stays_silent_for_its_repetitions_too():
    peer = caught()
    peer.requests[0].drop()
    peer.send("S", seq=0)
    peer.expect_nothing()
    assert len(peer.requests) == 1
    peer.advance(131 * SECOND)
    assert len(peer.tcp.held) == 0 and peer.ended == [] and "SynHeldTimeouts" not in peer.ext()


def test_what_nobody_decides_is_forgotten_in_time_and_its_catcher_told():
    peer = caught()
    peer.advance(131 * SECOND)
    peer.expect_nothing()
    assert peer.ended == peer.requests and peer.ext()["SynHeldTimeouts"] == 1 and peer.timers.count == 0


def test_a_reset_takes_the_syn_back_and_only_one_that_fits_does():
    peer = caught()
    peer.send("R", seq=77)
    assert peer.ended == [] and peer.ext()["InStray"] == 1
    peer.send("R", seq=1)
    assert peer.ended == peer.requests and peer.ext()["SynHeldResets"] == 1


def test_a_handshake_that_fails_after_the_accept_is_told_to_the_user():
    peer = caught()
    peer.force_iss()
    peer.requests[0].accept(peer.make_user, peer.now)
    peer.expect("SA", seq=0)
    peer.send("R", seq=1)
    assert peer.user.events == ["closed"] and isinstance(peer.user.error, Refused)

    peer = caught()
    peer.requests[0].accept(peer.make_user, peer.now)
    peer.advance(200 * SECOND)
    assert [wire.flag_text(segment.flags) for segment in peer.take()] == ["SA"] * 6
    assert peer.user.events == ["closed"]


def test_a_user_may_write_and_close_before_the_handshake_is_done():
    peer = caught()
    peer.force_iss()
    conn = peer.requests[0].accept(peer.make_user, peer.now)
    peer.expect("SA", seq=0)
    conn.write(b"220 hello", peer.now)
    conn.shutdown(peer.now)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1)
    peer.expect("FA", seq=1, ack=1, data=b"220 hello")

    peer = caught()
    conn = peer.requests[0].accept(peer.make_user, peer.now)
    peer.expect("SA")
    conn.abort(peer.now)
    peer.expect("RA")
    assert isinstance(peer.user.error, Aborted)


def test_a_listener_that_has_a_catcher_holds_its_syns_and_others_go_on_as_ever():
    peer = Catching()
    peer.tcp.listen(0, 80, lambda conn: None, catcher=peer.caught)
    peer.send("S", seq=0)
    peer.expect_nothing()
    assert len(peer.requests) == 1
    peer.send("S", seq=0, port=40001)
    assert len(peer.requests) == 2
    peer.local_port = 81
    peer.send("S", seq=0)
    peer.expect("RA", ack=1)


def test_listeners_of_the_host_come_before_the_catcher():
    peer = Catching()
    peer.catch()
    peer.listen(80)
    peer.send("S", seq=0)
    peer.expect("SA", seq=0)
    assert peer.requests == []
    peer.send_raw(peer.segment("S", port=40002).encode(peer.peer, peer.local + 100), dst=peer.local + 100)
    peer.flush()
    peer.expect_nothing()
    (request,) = peer.requests
    assert request.dst == peer.local + 100  # "all addresses" are the host's own, where somebody catches


def test_the_successor_of_a_time_wait_goes_on_where_that_was():
    peer = Catching()
    peer.catch()
    peer.send("S", seq=0)
    peer.force_iss()
    conn = peer.requests[0].accept(peer.make_user, peer.now)
    peer.expect("SA", seq=0)
    peer.send("A", seq=1, ack=1)
    conn.close(peer.now)
    peer.expect("FA", seq=1)
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", seq=2, ack=2)
    peer.send("S", seq=200_000)
    assert len(peer.requests) == 2
    peer.requests[1].accept(peer.make_user, peer.now)
    peer.expect("SA", seq=2 + 65538, ack=200_001)
    assert peer.ext()["TWRecycled"] == 1


def test_a_flood_takes_from_its_own_share():
    peer = Catching(max_held=64)
    peer.catch()
    flooder, honest = peer.peer, peer.peer + 1
    for i in range(200):
        peer.syn_from(flooder, 1000 + i)
    assert len(peer.tcp.held) == 64 and peer.ext()["SynHeldOverflows"] == 136
    for i in range(20):
        peer.syn_from(honest, 2000 + i)
    mine = [request for request in peer.requests if request.src == honest]
    assert len(mine) == 20 and all(request.live for request in mine)
    assert peer.ext()["SynHeldEvicted"] == 20 and len(peer.ended) == 20
    assert len(peer.tcp.held) == 64
    peer.expect_nothing()


def test_random_requests_leave_nothing_behind(seed):
    rng = random.Random(seed)
    peer = Catching(max_held=16)
    peer.catch()
    for _ in range(400):
        act = rng.randrange(6)
        live = [request for request in peer.requests if request.live]
        if act < 3 or not live:
            peer.syn_from(peer.peer + rng.randrange(5), 1000 + rng.randrange(12), rng.randrange(4))
        elif act == 3:
            rng.choice(live).refuse(peer.now)
        elif act == 4:
            conn = rng.choice(live).accept(lambda conn: Recorder().user, peer.now)
            if conn is not None:
                conn.abort(peer.now)
        else:
            peer.advance(rng.randrange(20 * SECOND))
        assert len(peer.tcp.held) <= 16
        assert sum(map(len, peer.tcp.held.sources.values())) == len(peer.tcp.held)
    peer.advance(300 * SECOND)
    assert len(peer.tcp.held) == 0 and not peer.tcp.held.sources and peer.timers.count == 0
    assert peer.tcp.hub.count == 0


def test_only_one_may_catch_and_letting_go_forgets_what_is_held():
    peer = caught()
    with pytest.raises(UsageError, match="already"):
        peer.tcp.catch(peer.caught)
    peer.tcp.catch(None)
    assert peer.ended == peer.requests
    peer.send("S", seq=0, port=40007)
    peer.expect("RA", ack=1)


def test_what_cannot_be_a_syn_is_not_held():
    peer = Catching()
    peer.catch()
    peer.send("SF", seq=0)
    assert peer.ext()["InBadSyn"] == 1
    peer.send("A", seq=1, ack=1)
    peer.expect("R", seq=1)
    peer.send("SA", seq=1, ack=1)
    peer.expect("R", seq=1)
    assert peer.requests == [] and len(peer.tcp.held) == 0


def test_a_fault_of_the_catcher_flies_and_leaves_no_request():
    peer = Catching()

    def broken(request):
        raise ZeroDivisionError

    peer.tcp.catch(broken)
    with pytest.raises(ZeroDivisionError):
        peer.send("S", seq=0)
    assert len(peer.tcp.held) == 0 and peer.timers.count == 0
