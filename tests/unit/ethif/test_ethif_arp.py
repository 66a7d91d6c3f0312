"""ARP finding neighbours, keeping them and giving them up."""

import random

import pytest
from ethif_world import ALL, OTHER, OTHER_IP, OWN, OWN_IP, PEER, PEER_IP, SECOND, Device, Host, arp_of

from netstack import const
from netstack.address import Mac
from netstack.errors import UsageError
from netstack.ethif import arp_cache
from netstack.ethif.arp import Arp, ArpConfig
from netstack.ethif.arp_wire import REPLY, REQUEST, ArpPacket
from netstack.ethif.pointtopoint import PointToPoint
from netstack.testing.ports import HopPort, LinkTap, SinkPort
from netstack.timers import Timers

ASK = bytes.fromhex("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")
VERIFY = bytes.fromhex("020000000002 020000000001 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")
ANSWER = bytes.fromhex("020000000002 020000000001 0806 0001 0800 06 04 0002 020000000001 0a000001 020000000002 0a000002")
PACKET = bytes.fromhex("020000000002 020000000001 0800") + b"packet"


@pytest.fixture
def host():
    return Host()


# -- resolution ---------------------------------------------------------------------------------------------------------------


def test_a_packet_waits_until_its_neighbour_has_answered(host):
    host.send()
    assert host.device.take() == [ASK]
    assert host.state() == "INCOMPLETE"
    host.reply()
    assert host.device.take() == [PACKET]
    assert host.state() == "REACHABLE"
    assert host.mib.Resolved == 1
    assert host.mib.InReplies == 1


def test_to_a_reachable_neighbour_packets_leave_at_once(host):
    host.resolve()
    host.send()
    host.send()
    assert host.device.take() == [PACKET, PACKET]


def test_packets_that_wait_leave_in_their_order_after_one_question(host):
    for i in range(5):
        host.send(b"%d" % i)
    assert host.device.take() == [ASK]
    host.reply()
    assert [frame[14:] for frame in host.device.take()] == [b"0", b"1", b"2", b"3", b"4"]


def test_packets_to_two_neighbours_in_turn_find_each(host):
    for ip, mac in ((PEER_IP, PEER), (OTHER_IP, OTHER)):
        host.send(to=ip)
        host.reply(sha=mac, spa=ip)
    host.device.take()
    for i in range(4):
        host.send(b"%d" % i, to=(PEER_IP, OTHER_IP)[i % 2])
    assert [(frame[5], frame[14:]) for frame in host.device.take()] == [(2, b"0"), (3, b"1"), (2, b"2"), (3, b"3")]


def test_a_super_segment_that_had_to_wait_leaves_whole(host):
    host.send(bytes(20000), head=b"\x45" + bytes(39), gso=1460)
    host.reply()
    ask, whole = host.device.take()
    assert ask == ASK
    assert whole[14:15] == b"\x45"
    assert len(whole) == 14 + 40 + 20000
    assert host.link.mib.OutTooLong == 0


class TappedLink:
    """A signatures.Link that shows what ARP asks of it."""

    mac = Mac(OWN)
    mtu = 1500
    offload = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4

    def __init__(self):
        self.core = LinkTap()

    def attach(self, ethertype, sink):
        self.rx = SinkPort(sink)


def test_what_a_waiting_packet_asks_of_the_device_is_kept():
    """The device cuts it and completes its checksum later as it would have done at once."""
    link = TappedLink()
    arp = Arp(link, Timers(0), random.Random(1))
    arp.add_address(OWN_IP, 0)
    port = HopPort(arp.core)
    asked = {"head": bytes(range(40)), "l4": 140, "csum_off": 16, "gso": 1460}
    port.send(b"payload", PEER_IP, 0, OWN_IP, **asked)
    arp.add_static(PEER_IP, PEER, 0)
    port.send(b"payload", PEER_IP, 0, OWN_IP, **asked)
    waited, at_once = [packet for packet in link.core.sent if packet[1] == const.ETH_IPV4]
    assert waited == at_once == (bytes(range(40)) + b"payload", const.ETH_IPV4, PEER, 140, 16, 1460)


