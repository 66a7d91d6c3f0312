"""What a stranger on the link can do to the table of neighbours: little, and every refusal has a name."""

import pytest
from ethif_world import ALL, OTHER, OTHER_IP, OWN, OWN_IP, PEER, PEER_IP, SECOND, Host, eth

from netstack.ethif import arp_cache, arp_wire

EVIL = 0x0200000000EE


@pytest.fixture
def host():
    return Host()


def received(host):
    """Counters of what was dropped or not believed."""
    names = ("InTooShort", "InBadFormat", "InBadSource", "InBadAddress", "InUnasked", "InLocked")
    return {name: value for name in names if (value := getattr(host.mib, name))}


# -- packets that are not lawful ----------------------------------------------------------------------------------------------


def test_a_packet_cut_short_is_dropped(host):
    whole = arp_wire.build(arp_wire.ArpPacket(1, PEER, PEER_IP, 0, OWN_IP))
    for n in range(28):
        host.device.receive(eth(ALL, PEER, 0x0806, whole[:n]), host.now)
    assert received(host) == {"InTooShort": 28}
    assert host.arp.table() == []


def test_another_protocol_in_the_packet_is_dropped(host):
    whole = bytearray(arp_wire.build(arp_wire.ArpPacket(1, PEER, PEER_IP, 0, OWN_IP)))
    whole[7] = 9  # InARP reply
    host.device.receive(eth(ALL, PEER, 0x0806, bytes(whole)), host.now)
    assert received(host) == {"InBadFormat": 1}


def test_a_sender_that_is_not_the_source_of_the_frame_is_dropped(host):
    host.request(sha=PEER, eth_src=EVIL)
    assert received(host) == {"InBadSource": 1}
    assert host.arp.table() == []
    assert host.device.take() == []


@pytest.mark.parametrize("sha", [0])
def test_a_sender_that_is_no_station_is_dropped(host, sha):
    host.request(sha=sha)
    assert received(host) == {"InBadSource": 1}


def test_a_group_as_sender_is_dropped_whatever_the_frame_says(host):
    host.request(sha=ALL, eth_src=PEER)
    host.request(sha=0x01005E000001, eth_src=PEER)
    assert received(host) == {"InBadSource": 2}
    assert host.arp.table() == []


@pytest.mark.parametrize("spa", [0xFFFFFFFF, 0xE0000001, 0xF0000001, 0x7F000001, 0x00000001], ids=hex)
def test_a_sender_address_that_no_host_has_is_dropped(host, spa):
    host.request(spa=spa)
    host.reply(spa=spa)
    assert received(host) == {"InBadAddress": 2}
    assert host.arp.table() == []
    assert host.device.take() == []


def test_a_reply_without_a_sender_is_dropped(host):
    host.reply(spa=0)
    assert received(host) == {"InBadAddress": 1}


# -- poison -------------------------------------------------------------------------------------------------------------------


def test_a_reply_that_nobody_asked_for_creates_nothing(host):
    host.reply()
    host.reply(eth_dst=ALL)
    assert received(host) == {"InUnasked": 2}
    assert host.arp.table() == []


def test_an_announcement_creates_nothing(host):
    host.request(tpa=PEER_IP)
    host.reply(tpa=PEER_IP, eth_dst=ALL)
    assert host.arp.table() == []


def test_the_first_answer_counts_and_a_second_one_is_too_late(host):
    host.send()
    host.reply(sha=PEER)
    host.reply(sha=EVIL)
    assert (host.state(), host.mac()) == ("REACHABLE", PEER)
    assert received(host) == {"InLocked": 1}


