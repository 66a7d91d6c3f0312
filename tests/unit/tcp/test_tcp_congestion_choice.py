"""Which strategy: by configuration, for one connection, in the middle of one; by entry point, by dotted name; plain Python."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from netstack.errors import UsageError
from netstack.instant import MILLISECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.congestion import registry
from netstack.tcp.congestion.cubic import Cubic
from netstack.testing.control import Driver
from netstack.testing.script import TcpScript

HERE = __name__
MSS = 1460


class Third:
    """A third party's strategy: three segments, and a diary."""

    made: list["Third"] = []

    def __init__(self, mss: int) -> None:
        self.cwnd = 3 * mss
        self.ssthresh = 1 << 40
        self.diary: list[tuple[Any, ...]] = []
        Third.made.append(self)

    def on_start(self, mss: int, syn_was_lost: bool) -> None:
        self.diary.append(("start", mss, syn_was_lost))

    def on_mss(self, mss: int) -> None:
        self.diary.append(("mss", mss))

    def on_ack(self, acked: int, flight: int, srtt: int, now: int) -> None:
        self.diary.append(("ack", acked, flight))
        assert srtt > 0 and now > 0

    def on_loss(self, flight: int, now: int) -> None:
        self.diary.append(("loss", flight))
        self.cwnd = self.ssthresh = 2 * MSS

    def on_recovered(self, flight: int, now: int) -> None:
        self.diary.append(("recovered", flight))

    def on_timeout(self, flight: int, now: int) -> None:
        self.diary.append(("timeout", flight))
        self.cwnd = 0

    def on_restart(self, idle: int, rto: int, now: int) -> None:
        self.diary.append(("restart", idle))


class Half:
    def on_ack(self, acked: int, flight: int, srtt: int, now: int) -> None: ...


class Subclass(Cubic):
    """Stands for a compiled one: it derives from Congestion, and is used as it is."""


@pytest.fixture(autouse=True)
def entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(group: str) -> list[EntryPoint]:
        assert group == "netstack.congestion"
        return [EntryPoint("third", f"{HERE}:Third", group), EntryPoint("cubic", f"{HERE}:Third", group)]

    monkeypatch.setattr("importlib.metadata.entry_points", entries)
    monkeypatch.setattr(registry, "_found", {})
    monkeypatch.setattr(Third, "made", [])


def test_cubic_is_the_default_and_the_snapshot_says_so() -> None:
    peer = TcpScript()
    assert peer.establish().info().congestion == "cubic"
    assert type(peer.conn.cc) is Cubic and peer.conn.cc.name == "cubic"


def test_the_configuration_chooses_for_every_connection() -> None:
    """RFC 5681 3, RFC 9438."""
    peer = TcpScript(config=TcpConfig(congestion="reno"))
    assert peer.establish().info().congestion == "reno"
    peer = TcpScript(config=TcpConfig(congestion="reno"))
    assert peer.establish_active().info().congestion == "reno"


def test_a_connection_chooses_for_itself() -> None:
    """RFC 5681 3, RFC 9438."""
    peer = TcpScript()
    conn = peer.tcp.connect(0, 40000, peer.peer, 80, peer.user.user, peer.now, congestion="reno")
    assert conn.info().congestion == "reno" and conn.info().cwnd == -1
    assert peer.tcp.connect(0, 40001, peer.peer, 80, peer.user.user, peer.now).info().congestion == "cubic"


def test_a_change_in_the_middle_goes_on_from_the_windows_of_the_one_before() -> None:
    peer = TcpScript()
    conn = peer.establish(wscale=7, window=1 << 20)
    conn.write(bytes(20 * MSS), peer.now)
    peer.advance(MILLISECOND)
    peer.send("A", seq=1, ack=1 + 10 * MSS)
    before = conn.info()
    assert before.cwnd == 20 * MSS
    for name in ("reno", "third", "cubic"):
        conn.set_congestion(name)
        after = conn.info()
        assert (after.congestion, after.cwnd, after.ssthresh) == (name, before.cwnd, before.ssthresh)
    assert Third.made[0].cwnd == 20 * MSS


