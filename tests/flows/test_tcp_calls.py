"""The user's calls and callbacks: re-entrance, keep-alive, information, exactly one `closed`."""

from collections.abc import Callable

import pytest

from netstack.errors import Aborted, BrokenError, ClosedError, TimedOut, UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
ACTIONS = ("write", "shutdown", "close", "abort", "pause", "shutdown and close", "write and close", "close and abort", "resume")


def act(peer: TcpScript, action: str, now: int) -> None:
    conn = peer.conn
    for verb in action.split(" and "):
        try:
            if verb == "write":
                conn.write(b"re-entrant", now)
            else:
                getattr(conn, verb)(now)
        except (ClosedError, BrokenError):
            pass


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("event", ["connected", "data", "eof", "writable", "closed"])
def test_any_call_from_any_callback(script: Make, event: str, action: str) -> None:
    peer = script(config=TcpConfig(snd_high=100, snd_low=50))
    peer.user.reactions[event] = lambda now: act(peer, action, now)
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.send("A", seq=1, ack=1)
    try:
        peer.conn.write(bytes(200), peer.now)
    except ClosedError:
        assert event == "connected"
    peer.send("A", seq=1, ack=201 if peer.conn.unsent else 1)
    for flags, seq, data in (("PA", 8, b"second"), ("PA", 1, b"first, "), ("FA", 14, b"")):
        in_flight = (peer.conn.snd_max - peer.local_iss) % 2**32
        peer.send(flags, seq=seq, ack=in_flight, data=data, flush=False)
    peer.flush()
    peer.conn.resume(peer.now)
    peer.conn.close(peer.now)
    peer.advance(600 * SECOND)
    assert peer.user.events.count("closed") == 1
    assert peer.timers.count == 0 and not peer.tcp.hub.tables and peer.tcp.hub.count == 0
    assert peer.tcp.mib.CurrEstab == 0


def test_abort_from_inside_accept(peer: TcpScript) -> None:
    peer.local_port = 80
    peer.tcp.listen(0, 80, lambda conn: conn.abort(peer.now))
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    peer.expect("RA")
    assert not peer.tcp.hub.tables and peer.timers.count == 0


def test_a_fault_inside_accept_flies_and_leaves_no_connection_without_a_user(peer: TcpScript) -> None:
    def accept(conn: object) -> None:
        raise RuntimeError("the program's")

    peer.local_port = 80
    peer.tcp.listen(0, 80, accept)  # type: ignore[arg-type]  # never returns
    peer.send("S", seq=0)
    peer.expect("SA")
    with pytest.raises(RuntimeError):
        peer.send("PA", seq=1, ack=1, data=b"abc")
    peer.expect("RA")
    assert not peer.tcp.hub.tables and peer.timers.count == 0
    peer.flush()
    peer.send("PA", seq=4, ack=1, data=b"def")
    peer.expect("R")


@pytest.mark.parametrize("call", ["shutdown", "close"])
def test_shutdown_and_close_from_inside_accept(peer: TcpScript, call: str) -> None:
    listener = peer.listen()
    accept = listener.accept

    def and_go(conn: object) -> object:
        getattr(conn, call)(peer.now)
        return accept(conn)  # type: ignore[arg-type]

    listener.accept = and_go  # type: ignore[assignment]
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    peer.expect("FA", seq=1)
    assert peer.user.events == (["connected"] if call == "shutdown" else []), "who has closed hears only the end"
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", ack=2)
    assert peer.user.closed and peer.user.error is None


