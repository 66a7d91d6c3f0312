"""Reassembly (RFC 791 3.2), and those who abuse it."""

import itertools
import random

import pytest

from netstack.ipv4 import reassembly
from tests.unit.ipv4.ipworld import A, B, Host, S, datagram, fields, icmp, sum16

MF = 0x2000


class Sink(Host):
    """Keeps what echo replies bring: the payload of whole datagrams."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []
        self.ip.icmp.on_echo_reply(7, lambda src, seq, payload, ttl, now: self.got.append(payload))

    def reasm(self) -> dict[str, int]:
        return {name: value for name, value in self.counted().items() if name.startswith("Reasm")}


def message(n: int) -> bytes:
    return icmp(0, 0, 7 << 16, bytes(i * 31 & 255 for i in range(n - 8)))


def piece(whole: bytes, start: int, end: int, more: bool | None = None, **changes: object) -> bytes:
    flag = (end < len(whole)) if more is None else more
    options = {"proto": 1, "frag": start // 8 | (MF if flag else 0), **changes}
    return datagram(whole[start:end], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_pieces_in_any_order_make_the_datagram(order: tuple[int, ...]) -> None:
    host = Sink()
    whole = message(3000)
    cuts = [0, 8, 800, 2400, 3000]
    host.receive(*[piece(whole, cuts[i], cuts[i + 1]) for i in order])
    assert host.got == [whole[8:]]
    assert host.reasm() == {"ReasmReqds": 4, "ReasmOKs": 1}
    assert host.ip.reassembly.bytes == 0 and not host.ip.reassembly.partials and not host.ip.reassembly.sources


def test_a_piece_that_comes_twice_is_taken_once() -> None:
    host = Sink()
    whole = message(3000)
    first, second, third = piece(whole, 0, 1000), piece(whole, 1000, 2000), piece(whole, 2000, 3000)
    host.receive(first, first, third, second, first)
    assert host.got == [whole[8:]]


@pytest.mark.parametrize(("start", "end"), [(0, 8), (0, 1008), (8, 16), (992, 1008), (992, 1000), (0, 992), (984, 2008)], ids=str)
def test_teardrop_overlaps_give_up_the_datagram(start: int, end: int) -> None:
    host = Sink()
    whole = message(3000)
    host.receive(piece(whole, 0, 1000), piece(whole, start, end), piece(whole, 1000, 2000), piece(whole, 2000, 3000))
    assert host.got == []
    assert host.ip.mib.ReasmOverlaps == host.ip.mib.ReasmFails == 1
    assert host.ip.mib.ReasmLate == 2, "its remaining pieces begin no new datagram"
    assert host.ip.reassembly.bytes == reassembly.ENTRY


def test_the_same_place_with_other_bytes_is_an_overlap() -> None:
    host = Sink()
    whole = message(3000)
    host.receive(piece(whole, 0, 1000), piece(bytes(3000), 0, 1000))
    assert host.ip.mib.ReasmOverlaps == 1


def test_an_overlap_with_the_piece_after_it() -> None:
    host = Sink()
    whole = message(3000)
    host.receive(piece(whole, 1000, 2000), piece(whole, 0, 1008))
    assert host.ip.mib.ReasmOverlaps == 1


def test_ping_of_death_is_dropped_at_first_sight() -> None:
    host = Sink()
    host.receive(datagram(bytes(1400), proto=1, frag=65528 // 8))
    assert host.ip.mib.ReasmTooBig == host.ip.mib.ReasmFails == 1
    assert host.ip.reassembly.bytes == reassembly.ENTRY


def test_the_longest_datagram_is_put_together_and_one_byte_more_is_not() -> None:
    for n, options, good in ((65515, b"", True), (65512, b"\x01\x01\x01\x00", False)):
        host = Sink()
        whole = message(n)
        frames = [piece(whole, at, min(at + 1000, n)) for at in range(0, n, 1000)]
        frames[0] = piece(whole, 0, 1000, options=options)
        host.receive(*frames)
        assert (host.got == [whole[8:]]) is good
        assert host.ip.mib.ReasmTooBig == (0 if good else 1)
        assert host.ip.reassembly.bytes == 0


@pytest.mark.parametrize("n", [1, 7, 9, 1001])
def test_a_piece_that_is_not_the_last_and_not_a_multiple_of_8(n: int) -> None:
    host = Sink()
    host.receive(datagram(bytes(n), proto=1, frag=MF))
    assert host.ip.mib.ReasmInconsistent == 1


@pytest.mark.parametrize("frag", [MF, 1, MF | 1, 0x1F00])
def test_an_empty_piece(frag: int) -> None:
    host = Sink()
    host.receive(datagram(b"", proto=1, frag=frag))
    assert host.ip.mib.ReasmInconsistent == 1


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 1000, True), (2000, 2500, False), (2000, 2400, False)],
        [(0, 992, True), (1000, 1504, False), (2000, 2504, True)],
        [(2000, 2504, True), (1000, 1504, False)],
        [(1000, 1504, False), (1000, 1504, True)],
    ],
)
def test_pieces_that_disagree_about_the_end(spans: list[tuple[int, int, bool]]) -> None:
    host = Sink()
    whole = message(3000)
    host.receive(*[piece(whole, start, end, more) for start, end, more in spans])
    assert host.ip.mib.ReasmInconsistent == 1 and host.got == []


@pytest.mark.parametrize(("start", "n"), [(0, 8), (0, 16), (8, 64), (16, 64)])
def test_a_tcp_header_cut_in_two_is_refused(start: int, n: int) -> None:
    host = Sink()
    host.receive(datagram(bytes(n), proto=6, frag=MF | start // 8))
    assert host.ip.mib.ReasmTiny == 1


def test_after_30_seconds_the_sender_of_the_first_piece_is_told() -> None:
    host = Sink()
    whole = message(3000)
    first = piece(whole, 0, 1000)
    host.receive(first, piece(whole, 1000, 2000, ident=0x9999))
    assert host.pass_time(29 * S) == [] and host.ip.mib.ReasmTimeout == 0
    (told,) = host.pass_time(1 * S)
    assert told[20:22] == b"\x0b\x01" and sum16(told[20:]) == 0
    assert told[28:] == first[:548]
    assert (host.ip.mib.ReasmTimeout, host.ip.mib.ReasmFails, host.ip.icmp.mib.OutTimeExcds) == (2, 2, 1)
    assert host.ip.reassembly.bytes == 0
    host.receive(piece(whole, 2000, 3000))
    assert host.got == []


def test_later_pieces_do_not_prolong_the_time() -> None:
    host = Sink()
    whole = message(3000)
    host.receive(piece(whole, 0, 1000))
    host.pass_time(20 * S)
    host.receive(piece(whole, 1000, 2000))
    host.pass_time(10 * S)
    assert host.ip.mib.ReasmTimeout == 1


def test_a_flood_of_first_pieces_is_bounded_in_number_and_bytes() -> None:
    host = Sink()
    rng = random.Random(7)
    for i in range(3000):
        src = B + rng.randrange(1, 100) if i % 2 else rng.randrange(0x0B000000, 0x0BFFFFFF)
        host.receive(datagram(bytes(1400), src=src, proto=1, ident=i & 0xFFFF, frag=MF))
        r = host.ip.reassembly
        assert r.bytes <= reassembly.BYTES and len(r.partials) <= reassembly.DATAGRAMS
        assert sum(t.cost for t in r.partials.values()) == r.bytes or i % 500
    assert host.ip.mib.ReasmLimit >= 3000 - reassembly.DATAGRAMS


def test_one_source_cannot_starve_the_others() -> None:
    host = Sink()
    whole = message(2000)
    host.receive(piece(whole, 0, 1000, src=B + 1))
    for ident in range(500):
        host.receive(*[datagram(bytes(1400), proto=1, ident=ident, frag=MF | 175 * k) for k in range(2)])
        mine = host.ip.reassembly.sources[B]
        assert len(mine) <= reassembly.DATAGRAMS_FROM_ONE
    for ident in range(64):
        host.receive(*[datagram(bytes(1400), proto=1, ident=ident, frag=MF | 175 * k) for k in range(20)])
        assert sum(t.cost for t in host.ip.reassembly.sources.get(B, {}).values()) <= reassembly.BYTES_FROM_ONE
    host.receive(piece(whole, 1000, 2000, src=B + 1))
    assert host.got == [whole[8:]]


def test_fragmentsmack_a_datagram_in_thousands_of_pieces_is_given_up() -> None:
    host = Sink()
    for i in range(0, 2 * reassembly.PIECES + 4, 2):
        host.receive(datagram(bytes(8), proto=1, frag=MF | i))
    assert (host.ip.mib.ReasmLimit, host.ip.mib.ReasmLate) == (1, 1)


def test_datagrams_are_told_apart_by_source_destination_protocol_and_identification() -> None:
    host = Sink()
    whole = message(2000)
    host.receive(
        piece(whole, 0, 1000),
        *[piece(whole, 1000, 2000, **other) for other in ({"src": B + 1}, {"ident": 1}, {"proto": 99})],
    )
    assert host.got == [] and len(host.ip.reassembly.partials) == 4
    host.receive(piece(whole, 1000, 2000))
    assert host.got == [whole[8:]]


@pytest.mark.parametrize(("ecn", "good"), [((1, 1), True), ((2, 3), True), ((0, 0), True), ((0, 3), False), ((3, 3), True)])
def test_congestion_marks_survive_reassembly_and_forged_ones_do_not(ecn: tuple[int, int], good: bool) -> None:
    """RFC 3168 5.3: one marked piece marks the datagram; marked and not-ECT together is a forgery."""
    host = Host()
    whole = b"\x08\x00" + message(2000)[2:]
    whole = whole[:2] + sum16(whole[:2] + b"\0\0" + whole[4:]).to_bytes(2, "big") + whole[4:]
    replies = host.receive(piece(whole, 0, 1000, tos=ecn[0]), piece(whole, 1000, 2000, tos=ecn[1]))
    if good:
        assert fields(replies[0])["tos"] & 3 == (3 if 3 in ecn else ecn[0])
    else:
        assert replies == [] and host.ip.mib.ReasmEcn == 1


def test_a_reassembled_datagram_for_nobody_quotes_a_header_that_holds() -> None:
    host = Sink()
    data = bytes(2000)
    (answer,) = host.receive(datagram(data[:1000], proto=200, frag=MF), datagram(data[:1000], proto=200, frag=125))
    quote = answer[28:]
    assert answer[20:22] == b"\x03\x02" and len(answer) == 576
    assert sum16(quote[:20]) == 0 and quote[2:4] == (2020).to_bytes(2, "big") and quote[6:8] == b"\0\0"
    assert fields(answer)["dst"] == B and fields(answer)["src"] == A