@pytest.mark.parametrize("name", ["Cubic", "bbr", ""])
def test_an_unknown_name_is_refused_with_those_that_there_are(name: str) -> None:
    """RFC 5681 leaves the choice to the user."""
    sentence = f"no congestion control called '{name}': there are cubic, reno, third, or write my.package:Class"
    with pytest.raises(UsageError, match=sentence):
        TcpScript(config=TcpConfig(congestion=name))
    peer = TcpScript()
    with pytest.raises(UsageError, match=sentence):
        peer.tcp.connect(0, 0, peer.peer, 80, peer.user.user, peer.now, congestion=name)
    assert not peer.sent and not list(peer.tcp.connections()), "refused before anything is sent"
    conn = peer.establish()
    with pytest.raises(UsageError, match=sentence):
        conn.set_congestion(name)
    assert conn.info().congestion == "cubic"


@pytest.mark.parametrize("name", ["there.is.no.such:Thing", f"{HERE}:Nothing", ":", "x:"])
def test_what_can_not_be_loaded_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="can't be loaded from"):
        registry.find(name)


def test_what_is_no_strategy_is_told_what_it_lacks() -> None:
    lacks = "lacks on_start, on_mss, on_loss, on_recovered, on_timeout, on_restart"
    with pytest.raises(UsageError, match=lacks):
        registry.find(f"{HERE}:Half")


def test_nobody_takes_the_place_of_ours() -> None:
    assert registry.find("cubic") is Cubic
    assert registry.names() == ["cubic", "reno", "third"]


def test_one_that_derives_from_congestion_is_used_as_it_is() -> None:
    cc = registry.make(f"{HERE}:Subclass", MSS)
    assert type(cc) is Subclass and cc.name == f"{HERE}:Subclass"


@pytest.mark.parametrize("name", ["third", f"{HERE}:Third"])
def test_a_plain_python_class_is_told_everything(name: str) -> None:
    peer = TcpScript(config=TcpConfig(congestion=name))
    conn = peer.establish(wscale=7, window=1 << 20)
    assert conn.info().congestion == name
    (third,) = Third.made
    peer.advance(MILLISECOND)
    conn.write(bytes(8 * MSS), peer.now)
    assert len(peer.take()) == 3, "its window"
    peer.advance(5 * MILLISECOND)
    peer.send("A", seq=1, ack=1 + MSS)
    assert len(peer.take()) == 1
    for _ in range(3):
        peer.send("A", seq=1, ack=1 + MSS)
    assert (conn.info().cwnd, conn.info().ssthresh) == (2 * MSS, 2 * MSS)
    peer.send("A", seq=1, ack=1 + 6 * MSS)
    peer.icmp(3, 4, seq=1 + 6 * MSS, mtu=1000)
    peer.take()
    peer.run_to_timer()
    assert conn.info().cwnd == 960, "less than a segment would stop the connection for ever"
    assert [entry[0] for entry in third.diary] == ["start", "restart", "ack", "loss", "recovered", "restart", "mss", "timeout"]
    assert third.diary[:4] == [("start", MSS, False), ("restart", MILLISECOND), ("ack", MSS, 3 * MSS), ("loss", 5 * MSS)]


def test_a_strategys_numbers_are_held_to_what_the_stack_can_take() -> None:
    cc = registry.make("third", MSS)
    d = Driver(cc)
    d.adopt(1 << 80 >> 20, 1 << 60)
    assert cc.cwnd == 1 << 30 and cc.ssthresh == 1 << 40
    Third.made[-1].cwnd = 1 << 90
    d.new_mss(500)
    assert cc.cwnd == 1 << 30
    Third.made[-1].cwnd = Third.made[-1].ssthresh = -5
    d.new_mss(500)
    assert cc.cwnd == cc.ssthresh == 500
