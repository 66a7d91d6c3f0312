"""IGMPv2 of a host (RFC 2236)."""

import struct

import pytest

from netstack.address import Ip4
from tests.unit.ipv4.ipworld import MS, A, B, Host, S, datagram, fields, sum16

GROUP = int(Ip4.parse("239.1.2.3"))
OTHER = int(Ip4.parse("239.1.2.4"))
ALL_SYSTEMS, ALL_ROUTERS = 0xE0000001, 0xE0000002
REPORT, LEAVE, V1_REPORT = 0x16, 0x17, 0x12
ALERT = b"\x94\x04\0\0"


def igmp(type: int, most: int, group: int, more: bytes = b"", dst: int = ALL_SYSTEMS) -> bytes:
    body = struct.pack("!BBHI", type, most, 0, group) + more
    body = body[:2] + struct.pack("!H", sum16(body)) + body[4:]
    return datagram(body, dst=dst, proto=2, ttl=1, options=ALERT)


class Member(Host):
    def said(self, packets: list[bytes]) -> list[tuple[int, int, int]]:
        """Type, group and destination of IGMP messages, which must be lawful."""
        got = []
        for packet in packets:
            head = fields(packet)
            assert (head["proto"], head["ttl"], head["src"], packet[20:24]) == (2, 1, A, ALERT)
            body = packet[24:]
            assert len(body) == 8 and sum16(body) == 0 and body[1] == 0
            got.append((body[0], int.from_bytes(body[4:], "big"), head["dst"]))
        return got

    def run(self, seconds: float) -> list[tuple[int, int, int]]:
        """What is said in that time, and when the timers ask for it."""
        end = self.now + int(seconds * S)
        packets = []
        while (deadline := self.timers.next_deadline()) <= end:
            packets += self.pass_time(max(deadline, self.now) - self.now)
        self.now = end
        return self.said(packets)


def settled() -> Member:
    host = Member()
    host.ip.join(GROUP)
    host.run(60)
    return host


def test_joining_is_reported_at_once_and_twice_more() -> None:
    host = Member()
    host.ip.join(GROUP)
    host.ip.join(GROUP)
    assert host.run(0) == [(REPORT, GROUP, GROUP)]
    assert host.run(21) == [(REPORT, GROUP, GROUP)] * 2
    assert host.run(600) == []
    assert host.ip.igmp.mib.OutReports == 3


def test_leaving_is_said_to_the_routers_by_the_last() -> None:
    host = Member()
    host.ip.join(GROUP)
    host.ip.join(GROUP)
    host.run(60)
    host.ip.leave(GROUP)
    assert host.run(60) == []
    host.ip.leave(GROUP)
    assert host.run(60) == [(LEAVE, GROUP, ALL_ROUTERS)]


@pytest.mark.parametrize("group", [0, GROUP])
def test_a_query_is_answered_within_its_time(group: int) -> None:
    host = settled()
    assert host.receive(igmp(0x11, 20, group)) == []
    assert host.run(2) == [(REPORT, GROUP, GROUP)]
    assert host.run(100) == []


def test_a_query_for_another_group_is_not_answered() -> None:
    host = settled()
    host.receive(igmp(0x11, 20, OTHER))
    assert host.run(100) == []


def test_another_members_report_is_enough_and_then_leaving_is_silent() -> None:
    host = settled()
    host.receive(igmp(0x11, 100, 0), igmp(REPORT, 0, GROUP, dst=GROUP))
    assert host.run(100) == []
    host.ip.leave(GROUP)
    assert host.run(100) == []


def test_a_version_1_router_gets_version_1_answers_and_no_leave_for_400_seconds() -> None:
    host = settled()
    host.receive(igmp(0x11, 0, 0))
    assert host.run(10) == [(V1_REPORT, GROUP, GROUP)]
    host.ip.leave(GROUP)
    assert host.run(1) == []
    host.ip.join(OTHER)
    assert set(host.run(100)) == {(V1_REPORT, OTHER, OTHER)}
    host.run(300)
    host.ip.leave(OTHER)
    assert host.run(1) == [(LEAVE, OTHER, ALL_ROUTERS)]


@pytest.mark.parametrize(("most", "seconds"), [(100, 10), (0x80, 12.8), (0xFF, 3174.4)])
def test_a_version_3_query_is_answered_as_version_2(most: int, seconds: float) -> None:
    host = settled()
    host.receive(igmp(0x11, most, 0, bytes(4)))
    assert host.run(seconds) == [(REPORT, GROUP, GROUP)]


def test_all_systems_is_joined_by_everybody_and_reported_by_nobody() -> None:
    host = Member()
    host.ip.join(ALL_SYSTEMS)
    host.receive(igmp(0x11, 10, 0))
    assert host.run(60) == []


def test_answers_of_many_groups_are_spread() -> None:
    host = Member()
    for i in range(40):
        host.ip.join(GROUP + i)
    host.run(60)
    host.receive(igmp(0x11, 100, 0))
    early = len(host.run(5))
    assert 5 < early < 35 and early + len(host.run(5)) == 40


def test_mangled_messages_are_counted() -> None:
    host = settled()
    good = igmp(0x11, 10, 0)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    host.receive(bad, datagram(b"\x11\0\0", dst=ALL_SYSTEMS, proto=2), igmp(0x99, 0, 0), igmp(REPORT, 0, OTHER))
    m = host.ip.igmp.mib
    assert (m.InMsgs, m.InErrors, m.InOther, m.InReports, m.InQueries) == (4, 2, 1, 1, 0)
    assert host.run(100) == []


def test_joining_again_right_after_leaving_is_no_leave() -> None:
    host = settled()
    host.ip.leave(GROUP)
    host.ip.join(GROUP)
    assert set(host.run(60)) == {(REPORT, GROUP, GROUP)}
    assert host.pass_time(MS) == [] and B not in host.ip.routes.groups
