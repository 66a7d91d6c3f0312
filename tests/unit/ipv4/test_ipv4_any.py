"""A host that is every address (`any_ip`): what it takes, in whose name it answers, and what it still refuses."""

import random
import struct

import pytest

from netstack.adapters import PyDatagramCatcher
from netstack.address import Ip4
from netstack.errors import UsageError
from netstack.udp import Udp
from tests.unit.ipv4.ipworld import A, B, Host, datagram, echo, fields, icmp
from tests.unit.udp.test_udp_ports import Keeper, packet, udp

FAR = int(Ip4.parse("192.0.2.9"))


class Catch:
    """Writes down what is caught."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, int, int, int, int, int]] = []
        self.errors: list[tuple[int, int, int]] = []
        self.believes = True
        self.catcher = PyDatagramCatcher(self)

    def on_caught(self, data: bytes, src: int, sport: int, dst: int, dport: int, ttl: int, now: int) -> None:
        self.got.append((data, src, sport, dst, dport, ttl))

    def on_error(self, e, sport: int, dport: int, now: int) -> None:
        self.errors.append((e.code, sport, dport))
        e.believed = self.believes


class World(Host):
    def __init__(self, any_ip: bool = True) -> None:
        super().__init__(any_ip=any_ip)
        self.udp = Udp(self.ip, random.Random(5))
        self.catch = Catch()


def test_it_answers_for_every_address_in_that_address_s_name() -> None:
    host = World()
    (reply,) = host.receive(datagram(echo(b"who"), dst=FAR, proto=1))
    assert (fields(reply)["src"], fields(reply)["dst"]) == (FAR, B)
    (refusal,) = host.receive(packet(b"anybody", dst=FAR))
    assert (fields(refusal)["src"], refusal[20:22]) == (FAR, b"\x03\x03")
    assert refusal[28:48] == packet(b"anybody", dst=FAR)[:20]
    assert host.ip.is_local(A) and not host.ip.is_local(FAR)


def test_without_it_others_are_none_of_its_business() -> None:
    host = World(any_ip=False)
    assert host.receive(datagram(echo(b"who"), dst=FAR, proto=1)) == []
    assert host.counted()["InAddrErrors"] == 1


@pytest.mark.parametrize("dst", ["0.1.2.3", "127.0.0.1", "240.0.0.1", "255.255.255.254"])
def test_what_can_be_nobody_is_still_a_martian(dst: str) -> None:
    host = World()
    assert host.receive(datagram(echo(b"who"), dst=int(Ip4.parse(dst)), proto=1)) == []
    assert host.counted()["InMartians"] == 1


@pytest.mark.parametrize("src", ["10.79.0.1", "127.0.0.1", "224.0.0.5", "10.79.0.255", "0.0.0.0"])
def test_sources_that_can_be_nobody_are_martians_too(src: str) -> None:
    host = World()
    assert host.receive(datagram(echo(b"who"), src=int(Ip4.parse(src)), dst=FAR, proto=1)) == []
    assert host.counted()["InMartians"] == 1


def test_a_source_to_which_no_answer_would_go_back_is_dropped() -> None:
    host = World()
    host.ip.set_gateway(None)
    assert host.receive(datagram(echo(b"who"), src=int(Ip4.parse("10.80.0.2")), dst=FAR, proto=1)) == []
    assert host.counted()["InReversePath"] == 1
    assert len(host.receive(datagram(echo(b"who"), dst=FAR, proto=1))) == 1


def test_datagrams_that_no_port_wants_are_caught_and_answered_as_whom_they_were_for() -> None:
    host = World()
    host.udp.catch(host.catch.catcher)
    assert host.receive(packet(b"question", dst=FAR)) == []
    assert host.receive(packet(b"", dport=7)) == []
    assert host.catch.got == [(b"question", B, 4000, FAR, 53, 64), (b"", B, 4000, A, 7, 64)]
    assert host.udp.mib.InDatagrams == 2 and host.udp.mib.NoPorts == 0
    with pytest.raises(UsageError, match="already"):
        host.udp.catch(host.catch.catcher)
    host.udp.catch(None)
    assert len(host.receive(packet(b"question", dst=FAR))) == 1


def test_a_port_on_all_addresses_is_on_the_own_ones_where_somebody_catches() -> None:
    host = World()
    keeper = Keeper()
    host.udp.bind(0, 53, keeper.user)
    host.receive(packet(b"for all", dst=FAR))
    assert [data for data, _, _ in keeper.got] == [b"for all"]
    host.udp.catch(host.catch.catcher)
    host.receive(packet(b"for the catcher", dst=FAR), packet(b"for the host"), packet(b"asked of all", dst=0xFFFFFFFF))
    assert [data for data, _, _ in keeper.got] == [b"for all", b"for the host", b"asked of all"]
    assert [got[0] for got in host.catch.got] == [b"for the catcher"]


def test_errors_about_what_a_catcher_sent_are_its_to_believe() -> None:
    host = World()
    host.udp.catch(host.catch.catcher)
    quote = datagram(udp(b"answer", 53, 4000, FAR, B), FAR, B)
    for believes, name in ((True, "InErrorsMatched"), (False, "InErrorsUnmatched")):
        host.catch.believes = believes
        host.receive(datagram(icmp(3, 3, 0, quote), proto=1))
        assert getattr(host.udp.mib, name) == 1
    assert host.catch.errors == [(3, 53, 4000)] * 2


def test_echo_requests_for_others_are_caught_and_those_for_the_host_answered() -> None:
    host = World()
    caught = []
    host.ip.icmp.catch_echo(lambda f, ident, seq, data: caught.append((f.src, f.dst, f.ttl, ident, seq, data)))
    assert host.receive(datagram(echo(b"who", 9, 3), dst=FAR, proto=1, ttl=5)) == []
    assert caught == [(B, FAR, 5, 9, 3, b"who")]
    assert len(host.receive(datagram(echo(b"you"), proto=1))) == 1
    host.ip.icmp.echo_reply(FAR, B, 9, 3, b"who", host.now, ttl=61)
    (reply,) = host.take()
    assert (fields(reply)["src"], fields(reply)["ttl"]) == (FAR, 61)
    assert reply[20:] == b"\0\0" + reply[22:24] + struct.pack("!HH", 9, 3) + b"who"


def test_an_error_is_passed_on_in_the_name_of_who_found_it() -> None:
    host = World()
    router = int(Ip4.parse("198.51.100.1"))
    asked = packet(b"far away", dst=FAR)
    host.ip.icmp.report(asked[:28], B, router, 11, 0, 0, host.now)
    (error,) = host.take()
    assert (fields(error)["src"], fields(error)["dst"]) == (router, B)
    assert error[20:22] == b"\x0b\0" and error[28:] == asked[:28]
