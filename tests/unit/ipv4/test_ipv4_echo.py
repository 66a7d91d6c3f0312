"""Echo both ways (RFC 792, RFC 1122 3.2.2.6)."""

import pytest

from netstack.errors import Unreachable, UsageError
from tests.unit.ipv4.ipworld import FAR, A, B, Host, datagram, echo, fields, icmp, put_together, sum16


def test_echo_request_is_answered_with_its_own_data() -> None:
    host = Host()
    request = datagram(echo(b"hell"), proto=1, tos=0x10)
    (reply,) = host.receive(request)
    head = fields(reply)
    assert (head["src"], head["dst"], head["proto"], head["ttl"], head["tos"]) == (A, B, 1, 64, 0x10)
    assert reply[20:22] == b"\0\0" and reply[24:] == request[24:]
    assert sum16(reply[20:]) == 0
    assert host.ip.icmp.mib.InEchos == host.ip.icmp.mib.OutEchoReps == 1


def test_literal_echo_request_and_reply() -> None:
    """20 bytes of IPv4, 8 of ICMP, eight times an `a`."""
    host = Host()
    request = bytes.fromhex("4500002400004000400126390a4f00020a4f000108007272000700016161616161616161")
    (reply,) = host.receive(request)
    assert reply[20:] == bytes.fromhex("00007a72000700016161616161616161")
    assert reply[:4] + reply[8:10] + reply[12:20] == bytes.fromhex("4500002440010a4f00010a4f0002")


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 1471, 1472, 1473, 60_000, 65_507])
def test_echo_of_every_size_comes_back_whole(size: int) -> None:
    host = Host()
    data = bytes(i * 7 & 255 for i in range(size))
    message = echo(data)
    frames = [
        datagram(message[at : at + 1480], proto=1, ident=9, frag=at // 8 | (0x2000 if at + 1480 < len(message) else 0))
        for at in range(0, len(message), 1480)
    ]
    replies = host.receive(*frames)
    whole = put_together(replies)
    assert whole[0] == 0 and whole[8:] == data and sum16(whole) == 0
    assert all(len(reply) <= 1500 for reply in replies)


@pytest.mark.parametrize("dst", [0xFFFFFFFF, A | 0xFF, 0xE0000001])
def test_echo_to_everybody_is_not_answered(dst: int) -> None:
    host = Host()
    assert host.receive(datagram(echo(b"smurf"), dst=dst, proto=1)) == []
    assert host.ip.icmp.mib.InEchosIgnored == 1


def test_echo_with_a_wrong_checksum_is_dropped() -> None:
    host = Host()
    bad = bytearray(datagram(echo(b"hello!"), proto=1))
    bad[-1] ^= 1
    assert host.receive(bytes(bad)) == []
    assert host.ip.icmp.mib.InCsumErrors == host.ip.icmp.mib.InErrors == 1


@pytest.mark.parametrize("message", [b"", b"\x08", b"\x08\x00\xf7\xff\x00\x00\x00"])
def test_a_message_shorter_than_8_bytes_is_dropped(message: bytes) -> None:
    host = Host()
    assert host.receive(datagram(message, proto=1)) == []
    assert host.ip.icmp.mib.InErrors == 1


def test_echo_can_be_switched_off() -> None:
    host = Host(answer_echo=False)
    assert host.receive(datagram(echo(b"x"), proto=1)) == []
    assert host.ip.icmp.mib.InEchosIgnored == 1


def test_ping_sends_a_request_and_hands_over_the_reply() -> None:
    host = Host()
    got: list[tuple[int, int, bytes, int, int]] = []
    host.ip.icmp.on_echo_reply(0xBEEF, lambda *reply: got.append(reply))
    host.ip.icmp.ping(FAR, 0xBEEF, 3, b"payload", host.now, ttl=5)
    (request,) = host.take()
    assert fields(request) | {"src": A, "dst": FAR, "ttl": 5, "proto": 1} == fields(request)
    assert request[20:] == echo(b"payload", 0xBEEF, 3)
    host.receive(datagram(icmp(0, 0, 0xBEEF0003, b"payload"), src=FAR, proto=1, ttl=55))
    assert got == [(FAR, 3, b"payload", 55, host.now)]


def test_a_ping_of_60000_bytes_leaves_in_fragments_and_its_reply_is_put_together() -> None:
    host = Host()
    got: list[bytes] = []
    host.ip.icmp.on_echo_reply(1, lambda src, seq, payload, ttl, now: got.append(payload))
    data = bytes(range(256)) * 235
    host.ip.icmp.ping(B, 1, 1, data, host.now)
    sent = host.take()
    assert put_together(sent) == echo(data, 1, 1)
    assert (host.ip.mib.FragOKs, host.ip.mib.FragCreates) == (1, len(sent))
    assert len({fields(packet)["ident"] for packet in sent}) == 1
    message = icmp(0, 0, 0x00010001, data)
    host.receive(*[
        datagram(message[at : at + 1480], proto=1, frag=at // 8 | (0x2000 if at + 1480 < len(message) else 0))
        for at in reversed(range(0, len(message), 1480))
    ])  # fmt: skip
    assert got == [data]
    assert host.ip.mib.ReasmOKs == 1


def test_a_reply_that_nobody_waits_for_is_counted() -> None:
    host = Host()
    host.receive(datagram(icmp(0, 0, 0x00010001), proto=1))
    assert host.ip.icmp.mib.InEchoRepsUnasked == 1


def test_pinging_ourselves_goes_through_the_queue_and_never_to_the_wire() -> None:
    host = Host()
    got: list[bytes] = []
    host.ip.icmp.on_echo_reply(1, lambda src, seq, payload, ttl, now: got.append(payload))
    for dst in (A, 0x7F000001, 0x7F123456):
        got.clear()
        host.ip.icmp.ping(dst, 1, 1, b"me" * 30_000, host.now)
        assert got == [], "a send must not end in a receive"
        assert host.timers.next_deadline() <= host.now
        host.pass_time(0)
        host.pass_time(0)
        assert got == [b"me" * 30_000]
    assert host.take() == []


def test_two_handlers_for_one_identifier_are_refused() -> None:
    host = Host()
    host.ip.icmp.on_echo_reply(1, lambda *reply: None)
    with pytest.raises(UsageError, match="already waiting"):
        host.ip.icmp.on_echo_reply(1, lambda *reply: None)
    host.ip.icmp.on_echo_reply(1, None)
    host.ip.icmp.on_echo_reply(1, lambda *reply: None)


def test_ping_without_a_route_is_unreachable() -> None:
    host = Host()
    host.ip.set_gateway(None)
    with pytest.raises(Unreachable):
        host.ip.icmp.ping(FAR, 1, 1, b"", host.now)
    assert (host.ip.mib.OutNoRoutes, host.ip.icmp.mib.OutErrors) == (1, 1)
