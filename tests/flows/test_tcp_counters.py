"""What operators read: each event moves its counter by one, and no other (RFC 4022, RFC 9293 3.8.3; names as in Linux)."""

from collections.abc import Callable

import pytest

from netstack import const
from netstack.errors import Refused, Unreachable
from netstack.instant import SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]


class Watch:
    """`moved()` gives the counters that have changed since the last time, and by how much."""

    def __init__(self, peer: TcpScript) -> None:
        self.peer = peer
        self.before = self.read()

    def read(self) -> dict[str, int]:
        return {name: getattr(group, name) for group in (self.peer.tcp.mib, self.peer.tcp.ext) for name in group.MEANING}

    def moved(self) -> dict[str, int]:
        now = self.read()
        changed = {name: now[name] - was for name, was in self.before.items() if now[name] != was}
        self.before = now
        return changed


def test_rfc4022_an_active_open_that_succeeds(peer: TcpScript) -> None:
    watch = Watch(peer)
    peer.connect()
    assert watch.moved() == {"ActiveOpens": 1, "OutSegs": 1}
    peer.send("SA", seq=0, ack=1, mss=1460)
    assert watch.moved() == {"InSegs": 1, "OutSegs": 1, "CurrEstab": 1}


def test_rfc4022_an_active_open_that_is_refused(peer: TcpScript) -> None:
    peer.connect()
    watch = Watch(peer)
    peer.send("RA", seq=0, ack=1)
    assert watch.moved() == {"InSegs": 1, "AttemptFails": 1}
    assert isinstance(peer.user.error, Refused)


def test_rfc4022_an_active_open_that_nobody_answers(script: Make) -> None:
    peer = script(config=TcpConfig(syn_retries=2))
    peer.connect()
    watch = Watch(peer)
    peer.advance(60 * SECOND)
    assert watch.moved() == {"OutSegs": 2, "RetransSegs": 2, "TCPSynRetrans": 2, "TCPTimeouts": 3, "AttemptFails": 1}


def test_rfc4022_an_open_that_never_left_is_no_attempt(peer: TcpScript) -> None:
    peer.ip.routed = False
    watch = Watch(peer)
    with pytest.raises(Unreachable):
        peer.connect()
    assert watch.moved() == {}


def test_rfc4022_a_passive_open_that_succeeds(peer: TcpScript) -> None:
    peer.listen()
    watch = Watch(peer)
    peer.send("S", seq=0, mss=1460)
    assert watch.moved() == {"InSegs": 1, "OutSegs": 1, "PassiveOpens": 1}
    peer.send("A", seq=1, ack=1)
    assert watch.moved() == {"InSegs": 1, "CurrEstab": 1}