def test_the_payload_may_be_changed_while_its_packet_waits(host):
    """What a queue keeps is a copy, except of bytes, which nobody can change."""
    payload = bytearray(b"packet")
    host.send(payload)
    payload[:] = b"change"
    host.reply()
    assert host.device.take() == [ASK, PACKET]


def test_the_question_is_asked_three_times_a_second_apart_and_then_the_neighbour_has_failed(host):
    start = host.now
    host.send(b"one")
    host.send(b"two")
    host.run(10 * SECOND)
    assert [(at - start, frame) for at, frame in host.device.sent] == [(0, ASK), (SECOND, ASK), (2 * SECOND, ASK)]
    assert host.events == [
        ("unreachable", PEER_IP, b"one", start + 3 * SECOND),
        ("unreachable", PEER_IP, b"two", start + 3 * SECOND),
    ]
    assert (host.mib.ResFailed, host.mib.UnresolvedDiscards, host.mib.OutRequests) == (1, 2, 3)


def test_a_failed_neighbour_is_refused_at_once_for_a_while_and_then_asked_again(host):
    host.send()
    host.run(3 * SECOND)
    assert host.state() == "FAILED"
    host.device.take()
    host.events.clear()
    host.send(b"next", head=b"\x45")
    assert host.events == [("unreachable", PEER_IP, b"\x45next", host.now)]
    assert host.device.take() == []
    assert host.mib.ResRefused == 1
    host.run(arp_cache.HOLD)
    assert host.state() is None
    host.send()
    assert host.device.take() == [ASK]


def test_a_failed_neighbour_that_asks_for_us_is_back_at_once(host):
    host.send()
    host.run(3 * SECOND)
    host.device.take()
    host.request()
    host.send()
    assert host.device.take() == [ANSWER, PACKET]


def test_without_a_listener_unreachable_packets_are_only_counted(host):
    host.arp.on_unreachable = None
    host.send()
    host.run(3 * SECOND)
    host.send()
    assert (host.mib.UnresolvedDiscards, host.mib.ResRefused) == (1, 1)


def test_the_oldest_of_too_many_waiting_packets_goes_first(host):
    for i in range(70):
        host.send(b"%d" % i)
    assert host.mib.UnresolvedDiscards == 6
    host.reply()
    assert [frame[14:] for frame in host.device.take()[1:]] == [b"%d" % i for i in range(6, 70)]


def test_waiting_packets_are_bounded_in_bytes_too(host):
    for _ in range(60):
        host.send(bytes(1500))
    host.reply()
    waited = host.device.take()[1:]
    assert 65535 - 1500 <= sum(len(frame) - 14 for frame in waited) <= arp_cache.QUEUE_BYTES
    assert host.mib.UnresolvedDiscards == 60 - len(waited)


def test_all_fragments_of_the_largest_datagram_can_wait(host):
    for _ in range(45):
        host.send(bytes(1500))
    assert host.mib.UnresolvedDiscards == 0


def test_requests_speak_for_the_address_that_the_packet_leaves_with(host):
    host.arp.add_address(0x0A000009, host.now)
    host.device.take()
    host.send(src=0x0A000009)
    assert arp_of(host.device.take()[0])[1].spa == 0x0A000009
    host.send(src=0x0B000001, to=OTHER_IP)  # not ours: it must not be told to anybody
    assert arp_of(host.device.take()[0])[1].spa == OWN_IP


def test_without_an_address_of_our_own_nothing_is_asked():
    """A request without a sender would be a probe, and a host that probes for the same address would give it up."""
    host = Host(address=None)
    host.send(src=0)
    host.run(3 * SECOND)
    assert host.device.take() == []
    assert host.mib.OutNoSource == 3
    assert [event[0] for event in host.events] == ["unreachable"]


# -- groups -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "mac"),
    [
        (0xFFFFFFFF, "ffffffffffff"),
        (0xE0000001, "01005e000001"),  # 224.0.0.1
        (0xE07F0001, "01005e7f0001"),  # 224.127.0.1
        (0xE1FFFFFF, "01005e7fffff"),  # 225.255.255.255: the low 23 bits only (RFC 1112 6.4)
        (0xEFFFFFFA, "01005e7ffffa"),  # 239.255.255.250
    ],
)
def test_broadcasts_and_groups_need_no_answer(host, to, mac):
    host.send(to=to)
    assert host.device.take() == [bytes.fromhex(mac + "020000000001 0800") + b"packet"]
    assert host.arp.table() == []


