"""ICMP errors: when they may leave, how many, and which of those that come are believed."""

import struct

import pytest

from netstack.address import Cidr, Ip4
from netstack.cores import IpError
from netstack.ipv4.icmp import BURST, Bucket
from netstack.ipv4.icmp_wire import plateau
from tests.unit.ipv4.ipworld import FAR, MS, A, B, Host, S, datagram, echo, fields, icmp, sum16

UNKNOWN = 200  # a protocol that nobody handles, so that each such datagram asks for an error


class Flat:
    """No chance at all: every draw is the middle, so each error costs exactly one share."""

    def getrandbits(self, k: int, /) -> int:
        return 1 << (k - 1)


def test_the_quote_is_as_much_as_fits_into_576_bytes() -> None:
    host = Host()
    packet = datagram(bytes(range(256)) * 5, proto=UNKNOWN, tos=0xB8)
    (answer,) = host.receive(packet)
    head = fields(answer)
    assert (head["total"], head["tos"], head["ttl"]) == (576, 0, 64)
    assert answer[28:] == packet[:548] and sum16(answer[20:]) == 0


@pytest.mark.parametrize("type", [3, 4, 5, 11, 12, 1, 40, 255])
def test_never_about_an_error(type: int) -> None:
    """An option that runs out of the header would be reported, were it not in a message that may be an error itself."""
    host = Host()
    assert host.receive(datagram(icmp(type, 0, 0, bytes(28)), proto=1, options=b"\x07\xff\0\0")) == []
    assert host.ip.icmp.mib.OutForbidden == 1


@pytest.mark.parametrize("type", [0, 8, 13])
def test_but_about_queries(type: int) -> None:
    assert len(Host().receive(datagram(icmp(type, 0, 0), proto=1, options=b"\x07\xff\0\0"))) == 1


@pytest.mark.parametrize("dst", [0xFFFFFFFF, A | 0xFF, 0xE0000001])
def test_never_about_broadcast_and_multicast(dst: int) -> None:
    host = Host()
    assert host.receive(datagram(b"", dst=dst, proto=UNKNOWN)) == []
    assert host.ip.icmp.mib.OutForbidden == 1


def test_never_about_a_later_fragment() -> None:
    host = Host()
    assert host.receive(datagram(bytes(16), proto=UNKNOWN, frag=0x2001, options=b"\x07\xff\0\0")) == []
    assert host.ip.icmp.mib.OutForbidden == 1


def test_a_flood_gets_a_bounded_number_of_answers() -> None:
    host = Host()
    answers = host.receive(*[datagram(b"", proto=UNKNOWN)] * 1000)
    assert 25 <= len(answers) <= 100
    assert host.ip.icmp.mib.OutRateLimitGlobal == 1000 - len(answers)
    host.now += S
    assert host.receive(datagram(b"", proto=UNKNOWN))


def test_the_limit_is_the_configured_rate_over_time() -> None:
    bucket = Bucket(Flat(), 100)
    passed = sum(bucket.take(t * MS) for t in range(10_000))
    assert 1000 <= passed <= 1000 + BURST


def test_how_many_pass_in_a_burst_is_not_a_constant() -> None:
    """SAD DNS counted the answers to a burst; with a random cost the count says nothing."""
    counts = {len(Host(seed=seed).receive(*[datagram(b"", proto=UNKNOWN)] * 200)) for seed in range(12)}
    assert len(counts) >= 4, counts


def test_redirects_and_source_quench_and_strangers_are_counted_and_ignored() -> None:
    host = Host()
    host.receive(*[datagram(icmp(type, 0, B, bytes(28)), proto=1) for type in (4, 5, 9, 13, 14, 17, 18, 77)])
    got = host.counted()
    names = ("InSrcQuenchs", "InRedirects", "InTimestamps", "InTimestampReps", "InAddrMasks", "InAddrMaskReps")
    assert [got[name] for name in names] == [1] * 6 and got["InUnknownTypes"] == 2
    assert host.take() == [] and len(host.ip.route_table) == 2


# -- errors about what we sent ------------------------------------------------------------------------------------------------


class Pinger(Host):
    def __init__(self) -> None:
        super().__init__()
        self.errors: list[tuple[IpError, int]] = []
        self.ip.icmp.on_echo_reply(7, lambda *reply: None, lambda e, seq, now: self.errors.append((e, seq)))

    def sent(self, size: int = 8, dst: int = FAR, df: bool = True) -> bytes:
        self.ip.icmp.ping(dst, 7, 42, bytes(size), self.now, df=df)
        return self.take()[0]

    def report(self, type: int, code: int, quote: bytes, rest: int = 0) -> None:
        self.receive(datagram(icmp(type, code, rest, quote), proto=1))


@pytest.mark.parametrize(("type", "code"), [(3, 0), (3, 1), (3, 13), (11, 0), (11, 1), (12, 0)])
def test_an_error_reaches_whoever_sent_the_datagram(type: int, code: int) -> None:
    host = Pinger()
    host.report(type, code, host.sent()[:28])
    ((e, seq),) = host.errors
    assert (e.type, e.code, e.src, e.dst, e.reporter, e.mtu, seq) == (type, code, A, FAR, B, 0, 42)
    assert e.quote == echo(bytes(8), 7, 42)[:8]


