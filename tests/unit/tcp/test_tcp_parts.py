"""The small parts: round-trip times, Reno, the table of states, the twin of constants, counters."""

import re
from pathlib import Path

import pytest

import netstack.tcp
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import const, state
from netstack.tcp.mib import TcpExt, TcpMib
from netstack.tcp.rtt import Rtt
from netstack.tcp.state import State
from netstack.testing.script import TcpScript


def test_the_first_time_out_is_a_second() -> None:
    """RFC 6298 2.1."""
    assert Rtt(200 * MILLISECOND).rto() == SECOND


def test_the_estimator_step_by_step() -> None:
    """RFC 6298 2.2, 2.3; smoltcp: rtt estimator."""
    rtt = Rtt(1)
    rtt.sample(100 * MILLISECOND)
    assert (rtt.srtt, rtt.rttvar, rtt.rto()) == (100 * MILLISECOND, 50 * MILLISECOND, 300 * MILLISECOND)
    rtt.sample(180 * MILLISECOND)
    assert rtt.rttvar == (3 * 50 + 80) * MILLISECOND // 4
    assert rtt.srtt == (7 * 100 + 180) * MILLISECOND // 8
    rtt.sample(20 * MILLISECOND)
    assert rtt.srtt < 110 * MILLISECOND and rtt.rttvar > 57 * MILLISECOND


def test_a_steady_path_keeps_the_floor_above_its_round_trip() -> None:
    """190 ms and no variance: a plain maximum with 200 ms would leave 10 for the peer's delayed ACK."""
    rtt = Rtt(200 * MILLISECOND)
    for _ in range(200):
        rtt.sample(190 * MILLISECOND)
    assert rtt.rto() >= 389 * MILLISECOND


def test_back_off_doubles_up_to_two_minutes_and_ends_with_a_sample() -> None:
    rtt = Rtt(200 * MILLISECOND)
    rtt.sample(SECOND)
    before = rtt.rto()
    rtt.back_off()
    assert rtt.rto() == 2 * before
    for _ in range(200):
        rtt.back_off()
    assert rtt.rto() == 120 * SECOND
    rtt.sample(SECOND)
    assert rtt.rto() < 2 * before


def test_a_round_trip_of_nothing_is_one_nanosecond() -> None:
    rtt = Rtt(200 * MILLISECOND)
    rtt.sample(0)
    rtt.sample(0)
    assert rtt.srtt == 1 and rtt.rto() >= 200 * MILLISECOND




def test_every_state_is_reached_and_left() -> None:
    """RFC 9293 3.3.2 figure 5."""
    sources = {a for a, _, _ in state.TRANSITIONS}
    targets = {b for _, b, _ in state.TRANSITIONS}
    assert sources == set(State) - {State.LISTEN}
    assert targets == set(State) - {State.LISTEN}
    assert all(state.ALLOWED[a] >> b & 1 for a, b, _ in state.TRANSITIONS)
    assert not state.ALLOWED[State.ESTABLISHED] >> State.SYN_SENT & 1
    assert not state.ALLOWED[State.CLOSED] >> State.ESTABLISHED & 1


def test_the_table_can_be_printed() -> None:
    lines = state.table().splitlines()
    assert len(lines) == len(state.TRANSITIONS) + len(state.FAILURES)
    assert "FIN-WAIT-1    -> FIN-WAIT-2    receive ACK of FIN" in lines
    assert state.name(const.TIME_WAIT) == "TIME-WAIT"


def test_the_twin_of_constants_has_the_same_names_and_numbers() -> None:
    text = Path(netstack.tcp.__file__).with_name("const.pxd").read_text()
    found = {name: int(value, 0) for name, value in re.findall(r"^    (\w+) = (\w+)$", text, re.M)}
    macros = {name: int(value) for name, value in re.findall(r"#define NETSTACK_TCP_(\w+) (\d+)LL", text)}
    named = dict(re.findall(r'const long long (\w+) "NETSTACK_TCP_(\w+)"', text))
    assert named == {name: name for name in macros}
    ours = {name: value for name, value in vars(const).items() if name.isupper()}
    assert found | macros == ours


@pytest.mark.parametrize("group", [TcpMib, TcpExt])
def test_every_counter_has_a_meaning_and_a_number(group: type[TcpMib] | type[TcpExt]) -> None:
    snapshot = group().snapshot()
    assert set(snapshot) == set(group.MEANING) and not any(snapshot.values())


def test_tcp_is_an_actor_with_nothing_to_do() -> None:
    peer = TcpScript()
    peer.tcp.flush(peer.now)
    assert list(peer.tcp.connections()) == [] and peer.tcp.core is peer.tcp and peer.tcp.ip is peer.ip
