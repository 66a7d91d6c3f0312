"""Claiming addresses and keeping them (RFC 5227)."""

import itertools

import pytest
from ethif_world import ALL, OTHER, OTHER_IP, OWN, OWN_IP, PEER, PEER_IP, SECOND, Host, arp_of

from netstack.errors import UsageError
from netstack.ethif.arp import ArpConfig
from netstack.ethif.arp_claim import DEFEND_INTERVAL
from netstack.ethif.arp_wire import REPLY

PROBE = bytes.fromhex("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 00000000 000000000000 0a000001")
ANNOUNCEMENT = bytes.fromhex("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000001")


@pytest.fixture
def host():
    return Host(address=None)


# -- taking an address --------------------------------------------------------------------------------------------------------


def test_an_address_is_announced_twice_and_usable_at_once(host):
    host.arp.add_address(OWN_IP, host.now)
    assert host.arp.is_usable(OWN_IP)
    host.run(60 * SECOND)
    assert host.device.sent == [(0, ANNOUNCEMENT), (2 * SECOND, ANNOUNCEMENT)]
    assert host.mib.OutAnnouncements == 2
    assert host.events == []


@pytest.mark.parametrize("seed", range(20))
def test_probing_asks_three_times_waits_and_announces(seed):
    host = Host(address=None, seed=seed)
    host.arp.add_address(OWN_IP, 0, probe=True)
    assert host.device.sent == []
    host.run(60 * SECOND)
    assert [frame for _, frame in host.device.sent] == [PROBE] * 3 + [ANNOUNCEMENT] * 2
    at = [when for when, _ in host.device.sent]
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert 0 <= at[0] <= SECOND  # PROBE_WAIT
    assert all(SECOND <= gap <= 2 * SECOND for gap in gaps[:2])  # PROBE_MIN, PROBE_MAX
    assert gaps[2:] == [2 * SECOND, 2 * SECOND]  # ANNOUNCE_WAIT, ANNOUNCE_INTERVAL
    assert host.events == [("ready", OWN_IP, at[3])]


def test_hosts_that_boot_together_do_not_probe_together():
    starts = set()
    for seed in range(20):
        host = Host(address=None, seed=seed)
        host.arp.add_address(OWN_IP, 0, probe=True)
        host.run(SECOND)
        starts.add(host.device.sent[0][0])
    assert len(starts) > 15


def test_an_address_that_is_probed_for_is_neither_used_nor_answered_for(host):
    host.arp.add_address(OWN_IP, 0, probe=True)
    host.run(3 * SECOND)
    assert host.arp.is_tentative(OWN_IP)
    assert not host.arp.is_usable(OWN_IP)
    host.device.take()
    host.request()
    host.send()
    assert host.device.take() == []
    assert host.state() == "INCOMPLETE"
    host.run(5 * SECOND)
    assert not host.arp.is_tentative(OWN_IP)
    assert host.arp.is_usable(OWN_IP)
    host.device.take()
    host.request()
    assert arp_of(host.device.take()[0])[1].op == REPLY


@pytest.mark.parametrize("wait", [0, 1, 3, 3.99])
@pytest.mark.parametrize("how", ["reply", "request", "announcement", "probe"])
def test_an_address_that_shows_to_be_taken_while_probing_is_not_taken(host, wait, how):
    host.arp.add_address(OWN_IP, 0, probe=True)
    host.run(int(wait * SECOND))
    sent = len(host.device.sent)
    assert host.arp.is_tentative(OWN_IP)
    if how == "reply":
        host.reply(spa=OWN_IP, tpa=0)
    elif how == "request":
        host.request(spa=OWN_IP, tpa=OTHER_IP)
    elif how == "announcement":
        host.request(spa=OWN_IP, tpa=OWN_IP)
    else:  # somebody else probes for it at the same time
        host.request(spa=0, tpa=OWN_IP)
    assert host.events == [("conflict", OWN_IP, PEER, host.now), ("lost", OWN_IP, PEER, host.now)]
    assert not host.arp.is_usable(OWN_IP)
    host.run(60 * SECOND)
    assert len(host.device.sent) == sent  # not a word more about it
    assert (host.mib.Conflicts, host.mib.AddressesLost) == (1, 1)


def test_a_question_for_the_address_is_no_conflict(host):
    host.arp.add_address(OWN_IP, 0, probe=True)
    host.run(2 * SECOND)
    host.request()
    host.run(10 * SECOND)
    assert [event[0] for event in host.events] == ["ready"]