def test_a_quote_that_is_no_packet_of_ours_is_not_believed() -> None:
    host = Pinger()
    for quote in (datagram(echo(b""), FAR, B, 1), datagram(echo(b""), 0x7F000001, B, 1)):
        host.report(3, 1, quote)
    assert host.errors == [] and host.ip.icmp.mib.InBadQuote == 2


@pytest.mark.parametrize("n", range(28))
def test_a_quote_that_is_too_short(n: int) -> None:
    host = Pinger()
    host.report(3, 1, host.sent()[:n])
    assert host.errors == [] and host.ip.icmp.mib.InBadQuote == 1


@pytest.mark.parametrize(
    "change", [lambda q: b"\x65" + q[1:], lambda q: b"\x44" + q[1:], lambda q: b"\x4f" + q[1:], lambda q: q[:6] + b"\0\x01" + q[8:],
               lambda q: q[:2] + b"\0\x1b" + q[4:]],
)  # fmt: skip
def test_a_quote_that_is_no_first_fragment_of_ipv4(change: object) -> None:
    host = Pinger()
    host.report(3, 1, change(host.sent()[:28]))  # type: ignore[operator]
    assert host.errors == [] and host.ip.icmp.mib.InBadQuote == 1


def test_an_error_for_a_transport_that_is_not_there_is_nobodys() -> None:
    host = Pinger()
    host.report(3, 3, datagram(bytes(8), A, B, 17))
    assert host.ip.icmp.mib.InDestUnreachs == 1


# -- path MTU -----------------------------------------------------------------------------------------------------------------


def test_a_path_mtu_is_learnt_for_ten_minutes() -> None:
    host = Pinger()
    assert host.ip.mtu_for(FAR, host.now) == 1500
    host.report(3, 4, host.sent(1400), 1280)
    assert host.errors[0][0].mtu == 1280
    assert host.ip.mtu_for(FAR, host.now) == 1280
    assert host.ip.mtu_for(FAR + 1, host.now) == 1500
    assert host.ip.mtu_for(FAR, host.now + 600 * S) == 1500


def test_a_path_mtu_that_no_transport_recognises_is_not_learnt() -> None:
    """RFC 5927 7: a blind liar quotes ports and sequence numbers that nobody used."""
    host = Pinger()
    for proto in (6, 17, 99):
        host.report(3, 4, datagram(bytes(1400), A, FAR, proto), 600)
    assert host.ip.icmp.mib.InDestUnreachs == 3
    assert host.ip.mtu_for(FAR, host.now) == 1500


@pytest.mark.parametrize(("size", "guess"), [(1472, 1492), (1464, 1006), (1000, 1006), (978, None), (100, None)])
def test_a_router_that_gives_no_mtu_means_the_next_plateau(size: int, guess: int | None) -> None:
    host = Pinger()
    host.report(3, 4, host.sent(size), 0)
    assert host.ip.mtu_for(FAR, host.now) == (guess or 1500)


@pytest.mark.parametrize(
    ("size", "mtu"), [(1400, 551), (1400, 68), (1400, 1), (1400, 1428), (1400, 1500), (1400, 65535), (100, 600)]
)
def test_an_mtu_that_cannot_be_true_or_is_too_small_is_not_believed(size: int, mtu: int) -> None:
    host = Pinger()
    host.report(3, 4, host.sent(size), mtu)
    assert host.ip.mtu_for(FAR, host.now) == 1500 and host.errors == []
    assert host.ip.icmp.mib.InBadMtu == 1


def test_what_may_be_cut_is_cut_at_the_link_only_whatever_was_learnt() -> None:
    host = Pinger()
    host.report(3, 4, host.sent(1400), 552)
    assert len(host.sent(1400, df=False)) == 1428


def test_liars_fill_a_bounded_table_and_the_least_recently_used_goes_first() -> None:
    host = Pinger()
    quote = host.sent(1400)
    for i in range(1500):
        host.report(3, 4, quote[:16] + struct.pack("!I", FAR + i) + quote[20:], 1000)
        host.ip.mtu_for(FAR, host.now)
    assert len(host.ip.path_mtus.entries) == 1024
    assert host.ip.mtu_for(FAR, host.now) == 1000
    assert host.ip.mtu_for(FAR + 1, host.now) == 1500


def test_plateaus() -> None:
    assert [plateau(n) for n in (65535, 1500, 1492, 69, 68, 20)] == [32000, 1492, 1006, 68, 68, 68]


def test_no_error_goes_to_a_directed_broadcast_of_another_subnet_of_ours() -> None:
    host = Host()
    host.ip.add_address(Cidr.parse("10.80.0.1/16"))
    assert host.receive(datagram(b"", src=int(Ip4.parse("10.80.255.255")), proto=UNKNOWN)) == []
    assert host.ip.mib.InMartians == 1