@pytest.mark.parametrize("to", [0, 0x7F000001, 0xF0000001, 0xFFFFFFFE, 0x00000001])
def test_addresses_that_no_host_has_are_not_looked_for(host, to):
    host.send(to=to)
    assert host.device.take() == []
    assert host.mib.OutBadNextHop == 1
    assert host.arp.table() == []


def test_our_own_addresses_are_not_looked_for(host):
    host.arp.add_address(0x0A000009, host.now, probe=True)
    for ip in (OWN_IP, 0x0A000009):
        host.send(to=ip)
        with pytest.raises(UsageError, match="one of our own addresses"):
            host.arp.add_static(ip, PEER)
    assert host.device.take() == []
    assert host.mib.OutBadNextHop == 2
    assert host.arp.table() == []


# -- answers ------------------------------------------------------------------------------------------------------------------


def test_a_request_for_our_address_is_answered_to_the_asker(host):
    host.request()
    assert host.device.take() == [ANSWER]
    assert (host.mib.InRequests, host.mib.OutReplies) == (1, 1)


def test_who_asks_for_us_is_remembered_and_can_be_sent_to_at_once(host):
    host.request()
    assert (host.state(), host.mac()) == ("STALE", PEER)
    host.device.take()
    host.send()
    assert host.device.take() == [PACKET]


def test_a_request_for_another_address_is_neither_answered_nor_remembered(host):
    host.request(tpa=OTHER_IP)
    assert host.device.take() == []
    assert host.arp.table() == []


def test_a_request_while_we_look_for_the_asker_is_an_answer_of_a_kind(host):
    """It tells us where the neighbour is, and what waits may go; but it is no proof that it heard us."""
    host.send()
    host.device.take()
    host.request()
    assert host.device.take() == [PACKET, ANSWER]
    assert host.state() == "DELAY"


def test_a_probe_for_our_address_is_answered_and_nothing_is_learnt(host):
    host.request(spa=0)
    to, packet = arp_of(host.device.take()[0])
    assert to == PEER
    assert packet == ArpPacket(REPLY, OWN, OWN_IP, PEER, 0)
    assert host.arp.table() == []


def test_an_address_given_up_is_not_answered_for(host):
    host.arp.remove_address(OWN_IP)
    host.request()
    assert host.device.take() == []
    with pytest.raises(UsageError, match=r"10\.0\.0\.1 is not one of our addresses"):
        host.arp.remove_address(OWN_IP)


# -- reachability -------------------------------------------------------------------------------------------------------------


