"""Devices that carry bare IP packets."""

import pytest
from ethif_world import Device

from netstack import const
from netstack.errors import UsageError
from netstack.ethif.pointtopoint import PointToPoint
from netstack.testing.ports import FrameTap, HopPort, LinkPort


@pytest.fixture
def device():
    return Device(mac=None, mtu=1400)


@pytest.fixture
def link(device):
    return PointToPoint(device)


def test_the_version_of_the_packet_stands_for_the_ethertype(device, link):
    four, six = FrameTap(), FrameTap()
    link.attach(const.ETH_IPV4, four)
    link.attach(const.ETH_IPV6, six)
    for packet in (b"\x45four", b"\x60six", b"\x4f"):
        device.receive(packet, 1)
    device.flush(2)
    assert four.frames == [(b"\x45four", const.UNICAST, 0), (b"\x4f", const.UNICAST, 0)]
    assert six.frames == [(b"\x60six", const.UNICAST, 0)]
    assert (four.flushed, six.flushed) == (1, 1)


@pytest.mark.parametrize("first", [v << 4 for v in range(16) if v != 4])
def test_other_versions_are_dropped(device, link, first):
    four = FrameTap()
    link.attach(const.ETH_IPV4, four)
    device.receive(bytes([first]) + bytes(40), 1)
    assert four.frames == []
    assert link.mib.InUnknownType == 1


def test_nothing_at_all_is_too_short(device, link):
    device.receive(b"", 1)
    assert link.mib.InTooShort == 1


def test_a_packet_leaves_as_it_is_whatever_the_address(device, link):
    LinkPort(link.core).send(b"\x45packet", const.ETH_IPV4, 0x020000000002, 3)
    HopPort(link.next_hop.core).send(b"\x45other", 0x0A000002, 4)
    assert device.sent == [(3, b"\x45packet"), (4, b"\x45other")]
    assert link.mib.OutFrames == 2


def test_a_packet_longer_than_the_mtu_is_dropped_unless_the_device_cuts_it(device, link):
    port = LinkPort(link.core)
    port.send(bytes(1401), const.ETH_IPV4, 0, 3)
    assert device.take() == []
    assert link.mib.OutTooLong == 1
    port.send(bytes(1400), const.ETH_IPV4, 0, 3)
    port.send(bytes(9000), const.ETH_IPV4, 0, 3, gso=1360)
    assert [len(packet) for packet in device.take()] == [1400, 9000]


def test_it_is_a_link_without_an_address(device, link):
    assert link.mac is None
    assert (link.mtu, link.offload, link.netif, link.core) == (1400, 0, device, link)


def test_an_ethernet_device_is_refused():
    with pytest.raises(UsageError, match=r"use Ethif\(dev0\)"):
        PointToPoint(Device())
