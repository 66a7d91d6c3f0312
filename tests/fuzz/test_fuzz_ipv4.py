"""Anything at all from the wire: the internet layer drops or delivers, and says which. scapy is the oracle of the format."""

import random
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.ipv4 import reassembly, wire
from netstack.udp import DatagramQueue, Udp
from tests.unit.ipv4.ipworld import A, B, Host, S, datagram, icmp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import IP, fragment
    from scapy.packet import Raw

# where an InReceives ends: delivered, dropped by name, or a fragment that was kept
ENDS = (
    "InDelivers", "InHdrErrors", "InTruncatedPkts", "InMartians", "InAddrErrors", "InOtherGroup", "InLinkCast", "InSourceRoute",
    "InUnknownProtos", "ReasmReqds",
)  # fmt: skip


def world() -> tuple[Host, DatagramQueue]:
    host = Host()
    udp = Udp(host.ip, random.Random(2))
    queue = DatagramQueue(udp.mib)
    udp.bind(0, 53, queue)
    return host, queue


def account(host: Host) -> None:
    """Every datagram that came in has ended somewhere, exactly once, and reassembly's books are right."""
    m = host.ip.mib
    assert sum(getattr(m, name) for name in ENDS) - m.ReasmOKs == m.InReceives
    r = host.ip.reassembly
    assert r.bytes == sum(t.cost for t in r.partials.values())
    assert sum(len(mine) for mine in r.sources.values()) == len(r.partials)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=8))
def test_any_bytes_are_dropped_or_delivered(frames: list[bytes]) -> None:
    host, _ = world()
    for frame in frames:
        host.receive(b"\x45" + frame)  # a point-to-point link looks at the version
    account(host)


ADDRESSES = st.sampled_from([A, B, 0, 0x7F000001, 0xFFFFFFFF, A | 0xFF, 0xE0000001, 0xEF010203, 0xC0000209, 0xF0000001])


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            ADDRESSES, ADDRESSES, st.sampled_from([0, 1, 2, 6, 17, 255]), st.integers(0, 3), st.integers(0, 0xFFFF),
            st.integers(0, 10).map(lambda n: 4 * n), st.binary(max_size=64), st.none() | st.integers(0, 0xFFFF),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_lawful_header_around_anything_is_dropped_or_delivered(
    packets: list[tuple[int, int, int, int, int, int, bytes, int | None]], chance: random.Random
) -> None:
    host, _ = world()
    for src, dst, proto, ident, frag, n, payload, total in packets:
        options = chance.randbytes(n)
        first = 0x40 | (20 + n) // 4
        host.receive(datagram(payload, src, dst, proto, ident, frag, options=options, total=total, first=first))
    account(host)
    host.pass_time(31 * S)
    assert host.ip.reassembly.bytes == 0


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=6000), st.integers(68, 1500), st.randoms(use_true_random=False))
def test_what_scapy_cuts_we_put_together(data: bytes, mtu: int, chance: random.Random) -> None:
    host, _ = world()
    got: list[bytes] = []
    host.ip.icmp.on_echo_reply(7, lambda src, seq, payload, ttl, now: got.append(payload))
    whole = IP(src="10.79.0.2", dst="10.79.0.1", proto=1, id=77) / Raw(icmp(0, 0, 7 << 16, data))
    size = max((mtu - 20) & ~7, 64)  # at most 94 pieces
    frames = [bytes(piece) for piece in fragment(whole, size)]
    frames += chance.sample(frames, min(2, len(frames) - 1))
    chance.shuffle(frames)
    host.receive(*frames)
    assert got == [data] or len(frames) > 1, "not cut at all, and yet not delivered"
    assert got[:1] == [data]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 255), st.integers(20, 65535), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 255),
    st.integers(0, 255), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF),
)  # fmt: skip
def test_headers_are_written_as_scapy_reads_them(
    tos: int, total: int, ident: int, frag: int, ttl: int, proto: int, src: int, dst: int
) -> None:
    b = bytearray(24)
    wire.put_header(b, 2, tos, total, ident, frag, ttl, proto, src, dst)
    head = IP(bytes(b[2:22]))
    assert (head.version, head.ihl, head.tos, head.len, head.id, head.ttl, head.proto) == (4, 5, tos, total, ident, ttl, proto)
    assert int(head.flags) << 13 | head.frag == frag
    check = head.chksum
    del head.chksum
    assert IP(bytes(head)).chksum % 0xFFFF == check % 0xFFFF
    assert b[:2] == b[22:] == b"\0\0"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_options_are_judged_within_the_header(options: bytes) -> None:
    options += bytes(-len(options) % 4)
    ihl = 20 + len(options)
    b = bytearray(20) + options
    fault = wire.option_fault(b, 0, ihl)
    assert fault in (0, -1) or 20 <= fault < ihl


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.booleans(), st.integers(0, 1)), max_size=40))
def test_any_set_of_pieces_gives_the_datagram_or_nothing(pieces: list[tuple[int, int, bool, int]]) -> None:
    """A model: whatever is delivered covers every byte, from pieces that agree where they overlap."""
    host, _ = world()
    got: list[bytes] = []
    host.ip.icmp.on_echo_reply(7, lambda src, seq, payload, ttl, now: got.append(payload))
    whole = icmp(0, 0, 7 << 16, bytes(i * 13 & 255 for i in range(8 * 52)))
    for start, n, more, tail in pieces:
        data = whole[start * 8 : (start + n) * 8 + (0 if more else tail)]
        host.receive(datagram(data, proto=1, frag=start | (0x2000 if more else 0)))
    account(host)
    assert host.ip.mib.ReasmOKs <= 40
    for payload in got:
        assert whole[8:].startswith(payload)
    assert host.ip.reassembly.bytes <= reassembly.BYTES
