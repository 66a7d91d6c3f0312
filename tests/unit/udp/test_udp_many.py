"""Datagrams of one size that pass a device in one unit, both ways; and the same without such a device."""

import random
import socket
import struct
from collections.abc import Iterator

import pytest
from netstack_tuntap import Tun
from netstack_tuntap.device import Handle

from netstack import const
from netstack.adapters import PyDatagramUser
from netstack.address import Cidr
from netstack.device.face import NONE
from netstack.errors import ClosedError, MessageTooLong, UsageError
from netstack.ethif.pointtopoint import PointToPoint
from netstack.ipv4.ipv4 import Ipv4
from netstack.timers import Timers
from netstack.udp import Udp, UdpPort
from tests.unit.ipv4.ipworld import A, B, S, datagram, put_together
from tests.unit.udp.test_udp_ports import World, udp

USO = const.OFFLOAD_CSUM | const.OFFLOAD_USO
DATA = bytes(i * 7 % 251 for i in range(100_000))


class Many:
    """A host on a device that takes `takes`, its other end in our hand."""

    def __init__(self, takes: int, mtu: int = 1500) -> None:
        self.far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.far.setblocking(False)
        near.setblocking(False)
        self.tun = Tun.__new__(Tun)
        self.tun._take(Handle(near.detach(), "p2p", mtu, b"", 12 if takes else 0, takes, None), NONE, True, True)
        link = PointToPoint(self.tun)
        self.timers = Timers(S)
        self.ip = Ipv4(link, link.next_hop, self.timers, random.Random(1))
        self.ip.add_address(Cidr.parse("10.79.0.1/24"))
        self.udp = Udp(self.ip, random.Random(5))
        self.got: list[bytes] = []
        self.port: UdpPort = self.udp.bind(0, 4000, PyDatagramUser(self))

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        assert (address, port) == (B, 53)
        self.got.append(data)

    def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
        raise error

    def receive(self, payload: bytes, size: int) -> None:
        packet = datagram(udp(payload, 53, 4000, B, A), B, A)
        self.far.send(struct.pack("=BBHHHHH", 1, 5 if size else 0, 28, size, 20, 6, 0) + packet)
        self.tun.poll(S)

    def take(self) -> list[bytes]:
        frames = []
        while True:
            try:
                frames.append(self.far.recv(70_000))
            except BlockingIOError:
                return frames


@pytest.fixture
def many() -> Iterator[Many]:
    world = Many(USO)
    yield world
    world.far.close()
    world.tun.close()


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize(("n", "size"), [(1, 1), (100, 100), (101, 100), (64_000, 1000), (65_507, 1472), (50, 7)])
def test_a_unit_reaches_the_user_as_its_datagrams(many: Many, n: int, size: int) -> None:
    many.receive(DATA[:n], size)
    assert many.got == pieces(DATA[:n], size)
    assert many.udp.mib.InDatagrams == len(many.got)
    many.receive(b"one more", 0)
    assert many.got[-1] == b"one more"


def test_a_user_that_closes_gets_no_more(many: Many) -> None:
    many.on_datagram = lambda *_: (many.got.append(b""), many.port.close())[0]  # type: ignore[method-assign, assignment, func-returns-value]
    many.receive(DATA[:500], 100)
    assert len(many.got) == 1
    assert many.udp.mib.InDatagrams == 1


def test_the_device_gets_units_of_64_datagrams_at_most(many: Many) -> None:
    assert many.port.send_many(DATA[:10_050], 100, B, 53, S) == 101
    one, two = many.take()
    assert one[:12] == struct.pack("=BBHHHHH", 1, 5, 28, 100, 20, 6, 0)
    assert one[12 + 28 :] == DATA[:6400]
    assert two[12 + 28 :] == DATA[6400:10_050]
    assert int.from_bytes(one[12 + 24 : 12 + 26], "big") == 8 + 6400
    assert many.udp.mib.OutDatagrams == 101


def test_a_unit_is_no_longer_than_a_datagram_may_be(many: Many) -> None:
    assert many.port.send_many(DATA, 1472, B, 53, S) == 68
    frames = many.take()
    assert b"".join(frame[40:] for frame in frames) == DATA
    assert [len(frame) - 40 for frame in frames] == [44 * 1472, 24 * 1472 - 68 * 1472 + 100_000]


@pytest.mark.parametrize("takes", [0, const.OFFLOAD_CSUM])
def test_where_the_device_cuts_nothing_the_datagrams_leave_one_by_one(takes: int) -> None:
    world = Many(takes)
    assert world.port.send_many(DATA[:250], 100, B, 53, S) == 3
    frames = world.take()
    assert [frame[-len(piece) :] for frame, piece in zip(frames, pieces(DATA[:250], 100), strict=True)] == pieces(DATA[:250], 100)
    if not takes:
        assert [frame[20:] for frame in frames] == [udp(piece, 4000, 53, A, B) for piece in pieces(DATA[:250], 100)]
    world.far.close()
    world.tun.close()


def test_where_nothing_below_cuts_they_are_sent_one_by_one() -> None:
    world = World()
    port = world.keeper(4000).port  # type: ignore[attr-defined]
    assert port.send_many(DATA[:250], 100, B, 53, world.now) == 3
    assert [sent[20:] for sent in world.take()] == [udp(piece, 4000, 53, A, B) for piece in pieces(DATA[:250], 100)]
    assert world.numbers() == {"OutDatagrams": 3}


def test_datagrams_that_do_not_fit_the_path_are_fragmented_each(many: Many) -> None:
    assert many.port.send_many(DATA[:6000], 3000, B, 53, S) == 2
    frames = [frame[12:] for frame in many.take()]
    assert len(frames) == 6
    assert put_together(frames[:3])[8:] == DATA[:3000]
    assert put_together(frames[3:])[8:] == DATA[3000:6000]
    with pytest.raises(MessageTooLong):
        many.port.send_many(DATA[:6000], 3000, B, 53, S, df=True)
    assert many.take() == []
    many.port.send_many(DATA[:6000], 1472, B, 53, S, df=True)
    assert len(many.take()) == 1


def test_to_ourselves_they_come_as_one_unit_too(many: Many) -> None:
    got: list[bytes] = []

    class Ears:
        def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
            got.append(data)

        def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
            raise error

    many.udp.bind(0, 99, PyDatagramUser(Ears()))
    many.port.send_many(DATA[:1000], 300, A, 99, S)
    many.timers.run(S + 10_000_000)
    assert got == pieces(DATA[:1000], 300)


def test_what_cannot_be_said(many: Many) -> None:
    for size in (0, -1, 65_508):
        with pytest.raises(UsageError, match="choose a size"):
            many.port.send_many(b"data", size, B, 53, S)
    assert many.port.send_many(b"", 100, B, 53, S) == 0
    with pytest.raises(UsageError, match="not a port"):
        many.port.send_many(b"data", 4, B, 0, S)
    many.port.close()
    with pytest.raises(ClosedError):
        many.port.send_many(b"data", 4, B, 53, S)
    assert many.take() == []
