"""Which way, and from where."""

import pytest

from netstack.address import Cidr, Ip4
from netstack.errors import MessageTooLong, Unreachable, UsageError
from netstack.ethif.pointtopoint import PointToPoint
from netstack.ipv4.core import PATHS
from tests.unit.ipv4.ipworld import FAR, A, B, Host, Tube, datagram, echo, fields


def ip(text: str) -> int:
    return int(Ip4.parse(text))


class Two(Host):
    """Two interfaces: 10.79.0.1/24 with the default route, and 172.16.0.1/16."""

    def __init__(self) -> None:
        super().__init__()
        self.other = Tube(1400)
        link = PointToPoint(self.other)
        self.second = self.ip.add_interface(link, link.next_hop)
        self.ip.add_address(Cidr.parse("172.16.0.1/16"), self.second)

    def leaves(self, dst: str) -> tuple[str, int]:
        """The device and the source of what is sent to `dst`."""
        self.ip.icmp.ping(ip(dst), 1, 1, b"", self.now)
        frames = {"first": self.take(), "second": [*self.other.sent]}
        self.other.sent.clear()
        ((name, (frame,)),) = [(name, sent) for name, sent in frames.items() if sent]
        return name, fields(frame)["src"]


def test_the_longest_prefix_wins() -> None:
    host = Two()
    assert host.leaves("10.79.0.77") == ("first", A)
    assert host.leaves("172.16.9.9") == ("second", ip("172.16.0.1"))
    assert host.leaves("192.0.2.9") == ("first", A)
    host.ip.add_route(Cidr.parse("192.0.2.0/24"), ip("172.16.0.9"))
    assert host.leaves("192.0.2.9") == ("second", ip("172.16.0.1"))
    host.ip.add_route(Cidr.parse("192.0.2.8/29"), B)
    assert host.leaves("192.0.2.9") == ("first", A)
    assert host.leaves("192.0.2.1") == ("second", ip("172.16.0.1"))
    host.ip.remove_route(Cidr.parse("192.0.2.8/29"))
    host.ip.remove_route(Cidr.parse("192.0.2.0/24"))
    assert host.leaves("192.0.2.9") == ("first", A)


def test_frames_of_both_interfaces_are_ours_whichever_address_they_name() -> None:
    host = Two()
    host.other.receive(datagram(echo(b"weak host"), src=ip("172.16.0.9"), dst=A, proto=1), host.now)
    assert fields(host.other.sent[0])["src"] == A


def test_the_source_is_the_address_in_the_next_hops_subnet() -> None:
    host = Host()
    host.ip.add_address(Cidr.parse("10.80.0.1/16"))
    host.ip.add_address(Cidr.parse("10.80.7.1/24"))
    assert host.ip.source_for(ip("10.80.9.9")) == ip("10.80.0.1")
    assert host.ip.source_for(ip("10.80.7.9")) == ip("10.80.7.1")
    assert host.ip.source_for(FAR) == A
    host.ip.set_gateway(ip("10.80.7.2"))
    assert host.ip.source_for(FAR) == ip("10.80.7.1")
    assert host.ip.source_for(A) == A and host.ip.source_for(ip("127.9.9.9")) == ip("127.0.0.1")


def test_without_route_or_address_there_is_no_source() -> None:
    host = Host("")
    for dst in (FAR, B, 0, ip("240.0.0.1"), ip("0.1.2.3")):
        with pytest.raises(Unreachable):
            host.ip.source_for(dst)
        with pytest.raises(Unreachable):
            host.ip.icmp.ping(dst, 1, 1, b"", host.now)
    assert host.ip.mib.OutNoRoutes == 5


def test_a_host_without_an_address_may_broadcast_from_0_0_0_0() -> None:
    host = Host("")
    host.ip.icmp.ping(0xFFFFFFFF, 1, 1, b"dhcp", host.now)
    (sent,) = host.take()
    assert (fields(sent)["src"], fields(sent)["dst"], host.ip.mib.OutBcastPkts) == (0, 0xFFFFFFFF, 1)


def test_addresses_come_with_their_subnet_and_go_with_it() -> None:
    host = Host()
    host.ip.add_address(Cidr.parse("10.79.0.3/24"))
    host.ip.remove_address(A)
    assert [str(cidr) for cidr in host.ip.addresses] == ["10.79.0.3/24"]
    assert host.ip.source_for(ip("10.79.0.9")) == ip("10.79.0.3")
    host.ip.remove_address(Cidr.parse("10.79.0.3/24"))
    assert not host.ip.is_local(A)
    assert [str(route) for route in host.ip.route_table] == ["0.0.0.0/0 by 10.79.0.2, interface 0"]
    with pytest.raises(UsageError, match="not an address"):
        host.ip.remove_address(A)


@pytest.mark.parametrize(
    "text",
    ["0.0.0.1/8", "127.0.0.1/8", "224.0.0.1/4", "240.0.0.1/4", "255.255.255.255", "10.1.1.0/24", "10.1.1.255/24", "10.79.0.1/24"],
)
def test_what_cannot_be_an_address_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Host().ip.add_address(Cidr.parse(text))


def test_both_ends_of_a_31_are_hosts() -> None:
    host = Host("")
    host.ip.add_address(Cidr.parse("10.0.0.0/31"))
    assert host.ip.source_for(ip("10.0.0.1")) == ip("10.0.0.0")