def test_a_confirmed_neighbour_keeps_its_address_while_traffic_flows(host):
    host.resolve()
    for _ in range(20):
        host.run(SECOND // 2)
        host.arp.confirm(PEER_IP, host.now)
        host.reply(sha=EVIL)
        host.request(sha=EVIL)
        host.request(sha=EVIL, tpa=PEER_IP)
    assert (host.state(), host.mac()) == ("REACHABLE", PEER)
    assert host.mib.InLocked == 60


def test_an_address_that_moves_is_followed_but_the_new_place_is_checked(host):
    """RFC 826 merges what a known neighbour announces: that is how addresses fail over."""
    host.resolve()
    host.run(arp_cache.LOCK)
    host.request(sha=OTHER, tpa=PEER_IP)
    assert (host.state(), host.mac()) == ("STALE", OTHER)
    host.send()
    host.run(5 * SECOND)
    packet, check = host.device.take()
    assert packet[:6] == check[:6] == OTHER.to_bytes(6, "big")
    host.reply(sha=OTHER)
    assert host.state() == "REACHABLE"


def test_saying_the_same_again_proves_nothing(host):
    """A forged request must not keep a dead neighbour alive."""
    host.resolve()
    host.run(46 * SECOND)
    host.send()
    host.run(4 * SECOND)
    host.request()
    host.reply()
    assert host.state() == "DELAY"
    host.run(1 * SECOND)
    assert host.state() == "PROBE"
    host.request()
    assert host.state() == "PROBE"


def test_a_question_to_one_neighbour_is_answered_by_that_one_only(host):
    host.resolve()
    host.run(46 * SECOND)
    host.send()
    host.run(5 * SECOND)
    assert host.state() == "PROBE"
    host.reply(sha=EVIL)
    assert (host.state(), host.mac()) == ("STALE", EVIL)  # believed no more than any announcement: to be checked
    host.reply(sha=PEER)
    assert host.mac() == PEER


def test_an_answer_to_another_host_does_not_confirm_to_us(host):
    host.send()
    host.reply(tpa=OTHER_IP, eth_dst=ALL)
    assert host.state() == "DELAY"  # it says where the neighbour is, and that is all


def test_nobody_else_is_remembered_under_our_own_address(host):
    host.request(spa=OWN_IP, tpa=OWN_IP)
    host.reply(spa=OWN_IP)
    assert host.arp.table() == []
    assert host.mib.Conflicts == 2


# -- floods -------------------------------------------------------------------------------------------------------------------


def test_a_flood_of_requests_fills_its_own_shelf_and_no_other(host):
    host.resolve()
    for i in range(2000):
        host.request(sha=0x020000010000 + i, spa=0x0A010000 + i)
    assert len(host.arp.table()) == arp_cache.HEARD_LIMIT + 1
    assert host.state() == "REACHABLE"
    assert host.mib.TableFulls == 2000 - arp_cache.HEARD_LIMIT
    assert host.state(0x0A010000) is None  # the oldest went
    assert host.state(0x0A010000 + 1999) == "STALE"


def test_a_flood_of_ghosts_to_look_for_does_not_cost_a_neighbour_its_place(host):
    host.resolve()
    for i in range(2000):
        host.send(to=0x0A010000 + i)
    assert len(host.arp.table()) == arp_cache.ASKED_LIMIT + 1
    assert host.state() == "REACHABLE"
    assert host.mib.UnresolvedDiscards == 2000 - arp_cache.ASKED_LIMIT
    host.send(to=OTHER_IP)  # and a real neighbour, who answers soon, is still found
    host.reply(sha=OTHER, spa=OTHER_IP)
    assert host.state(OTHER_IP) == "REACHABLE"
    host.run(20 * SECOND)
    assert len(host.arp.table()) == 2


def test_a_full_table_lets_go_of_whoever_was_not_used_lately(host):
    for i in range(arp_cache.KNOWN_LIMIT):
        host.send(to=0x0A010000 + i)
        host.reply(sha=0x020000010000 + i, spa=0x0A010000 + i)
    host.resolve()  # one more: all were touched, and so the first, now the longest untouched, has to go
    assert host.state(0x0A010000) is None
    for i in range(2 * arp_cache.KNOWN_LIMIT):
        host.send()
        host.send(to=0x0A020000 + i)
        host.reply(sha=0x020000020000 + i, spa=0x0A020000 + i)
    assert host.state() == "REACHABLE"  # in use all the while, however many came and went
    assert len(host.arp.table()) == arp_cache.KNOWN_LIMIT


def test_static_entries_do_not_count_and_do_not_go(host):
    host.arp.add_static(PEER_IP, PEER)
    for i in range(arp_cache.KNOWN_LIMIT + 100):
        host.send(to=0x0A010000 + i)
        host.reply(sha=0x020000010000 + i, spa=0x0A010000 + i)
    assert host.state() == "PERMANENT"
    assert len(host.arp.table()) == arp_cache.KNOWN_LIMIT + 1


def test_a_neighbour_that_was_only_heard_moves_to_the_known_when_it_is_sent_to(host):
    host.request()
    host.send()
    for i in range(1000):
        host.request(sha=0x020000010000 + i, spa=0x0A010000 + i)
    assert host.state() == "DELAY"


def test_answers_go_to_the_asker_alone_and_are_no_longer_than_the_question(host):
    host.request()
    (answer,) = host.device.take()
    assert answer[:6] == PEER.to_bytes(6, "big")
    assert len(answer) <= 60
    assert answer[6:12] == OWN.to_bytes(6, "big")
