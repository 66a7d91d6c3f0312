"""What may come in: header checks, martians, options (RFC 791, RFC 1122 3.2.1)."""

import struct

import pytest

from netstack.address import Cidr, Ip4
from netstack.errors import UsageError
from tests.unit.ipv4.ipworld import FAR, A, B, Host, datagram, echo, fields, sum16

LAYERS = {"InReceives", "InOctets"}


def drop(host: Host, packet: bytes) -> set[str]:
    """The counters that say why the packet was dropped; nothing may be answered."""
    assert host.receive(packet) == []
    return {name for name in host.counted() if name not in LAYERS}


def ping(**changes: object) -> bytes:
    return datagram(echo(b"data"), proto=1, **changes)  # type: ignore[arg-type]


def test_the_link_s_padding_is_not_data() -> None:
    host = Host()
    (reply,) = host.receive(ping() + bytes(14))
    assert fields(reply)["total"] == 32


@pytest.mark.parametrize("n", range(20))
def test_a_frame_shorter_than_a_header(n: int) -> None:
    assert drop(Host(), (b"\x45" + bytes(19))[: max(n, 1)]) == {"InHdrErrors", "InTooShort"}


def test_another_version_behind_the_link_s_back() -> None:
    host = Host()
    assert drop(host, ping(first=0x65)) == set()
    assert host.link.mib.InUnknownType == 1  # a point-to-point link looks at the version itself


@pytest.mark.parametrize("first", [0x40, 0x41, 0x44, 0x4F])
def test_a_header_length_that_cannot_be(first: int) -> None:
    assert drop(Host(), ping(first=first)) == {"InHdrErrors", "InBadLength"}


def test_a_total_length_below_the_header() -> None:
    assert drop(Host(), ping(total=19)) == {"InHdrErrors", "InBadLength"}


def test_a_total_length_beyond_the_frame() -> None:
    assert drop(Host(), ping(total=33)) == {"InTruncatedPkts"}


def test_a_header_whose_checksum_is_wrong() -> None:
    bad = bytearray(ping())
    bad[8] -= 1
    assert drop(Host(), bytes(bad)) == {"InHdrErrors", "InCsumErrors"}


@pytest.mark.parametrize(
    "src", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "10.79.0.255", "10.79.0.1"]
)
def test_a_source_that_is_no_single_other_host(src: str) -> None:
    """LAND is the last: our own address, from the wire."""
    assert drop(Host(), ping(src=int(Ip4.parse(src)))) == {"InMartians"}


@pytest.mark.parametrize("dst", ["0.0.0.0", "0.0.0.1", "127.0.0.1", "240.0.0.1", "255.255.255.254"])
def test_a_destination_that_cannot_be_on_a_wire(dst: str) -> None:
    assert drop(Host(), ping(dst=int(Ip4.parse(dst)))) == {"InMartians"}


def test_a_martian_is_dropped_also_after_a_good_one() -> None:
    """The pair of addresses that was found good is remembered: nothing else may pass on its ticket."""
    host = Host()
    host.receive(ping(), ping(src=A), ping(dst=A + 5), ping())
    assert (host.ip.mib.InMartians, host.ip.mib.InAddrErrors, host.ip.icmp.mib.OutEchoReps) == (1, 1, 2)


def test_for_another_host() -> None:
    assert drop(Host(), ping(dst=FAR)) == {"InAddrErrors"}


def test_for_a_group_that_nobody_joined_and_then_for_one_that_somebody_did() -> None:
    host = Host()
    group = int(Ip4.parse("239.1.2.3"))
    assert drop(host, ping(dst=group)) == {"InMcastPkts", "InOtherGroup"}
    host.ip.join(group)
    host.ip.join(group)
    host.ip.leave(group)
    host.take()
    host.receive(ping(dst=group))
    assert host.ip.mib.InDelivers == 1
    host.ip.leave(group)
    host.receive(ping(dst=group))
    assert host.ip.mib.InOtherGroup == 2
    with pytest.raises(UsageError):
        host.ip.leave(group)
    with pytest.raises(UsageError):
        host.ip.join(A)


def test_an_unknown_protocol_is_unreachable() -> None:
    host = Host()
    packet = datagram(b"whatever it is", proto=200)
    (answer,) = host.receive(packet)
    assert answer[20:22] == b"\x03\x02" and answer[28:] == packet
    assert host.ip.mib.InUnknownProtos == 1


def test_an_address_that_was_removed_is_not_ours() -> None:
    host = Host()
    assert len(host.receive(ping())) == 1
    host.ip.remove_address(Cidr.parse("10.79.0.1/24"))
    assert host.receive(ping()) == [] and host.ip.mib.InAddrErrors == 1


# -- options ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        b"\x00\xff\xff\xff",
        b"\x01\x01\x01\x00",
        b"\x07\x07\x04\0\0\0\0\0",
        b"\x94\x04\0\0",
        b"\x44\x0c\x05\0" + bytes(8),
        b"\x82\x02\x01\x01",
    ],
)
def test_options_are_looked_through_and_ignored(options: bytes) -> None:
    host = Host()
    (reply,) = host.receive(ping(options=options))
    assert reply[24:] == echo(b"data")[4:]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        (b"\x07\x00\0\0", 20),
        (b"\x07\x01\0\0", 20),
        (b"\x01\x07\x04\0", 21),
        (b"\x01\x01\x01\x07", 23),
        (b"\x94\x04\0\0\x07\xff\0\0", 24),
    ],
)
def test_an_option_longer_than_the_header_is_a_parameter_problem(options: bytes, pointer: int) -> None:
    host = Host()
    packet = ping(options=options)
    (answer,) = host.receive(packet)
    assert answer[20:22] == b"\x0c\x00" and answer[24] == pointer and answer[28:] == packet
    assert (host.ip.mib.InBadOptions, host.ip.mib.InHdrErrors, host.ip.icmp.mib.OutParmProbs) == (1, 1, 1)


@pytest.mark.parametrize("kind", [131, 137])
def test_source_routes_are_refused_in_silence(kind: int) -> None:
    options = struct.pack("!BBBIB", kind, 7, 4, B, 0)
    assert drop(Host(), ping(options=options)) == {"InSourceRoute"}


# -- several addresses --------------------------------------------------------------------------------------------------------


def test_every_address_of_ours_answers_from_itself() -> None:
    host = Host()
    host.ip.add_address(Cidr.parse("10.80.0.1/16"))
    other = int(Ip4.parse("10.80.0.1"))
    (reply,) = host.receive(ping(dst=other))
    assert fields(reply)["src"] == other


def test_0_0_0_0_may_ask_everybody_for_its_address() -> None:
    host = Host("")
    payload = b"\0\x44\0\x43\0\x0c\0\0disc"
    host.receive(datagram(payload, src=0, dst=0xFFFFFFFF))
    assert host.counted() == {"InReceives": 1, "InOctets": 32, "InBcastPkts": 1, "InUnknownProtos": 1, "OutForbidden": 1}


def test_all_counters_have_a_meaning_and_start_at_zero() -> None:
    host = Host()
    for group in (host.ip.mib, host.ip.icmp.mib):
        assert set(group.snapshot().values()) == {0}
        assert all(group.MEANING.values())


def test_the_oracle_of_these_tests_sums_as_rfc_1071_does() -> None:
    assert sum16(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2