def test_after_ten_conflicts_probing_slows_down_to_one_address_a_minute(host):
    for i in range(10):
        host.arp.add_address(OWN_IP + i, host.now, probe=True)
        host.request(spa=OWN_IP + i, tpa=OWN_IP + i)
    assert host.mib.AddressesLost == 10
    last = host.now  # the tenth attempt began here
    host.run(SECOND)
    host.arp.add_address(OWN_IP, host.now, probe=True)
    host.run(59 * SECOND - 1)
    assert host.device.take() == []
    host.run(2 * SECOND)
    assert host.device.sent[0][0] >= last + 60 * SECOND
    assert host.device.take() == [PROBE]
    host.arp.add_address(OWN_IP + 1, host.now, probe=True)  # and the one after waits its own turn
    host.run(20 * SECOND)
    assert not any(arp_of(frame)[1].tpa == OWN_IP + 1 for frame in host.device.take())
    host.run(60 * SECOND)
    assert host.arp.is_usable(OWN_IP + 1)


@pytest.mark.parametrize("ip", [0, 1, 0x7F000001, 0xE0000001, 0xF0000000, 0xFFFFFFFF])
def test_an_address_that_no_host_has_cant_be_claimed(host, ip):
    with pytest.raises(UsageError, match="can't be a host's address"):
        host.arp.add_address(ip, 0)


def test_an_address_is_claimed_once(host):
    host.arp.add_address(OWN_IP, 0)
    with pytest.raises(UsageError, match=r"10\.0\.0\.1 is one of our addresses already"):
        host.arp.add_address(OWN_IP, 0, probe=True)


def test_an_address_taken_back_while_probing_is_not_heard_of_again(host):
    host.arp.add_address(OWN_IP, 0, probe=True)
    host.run(2 * SECOND)
    host.arp.remove_address(OWN_IP)
    host.device.take()
    host.run(60 * SECOND)
    assert host.device.take() == []
    assert host.events == []


def test_a_neighbour_whose_address_we_take_over_is_forgotten():
    host = Host()
    host.resolve()
    host.arp.add_address(PEER_IP, host.now)
    assert host.state() is None


# -- keeping it ---------------------------------------------------------------------------------------------------------------


def test_an_address_in_use_is_defended_by_one_announcement():
    host = Host()
    host.request(spa=OWN_IP, tpa=OTHER_IP)
    assert host.device.take() == [ANNOUNCEMENT]
    assert host.events == [("conflict", OWN_IP, PEER, host.now)]
    assert (host.mib.Conflicts, host.mib.Defences) == (1, 1)
    assert host.arp.is_usable(OWN_IP)


def test_a_flood_of_conflicts_is_answered_once_in_ten_seconds_and_the_address_kept():
    host = Host()
    for _ in range(100):
        host.reply(spa=OWN_IP)
        host.run(DEFEND_INTERVAL // 50)
    assert host.device.take() == [ANNOUNCEMENT] * 2
    assert host.mib.Conflicts == 100
    assert len(host.events) == 2
    assert host.arp.is_usable(OWN_IP)


def test_told_not_to_keep_it_the_second_conflict_in_ten_seconds_costs_the_address():
    host = Host(config=ArpConfig(keep_defending=False))
    host.request(spa=OWN_IP)
    host.run(DEFEND_INTERVAL - 1)
    host.request(sha=OTHER, spa=OWN_IP)
    assert host.device.take() == [ANNOUNCEMENT]
    assert [event[0] for event in host.events] == ["conflict", "conflict", "lost"]
    assert host.events[-1] == ("lost", OWN_IP, OTHER, host.now)
    assert not host.arp.is_usable(OWN_IP)
    host.request()
    assert host.device.take() == []


def test_told_not_to_keep_it_two_conflicts_far_apart_are_both_fought():
    host = Host(config=ArpConfig(keep_defending=False))
    for _ in range(3):
        host.request(spa=OWN_IP)
        host.run(DEFEND_INTERVAL)
    assert host.device.take() == [ANNOUNCEMENT] * 3
    assert host.arp.is_usable(OWN_IP)


def test_a_conflict_during_the_announcements_is_defended_too(host):
    host.arp.add_address(OWN_IP, 0)
    host.run(SECOND)
    host.request(spa=OWN_IP)
    assert host.arp.is_usable(OWN_IP)
    host.run(10 * SECOND)
    assert host.device.take() == [ANNOUNCEMENT] * 3


def test_our_own_announcement_coming_back_is_no_conflict():
    host = Host()
    host.request(sha=OWN, spa=OWN_IP, tpa=OWN_IP, eth_dst=ALL)
    assert host.mib.Conflicts == 0
    assert host.link.mib.InOwnEcho == 1
