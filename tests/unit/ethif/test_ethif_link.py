"""Ethernet: who gets which frame, and what is dropped under which name."""

import pytest
from ethif_world import ALL, OTHER, OWN, PEER, Device, eth

from netstack import const
from netstack.address import Mac
from netstack.errors import UsageError
from netstack.ethif.ethif import Ethif
from netstack.testing.ports import FrameTap, LinkPort

GROUP = 0x01005E000001


@pytest.fixture
def device():
    return Device()


@pytest.fixture
def link(device):
    return Ethif(device)


@pytest.fixture
def tap(link):
    tap = FrameTap()
    link.attach(const.ETH_IPV4, tap)
    return tap


def drops(link):
    """The counters that are not 0, received frames apart."""
    return {name: value for name, value in link.mib.snapshot().items() if value and name != "InFrames"}


@pytest.mark.parametrize(
    ("dst", "cast"), [(OWN, const.UNICAST), (ALL, const.BROADCAST), (GROUP, const.MULTICAST)], ids=["own", "broadcast", "group"]
)
def test_frames_to_us_to_everybody_and_to_groups_are_handed_up(device, link, tap, dst, cast):
    device.receive(eth(dst, PEER, 0x0800, b"payload"), 5)
    assert tap.frames == [(b"payload", cast, PEER)]
    assert link.mib.snapshot()["InFrames"] == 1
    assert drops(link) == {}


def test_frames_to_another_host_are_dropped(device, link, tap):
    device.receive(eth(OTHER, PEER, 0x0800), 5)
    assert tap.frames == []
    assert drops(link) == {"InOtherHost": 1}


@pytest.mark.parametrize("source", [GROUP, ALL])
def test_a_group_is_nobodys_source_address(device, link, tap, source):
    device.receive(eth(OWN, source, 0x0800), 5)
    assert tap.frames == []
    assert drops(link) == {"InBadSource": 1}


def test_our_own_frame_coming_back_is_dropped(device, link, tap):
    device.receive(eth(ALL, OWN, 0x0800), 5)
    assert tap.frames == []
    assert drops(link) == {"InOwnEcho": 1}


def test_a_frame_shorter_than_its_header_is_dropped(device, link, tap):
    for n in range(14):
        device.receive(eth(OWN, PEER, 0x0800)[:n], 5)
    assert drops(link) == {"InTooShort": 14}
    device.receive(eth(OWN, PEER, 0x0800), 5)
    assert tap.frames == [(b"", const.UNICAST, PEER)]


@pytest.mark.parametrize("ethertype", [0x86DD, 0x88CC, 46, 1500, 0], ids=hex)
def test_types_that_nobody_asked_for_and_ieee_lengths_are_dropped(device, link, tap, ethertype):
    device.receive(eth(OWN, PEER, ethertype, bytes(46)), 5)
    assert tap.frames == []
    assert drops(link) == {"InUnknownType": 1}


def test_types_that_alternate_go_each_to_its_own(device, link, tap):
    other = FrameTap()
    link.attach(0x88B5, other)
    for i in range(4):
        device.receive(eth(OWN, PEER, (0x0800, 0x88B5)[i % 2], bytes([i])), i)
    assert [payload for payload, _, _ in tap.frames] == [b"\0", b"\2"]
    assert [payload for payload, _, _ in other.frames] == [b"\1", b"\3"]


def test_an_unknown_type_between_known_ones_does_not_reach_them(device, link, tap):
    for ethertype in (0x0800, 0x1234, 0x0800):
        device.receive(eth(OWN, PEER, ethertype), 1)
    assert len(tap.frames) == 2
    assert drops(link) == {"InUnknownType": 1}


def test_the_end_of_a_batch_reaches_each_sink_once(device, link, tap):
    other = FrameTap()
    link.attach(0x88B5, other)
    link.attach(0x88B6, other)
    device.flush(7)
    assert (tap.flushed, other.flushed) == (1, 1)


def test_a_type_can_be_taken_once(link, tap):
    with pytest.raises(UsageError, match="0x0800 already has a handler"):
        link.attach(const.ETH_IPV4, FrameTap())


@pytest.mark.parametrize("ethertype", [0, 1500, 0x10000])
def test_only_an_ethertype_can_be_taken(link, ethertype):
    with pytest.raises(UsageError, match="is not an EtherType"):
        link.attach(ethertype, FrameTap())


def test_a_packet_leaves_with_destination_own_source_and_type(device, link):
    LinkPort(link.core).send(b"packet", 0x0800, PEER, 9)
    assert device.sent == [(9, bytes.fromhex("020000000002 020000000001 0800") + b"packet")]
    assert drops(link) == {"OutFrames": 1}


def test_a_packet_of_the_mtu_leaves_and_a_longer_one_does_not(device, link):
    port = LinkPort(link.core)
    port.send(bytes(1500), 0x0800, PEER, 9)
    port.send(bytes(1501), 0x0800, PEER, 9)
    assert [len(frame) for frame in device.take()] == [1514]
    assert drops(link) == {"OutFrames": 1, "OutTooLong": 1}


def test_a_super_segment_may_be_longer_than_the_mtu(device, link):
    LinkPort(link.core).send(bytes(20000), 0x0800, PEER, 9, gso=1460)
    assert len(device.take()[0]) == 20014


def test_what_the_device_says_is_handed_up(device, link):
    assert link.mac == Mac(OWN)
    assert (link.mtu, link.offload) == (1500, 0)
    assert link.netif is device
    assert link.core is link


def test_a_device_without_an_address_is_refused():
    with pytest.raises(UsageError, match="use PointToPoint"):
        Ethif(Device(mac=None))


@pytest.mark.parametrize("mac", [0, GROUP, ALL])
def test_a_device_with_an_address_that_no_station_has_is_refused(mac):
    with pytest.raises(UsageError, match="unicast one like"):
        Ethif(Device(mac=mac))


def test_a_device_carries_one_stack(device, link):
    with pytest.raises(UsageError, match="already has a stack"):
        Ethif(device)