def test_a_gateway_must_be_on_a_subnet_of_ours_unless_the_interface_is_named() -> None:
    host = Two()
    with pytest.raises(UsageError, match="no subnet"):
        host.ip.add_route(Cidr.parse("192.0.2.0/24"), ip("10.99.0.1"))
    host.ip.add_route(Cidr.parse("192.0.2.0/24"), ip("10.99.0.1"), host.second)
    assert host.leaves("192.0.2.9") == ("second", ip("172.16.0.1"))
    with pytest.raises(UsageError, match="itself"):
        host.ip.set_gateway(A)
    with pytest.raises(UsageError, match="neither"):
        host.ip.add_route(Cidr.parse("198.51.100.0/24"), None)
    host.ip.add_route(Cidr.parse("198.51.100.0/24"), None, host.second)
    assert host.leaves("198.51.100.1") == ("second", ip("172.16.0.1"))
    with pytest.raises(UsageError, match="another stack"):
        host.ip.add_address(Cidr.parse("10.1.1.1/24"), Two().second)


def test_what_was_remembered_is_forgotten_when_a_table_changes() -> None:
    host = Two()
    assert host.leaves("192.0.2.9") == ("first", A)
    host.ip.set_gateway(ip("172.16.0.9"))
    assert host.leaves("192.0.2.9") == ("second", ip("172.16.0.1"))
    host.ip.set_gateway(None)
    with pytest.raises(Unreachable):
        host.leaves("192.0.2.9")


def test_directed_broadcasts_leave_by_their_subnet() -> None:
    host = Two()
    assert host.leaves("172.16.255.255") == ("second", ip("172.16.0.1"))
    assert host.leaves("10.79.0.255") == ("first", A)


def test_a_loopback_source_never_leaves() -> None:
    host = Host()
    with pytest.raises(Unreachable, match="loopback"):
        host.ip.icmp.ping(B, 1, 1, b"", host.now, src=0x7F000001)
    assert host.take() == []


def test_the_offload_is_what_all_interfaces_offer() -> None:
    host = Host(offload=3)
    assert host.ip.offload == 3
    link = PointToPoint(Tube(offload=1))
    host.ip.add_interface(link, link.next_hop)
    assert host.ip.offload == 1


def test_an_mtu_too_small_for_ipv4_is_refused() -> None:
    with pytest.raises(UsageError, match="68"):
        Host(mtu=67)


@pytest.mark.parametrize("mtu", [68, 69, 75, 576, 1500, 9000, 65535])
def test_fragments_fit_the_link_whatever_its_mtu(mtu: int) -> None:
    host = Host(mtu=mtu)
    host.ip.icmp.ping(B, 1, 1, bytes(5000), host.now)
    sent = host.take()
    assert max(len(packet) for packet in sent) <= mtu
    assert all(fields(packet)["frag"] & 0x4000 == 0 for packet in sent)


def test_too_long_and_not_to_be_cut() -> None:
    host = Host()
    with pytest.raises(MessageTooLong) as caught:
        host.ip.icmp.ping(B, 1, 1, bytes(1473), host.now, df=True)
    assert caught.value.mtu == 1500 and host.take() == []
    with pytest.raises(MessageTooLong):
        host.ip.icmp.ping(B, 1, 1, bytes(65508), host.now)
    assert host.ip.mib.FragFails == 2


def test_identifications_are_unique_for_a_destination_and_tell_nothing_about_others() -> None:
    """RFC 6864 4.2 and 5.2: unique where a datagram can be cut, begun at random for each destination."""
    host = Host()
    seen: dict[int, list[int]] = {B: [], B + 1: []}
    for _ in range(300):
        for dst, idents in seen.items():
            host.ip.icmp.ping(dst, 1, 1, b"", host.now)
            idents.append(fields(host.take()[0])["ident"])
    assert all(len(set(idents)) == 300 for idents in seen.values())
    assert seen[B][0] != seen[B + 1][0]
    host.ip.icmp.ping(B, 1, 1, b"", host.now, df=True)
    assert (fields(packet := host.take()[0])["ident"], packet[6:8]) == (0, b"\x40\0")


def test_a_flood_of_destinations_is_remembered_within_bounds() -> None:
    host = Host()
    for i in range(3 * PATHS):
        host.ip.icmp.ping(FAR + i, 1, 1, b"", host.now)
        assert len(host.ip.paths) <= PATHS


def test_the_queue_to_ourselves_is_bounded() -> None:
    host = Host()
    for _ in range(4172):
        host.ip.icmp.ping(A, 1, 1, b"", host.now)
    assert len(host.ip.loop) == 4096
    assert host.ip.mib.LoopDrops == host.ip.mib.OutDiscards == 76
    for _ in range(70):
        host.ip.icmp.ping(A, 1, 1, b"", host.now)
    host.pass_time(0)
    assert len(host.ip.loop) == 4096, "the answers wait for the next turn"
    host.pass_time(0)
    host.pass_time(0)
    assert not host.ip.loop and host.ip.loop_bytes == 0


def test_what_is_large_leaves_room_for_what_is_small() -> None:
    host = Host()
    for _ in range(300):
        host.ip.icmp.ping(A, 1, 1, bytes(60000), host.now)
    assert 12 << 20 > host.ip.loop_bytes > 11 << 20
    drops = host.ip.mib.LoopDrops
    for _ in range(100):
        host.ip.icmp.ping(A, 1, 1, bytes(40), host.now)
    assert host.ip.mib.LoopDrops == drops > 0