def test_a_neighbour_is_checked_in_time_however_much_is_sent_to_it_meanwhile(host):
    host.resolve()
    host.run(46 * SECOND)
    for _ in range(50):
        host.send()
        assert host.device.take() == [PACKET]
        assert host.state() == "DELAY"
        host.run(SECOND // 10)
    assert host.state() == "PROBE"
    assert len(host.device.take()) == 1
    host.send()
    assert host.device.take() == [PACKET]


def test_a_confirmation_ages_and_a_used_neighbour_is_asked_itself_without_a_broadcast(host):
    host.resolve()
    host.run(46 * SECOND)  # from half to one and a half of 30 s
    host.send()
    assert host.device.take() == [PACKET]  # nobody waits for the check
    assert host.state() == "DELAY"
    host.run(5 * SECOND - 1)
    assert host.device.take() == []
    host.run(1)
    assert host.device.take() == [VERIFY]
    assert host.state() == "PROBE"
    host.reply()
    assert host.state() == "REACHABLE"
    host.run(10 * SECOND)
    assert host.device.take() == []


def test_progress_of_a_transport_spares_the_question(host):
    host.resolve()
    host.run(46 * SECOND)
    host.send()
    host.run(1 * SECOND)
    host.arp.confirm(PEER_IP, host.now)
    assert host.state() == "REACHABLE"
    host.run(20 * SECOND)
    assert host.device.take() == [PACKET]


def test_steady_progress_keeps_a_neighbour_reachable_for_ever(host):
    host.resolve()
    for _ in range(40):
        host.run(10 * SECOND)
        host.port.progress(PEER_IP, host.now)
        host.send()
    assert host.state() == "REACHABLE"
    assert host.device.take() == [PACKET] * 40


def test_progress_through_an_unknown_neighbour_creates_nothing(host):
    host.arp.confirm(OTHER_IP, host.now)
    assert host.arp.table() == []
    host.send()
    host.arp.confirm(PEER_IP, host.now)  # stale news about a neighbour whose address we do not have
    assert host.state() == "INCOMPLETE"


def test_an_unused_neighbour_is_left_alone_however_old(host):
    host.resolve()
    host.run(3600 * SECOND)
    assert host.device.take() == []
    assert host.timers.next_deadline() == const.NEVER
    host.send()
    assert host.device.take() == [PACKET]


def test_a_neighbour_that_is_gone_is_forgotten_and_everybody_asked(host):
    host.resolve()
    host.run(46 * SECOND)
    host.send()
    host.run(5 * SECOND + 3 * SECOND)
    assert host.device.take() == [PACKET, VERIFY, VERIFY, VERIFY]
    assert host.state() is None
    host.send()
    assert host.device.take() == [ASK]


def test_while_it_is_asked_a_neighbour_still_gets_its_packets(host):
    host.resolve()
    host.run(46 * SECOND)
    host.send()
    host.run(6 * SECOND)
    host.device.take()
    host.send()
    assert host.device.take() == [PACKET]


def test_reachable_times_differ_from_host_to_host_and_stay_within_their_bounds():
    times = {Host(seed=seed).arp.cache.reachable for seed in range(20)}
    assert len(times) > 15
    assert 15 * SECOND <= min(times) < max(times) <= 45 * SECOND


# -- static entries -----------------------------------------------------------------------------------------------------------


def test_a_static_neighbour_is_never_asked_and_never_changes(host):
    host.arp.add_static(PEER_IP, PEER)
    host.send()
    host.run(3600 * SECOND)
    host.send()
    assert host.device.take() == [PACKET, PACKET]
    host.reply(sha=OTHER)
    host.request(sha=OTHER)
    assert (host.state(), host.mac()) == ("PERMANENT", PEER)
    assert host.mib.InLocked == 2
    host.reply(sha=PEER)
    assert host.mib.InLocked == 2


def test_a_static_entry_releases_what_waited(host):
    host.send()
    host.arp.add_static(PEER_IP, Mac(PEER), host.now)
    assert host.device.take() == [ASK, PACKET]
    host.run(10 * SECOND)
    assert host.device.take() == []


def test_a_static_entry_can_be_taken_back(host):
    host.arp.add_static(PEER_IP, PEER)
    host.arp.remove_static(PEER_IP)
    host.send()
    assert host.device.take() == [ASK]
    with pytest.raises(UsageError, match=r"10\.0\.0\.2 has no static entry"):
        host.arp.remove_static(PEER_IP)


@pytest.mark.parametrize(("ip", "mac"), [(0, PEER), (0xE0000001, PEER), (0x7F000001, PEER), (PEER_IP, 0), (PEER_IP, ALL)])
def test_a_static_entry_must_be_possible(host, ip, mac):
    with pytest.raises(UsageError, match="can't be a neighbour's"):
        host.arp.add_static(ip, mac)


# -- the face -----------------------------------------------------------------------------------------------------------------


def test_the_table_is_for_reading(host):
    host.resolve()
    host.send(to=OTHER_IP)
    host.send(to=OTHER_IP)
    assert [str(entry) for entry in host.arp.table()] == ["10.0.0.2 02:00:00:00:00:02 REACHABLE", "10.0.0.3 (unknown) INCOMPLETE"]
    peer, other = host.arp.table()
    assert (peer.waiting, peer.confirmed) == (0, host.now)
    assert (other.waiting, other.confirmed) == (2, None)


def test_a_link_without_addresses_is_refused():
    with pytest.raises(UsageError, match="no addresses to resolve"):
        Arp(PointToPoint(Device(mac=None)), Timers(0), None)


@pytest.mark.parametrize("reachable", [0, -1])
def test_a_neighbour_is_reachable_for_some_time(reachable):
    with pytest.raises(UsageError, match="above 0"):
        ArpConfig(reachable=reachable)


def test_requests_and_replies_have_the_numbers_of_the_registry():
    assert (REQUEST, REPLY) == (1, 2)