def test_rfc4022_a_passive_open_that_is_reset(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    watch = Watch(peer)
    peer.send("R", seq=1)
    assert watch.moved() == {"InSegs": 1, "AttemptFails": 1, "EmbryonicRsts": 1}


def test_rfc4022_a_passive_open_that_is_never_completed(script: Make) -> None:
    peer = script(config=TcpConfig(synack_retries=1))
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    watch = Watch(peer)
    peer.advance(60 * SECOND)
    assert watch.moved() == {
        "OutSegs": 1, "RetransSegs": 1, "TCPSynRetrans": 1, "TCPTimeouts": 2, "AttemptFails": 1, "HalfOpenTimeouts": 1,
    }  # fmt: skip


def test_rfc4022_an_established_connection_is_counted_until_our_fin_or_the_ack_of_it(peer: TcpScript) -> None:
    """tcpCurrEstab: "either ESTABLISHED or CLOSE-WAIT"; an orderly end is no reset."""
    conn = peer.establish()
    assert peer.tcp.mib.CurrEstab == 1
    peer.send("FA", seq=1, ack=1)
    assert peer.tcp.mib.CurrEstab == 1
    conn.shutdown(peer.now)
    assert peer.tcp.mib.CurrEstab == 0
    peer.send("A", seq=2, ack=2)
    assert (peer.tcp.mib.CurrEstab, peer.tcp.mib.EstabResets, peer.tcp.mib.AttemptFails) == (0, 0, 0)


@pytest.mark.parametrize("from_us", [False, True], ids=["theirs", "ours"])
def test_rfc4022_a_reset_of_an_established_connection(peer: TcpScript, from_us: bool) -> None:
    conn = peer.establish()
    watch = Watch(peer)
    if from_us:
        conn.abort(peer.now)
        assert watch.moved() == {"OutSegs": 1, "OutRsts": 1, "EstabResets": 1, "CurrEstab": -1}
    else:
        peer.send("R", seq=1)
        assert watch.moved() == {"InSegs": 1, "EstabResets": 1, "CurrEstab": -1}


def test_rfc4022_a_reset_to_nobody(peer: TcpScript) -> None:
    peer.local_port = 81
    watch = Watch(peer)
    peer.send("S", seq=0, mss=1460)
    assert watch.moved() == {"InSegs": 1, "OutSegs": 1, "OutRsts": 1}
    assert peer.ip.unreachables == [], "TCP answers for itself: no ICMP beside the RST"


def test_rfc4022_segments_sent_and_sent_again(peer: TcpScript) -> None:
    conn = peer.establish()
    watch = Watch(peer)
    conn.write(bytes(3000), peer.now)
    assert watch.moved() == {"OutSegs": 3}
    peer.take()
    peer.run_to_timer()
    assert watch.moved() == {
        "OutSegs": 1, "RetransSegs": 1, "TCPTimeouts": 1, "TCPRenoFailures": 1, "TCPSlowStartRetrans": 1,
    }  # fmt: skip


def test_rfc4022_a_super_segment_counts_as_its_segments(script: Make) -> None:
    peer = script(offload=const.OFFLOAD_TSO4)
    conn = peer.establish()
    watch = Watch(peer)
    conn.write(bytes(10 * 1460), peer.now)
    assert watch.moved() == {"OutSegs": 10}


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (lambda data: data[:16] + bytes([data[16] ^ 1]) + data[17:], {"InErrs": 1, "InCsumErrors": 1}),
        (lambda data: data[:12] + b"\x10" + data[13:], {"InErrs": 1, "InBadOffset": 1}),
        (lambda data: data[:19], {"InErrs": 1, "InTooShort": 1}),
    ],
    ids=["checksum", "offset", "short"],
)
def test_rfc4022_segments_in_error(peer: TcpScript, spoil: Callable[[bytes], bytes], names: dict[str, int]) -> None:
    """RFC 9293 3.1 (MUST-3): counted as received, and as an error."""
    peer.establish()
    watch = Watch(peer)
    peer.send_raw(spoil(peer.segment("PA", seq=1, ack=1, data=b"abc").encode(peer.peer, peer.local)))
    peer.flush()
    assert watch.moved() == {"InSegs": 1, **names}
    assert peer.user.received == b""


def test_rfc4022_good_segments_are_no_errors(peer: TcpScript) -> None:
    peer.establish()
    watch = Watch(peer)
    for i in range(5):
        peer.send("PA", seq=1 + i, ack=1, data=b"x")
    assert watch.moved() == {"InSegs": 5}


def test_rfc4022_a_syn_that_a_full_backlog_drops(peer: TcpScript) -> None:
    listener = peer.listen(backlog=1)
    listener.waiting = 1
    watch = Watch(peer)
    peer.send("S", seq=0, mss=1460)
    assert watch.moved() == {"InSegs": 1, "ListenOverflows": 1, "ListenDrops": 1}
    peer.expect_nothing()


def test_rfc4022_a_connection_that_is_given_up(script: Make) -> None:
    peer = script(config=TcpConfig(retries=2))
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    watch = Watch(peer)
    peer.advance(60 * SECOND)
    assert watch.moved() == {
        "OutSegs": 3, "OutRsts": 1, "RetransSegs": 2, "TCPTimeouts": 3, "TCPAbortOnTimeout": 1, "EstabResets": 1, "CurrEstab": -1,
        "TCPRenoFailures": 1, "TCPLossFailures": 1, "TCPSlowStartRetrans": 2, "TCPLostRetransmit": 1,
    }  # fmt: skip