def test_a_listener_that_closes_itself_from_inside_accept(peer: TcpScript) -> None:
    listener = peer.listen()
    accept = listener.accept

    def once(conn: object) -> object:
        listener.close(peer.now)
        return accept(conn)  # type: ignore[arg-type]

    listener.accept = once  # type: ignore[assignment]
    peer.send("S", seq=0)
    peer.send("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]
    peer.send("PA", seq=1, ack=1, data=b"abc")
    assert peer.user.received == b"abc"


def test_a_callback_may_open_and_write_other_connections(peer: TcpScript) -> None:
    peer.establish()
    first, events = peer.conn, peer.user
    peer.send("S", seq=0, port=40001)
    peer.send("A", seq=1, ack=1, port=40001)
    second = peer.conn
    assert first is not second
    peer.take()
    events.reactions["data"] = lambda now: second.write(b"relayed", now)
    peer.send("PA", seq=1, ack=1, data=b"x", flush=False)
    peer.expect_nothing()
    peer.flush()
    assert peer.expect("A", data=b"relayed").dport == 40001


def test_a_fault_in_a_callback_flies_and_leaves_the_stack_in_order(peer: TcpScript) -> None:
    peer.establish()

    def fail(now: int) -> None:
        raise RuntimeError("the program's")

    peer.user.reactions["data"] = fail
    with pytest.raises(RuntimeError):
        peer.send("PA", seq=1, ack=1, data=b"abc")
    peer.user.reactions.clear()
    peer.flush()
    peer.send("PA", seq=4, ack=1, data=b"def")
    assert peer.user.received == b"abcdef"
    peer.advance(SECOND)
    peer.expect("A", ack=7)


# -- keep-alive: RFC 9293 3.8.4 -----------------------------------------------------------------------------------------------


def test_an_idle_connection_sends_nothing_by_default(peer: TcpScript) -> None:
    """MUST-25: off by default."""
    peer.establish()
    peer.advance(24 * 3600 * SECOND)
    peer.expect_nothing()
    assert peer.timers.count == 0


def test_keep_alive_probes_an_idle_peer_and_gives_up_when_it_is_silent(peer: TcpScript) -> None:
    """RFC 9293 3.8.4 (MUST-24, MUST-26); smoltcp: sends keep alive, established keep alive timeout; gVisor: Keepalive."""
    conn = peer.establish()
    conn.set_keepalive(100 * SECOND, 10 * SECOND, 3, peer.now)
    assert peer.run_to_timer() == pytest.approx(100 * SECOND, abs=2 * MILLISECOND)
    peer.expect("A", seq=0, ack=1, length=0)
    for _ in range(2):
        assert peer.run_to_timer() == pytest.approx(10 * SECOND, abs=2 * MILLISECOND)
        peer.expect("A", seq=0, ack=1, length=0)
    peer.run_to_timer()
    peer.expect("RA")
    assert isinstance(peer.user.error, TimedOut)


def test_keep_alive_is_content_with_an_answer(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.set_keepalive(100 * SECOND, 10 * SECOND, 3, peer.now)
    for _ in range(10):
        peer.run_to_timer()
        peer.expect("A", seq=0)
        peer.send("A", seq=1, ack=1)
    assert not peer.user.closed and peer.tcp.ext.TCPKeepAlive == 10


def test_keep_alive_counts_from_the_last_segment(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.set_keepalive(100 * SECOND, 10 * SECOND, 3, peer.now)
    peer.advance(60 * SECOND)
    peer.send("PA", seq=1, ack=1, data=b"x")
    peer.advance(SECOND)
    peer.expect("A", ack=2)
    peer.advance(98 * SECOND)
    peer.expect_nothing()
    peer.advance(2 * SECOND)
    peer.expect("A", seq=0, ack=2)


def test_keep_alive_leaves_data_in_flight_to_the_retransmission_timer(peer: TcpScript) -> None:
    """RFC 9293 3.8.4; gVisor: KeepaliveWithUserTimeout."""
    conn = peer.establish()
    conn.set_keepalive(2 * SECOND, SECOND, 2, peer.now)
    conn.write(b"abc", peer.now)
    for _ in range(6):
        peer.run_to_timer()
    assert peer.tcp.ext.TCPKeepAlive == 0


def test_keep_alive_can_be_configured_and_switched_off(script: Make) -> None:
    peer = script(config=TcpConfig(keepalive=50 * SECOND))
    conn = peer.establish()
    assert peer.timers.count == 1
    conn.set_keepalive(0, 1, 1, peer.now)
    assert peer.timers.count == 0


# -- what can be asked --------------------------------------------------------------------------------------------------------


def test_info_says_where_the_connection_is(peer: TcpScript) -> None:
    """RFC 9293 3.10.6."""
    conn = peer.establish(window=4000)
    conn.write(bytes(5000), peer.now)
    info = conn.info()
    assert (info.state, info.mss, info.in_flight, info.unsent, info.snd_wnd) == ("ESTABLISHED", 1460, 2920, 5000, 4000)
    assert info.cwnd == 14600 and info.rcv_wnd == 65535
    assert conn.lingers()


def test_a_refused_value_of_the_configuration_says_what_would_be_right() -> None:
    for wrong in ({"rcv_buf": 100}, {"snd_low": 10, "snd_high": 5}, {"rto_min": 5}, {"max_half_open": 0}, {"time_wait": 60}):
        with pytest.raises(UsageError):
            TcpConfig(**wrong)


def test_closing_twice_and_shutting_down_twice_is_once(peer: TcpScript) -> None:
    """RFC 9293 3.10.4: "connection closing"."""
    conn = peer.establish()
    conn.shutdown(peer.now)
    conn.shutdown(peer.now)
    conn.close(peer.now)
    conn.close(peer.now)
    peer.expect("FA")
    peer.expect_nothing()
    with pytest.raises(ClosedError):
        conn.write(b"x", peer.now)


def test_writing_after_abort_is_our_own_closing(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.abort(peer.now)
    assert isinstance(peer.user.error, Aborted)
    with pytest.raises(ClosedError):
        conn.write(b"x", peer.now)
