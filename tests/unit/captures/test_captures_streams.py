"""Streams out of captures: whatever the order of packets, the bytes that a receiver would have got; the rest has a name."""

import io
import random
import struct
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import pcap, testing
from netstack.captures import Connection, StreamsMib, streams
from netstack.captures.half import DOUBTFUL, PIECES, REACH, Half
from netstack.checksum import checksum
from netstack.errors import UsageError, WireError
from netstack.tcp.budget import Budget
from netstack.tcp.mib import TcpExt

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 80)
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SCALE7 = bytes.fromhex("01030307")


def packet(
    src: tuple[str, int],
    dst: tuple[str, int],
    seq: int,
    ack: int,
    flags: int,
    text: bytes = b"",
    window: int = 8192,
    options: bytes = b"",
) -> bytes:
    addresses = b"".join(bytes(int(part) for part in end[0].split(".")) for end in (src, dst))
    offset = (20 + len(options)) << 10
    head = struct.pack("!HHIIHHHH", src[1], dst[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, offset | flags, window, 0, 0) + options
    size = len(head) + len(text)
    check = checksum(addresses + b"\0\6" + struct.pack("!H", size) + head + text)
    head = head[:16] + struct.pack("!H", check) + head[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, 6, 0) + addresses + head + text


class Talk:
    """Packets of one connection, as two hosts would send them."""

    def __init__(
        self, up: int = 1000, down: int = 2000, client: tuple[str, int] = CLIENT, server: tuple[str, int] = SERVER
    ) -> None:
        self.ends = client, server
        self.isn = up, down
        self.next = [up, down]

    def say(self, side: int, flags: int = ACK | PSH, text: bytes = b"", at: "int | None" = None, **more: "int | bytes") -> bytes:
        """From 0, the client, or 1; `at` is an offset in its stream, the next one without."""
        seq = self.next[side] if at is None else self.isn[side] + 1 + at
        made = packet(self.ends[side], self.ends[1 - side], seq, self.next[1 - side] if flags & ACK else 0, flags, text, **more)  # type: ignore[arg-type]
        if at is None:
            self.next[side] += len(text) + bool(flags & SYN) + bool(flags & FIN)
        return made

    def hello(self, options: bytes = b"") -> list[bytes]:
        return [self.say(0, SYN, options=options), self.say(1, SYN | ACK, options=options), self.say(0, ACK)]

    def bye(self) -> list[bytes]:
        return [self.say(0, FIN | ACK), self.say(1, FIN | ACK), self.say(0, ACK)]


def capture(packets: Iterable[bytes], lengths: "dict[int, int] | None" = None) -> io.BytesIO:
    file = io.BytesIO()
    writer = pcap.PcapWriter(file.write, pcap.RAW)
    for i, p in enumerate(packets):
        writer.packet(i * 1_000_000, p, (lengths or {}).get(i, 0))
    return io.BytesIO(file.getvalue())


def only(packets: Iterable[bytes], **more: "dict[int, int]") -> Connection:
    (connection,) = streams(capture(packets, **more))
    return connection


def test_both_directions_of_a_connection_come_whole() -> None:
    t = Talk()
    c = only([*t.hello(), t.say(0, text=b"question"), t.say(1, text=b"ans"), t.say(1, text=b"wer"), *t.bye()])
    assert (c.client, c.server, c.opened, c.closed) == (CLIENT, SERVER, "handshake", "closed")
    assert (c.to_server.data, c.to_client.data) == (b"question", b"answer")
    assert c.to_server.whole and c.to_client.whole and (c.to_server.isn, c.to_client.isn) == (1000, 2000)
    assert c.to_client.pieces == [(4_000_000, 0, 3, 5), (5_000_000, 3, 3, 6)]
    assert list(c.to_client.chunks()) == [(0, b"ans"), (3, b"wer")]
    assert (c.first, c.last, c.packets, c.began, c.ended) == (1, 9, 9, 0, 8_000_000)
    assert str(c) == "10.0.0.1:40000 -> 10.0.0.2:80"


def test_it_is_to_be_found_among_what_helps_to_test() -> None:
    assert testing.streams is streams


def test_the_capture_of_a_linux_kernel_gives_what_its_page_says() -> None:
    (http, refused) = streams(Path(__file__).resolve().parents[3] / "pcaps/linux-tcp.pcapng")
    assert http.to_server.data.startswith(b"GET ") and http.to_client.length == 20_061
    assert http.to_server.whole and http.to_client.whole
    assert (refused.opened, refused.closed, refused.server[1]) == ("unanswered", "refused", 81)


TEXT = bytes(i * 7 & 255 for i in range(3000))


def pieces_of(t: Talk, rng: random.Random, most: int = 400) -> list[bytes]:
    """TEXT from the client in segments that overlap, some of them twice."""
    made, at = [], 0
    while at < len(TEXT):
        n = rng.randint(1, most)
        back = min(at, rng.choice((0, 0, 0, rng.randint(0, most))))
        made += [t.say(0, text=TEXT[at - back : at + n], at=at - back)] * rng.choice((1, 1, 2))
        at += n
    return made


@pytest.mark.parametrize("order", ["as sent", "reversed", "twice", "again", "shaken", "shuffled"])
@pytest.mark.parametrize("isn", [1000, 2**32 - 1, 2**32 - 1500, 2**31 - 1500])
def test_the_order_of_packets_makes_no_difference(order: str, isn: int, seed: int) -> None:
    rng = random.Random(seed)
    t = Talk(isn, 2**32 - 3)
    hello, middle = t.hello(), pieces_of(t, rng)
    t.next[0] = isn + 1 + len(TEXT)
    packets = [*hello, *middle, t.say(1, text=b"thanks"), *t.bye()]
    if order == "reversed":
        packets.reverse()
    elif order == "twice":
        packets = [p for p in packets for _ in range(2)]
    elif order == "again":
        packets *= 2
    elif order == "shaken":
        packets = [p for _, p in sorted((i + rng.random() * 9, p) for i, p in enumerate(packets))]
    elif order == "shuffled":
        rng.shuffle(middle)
        packets = [*hello, *middle, *packets[-4:]]
    c = only(packets)
    assert (c.to_server.data, c.to_client.data) == (TEXT, b"thanks")
    assert c.opened == "handshake" and c.closed == "closed" and c.to_server.conflicts == 0
    assert sum(piece.length for piece in c.to_server.pieces) == len(TEXT)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25), st.integers(0, 3)), max_size=30))
def test_bytes_that_came_first_count_and_others_are_conflicts(said: list[tuple[int, int, int]]) -> None:
    t = Talk(2**32 - 20)
    expected: dict[int, int] = {}
    packets, conflicts = t.hello(), 0
    for at, n, kind in said:
        text = bytes([kind]) * n
        packets.append(t.say(0, text=text, at=at))
        probe = n == 1 and at + 1 == next(i for i in range(99) if i not in expected) and expected.get(at, kind) != kind
        conflicts += not probe and any(expected.get(at + i, kind) != kind for i in range(n))
        for i in range(n):
            expected.setdefault(at + i, kind)
    c = only(packets)
    assert c.to_server.data == bytes(expected[i] for i in sorted(expected))
    assert (c.to_server.conflicts > 0) == (conflicts > 0)
    assert {offset + i for offset, n in c.to_server.gaps for i in range(n)} == set(range(max(expected, default=-1) + 1)) - set(
        expected
    )


def test_what_comes_again_differently_is_named() -> None:
    t = Talk()
    c = only([*t.hello(), t.say(0, text=b"secret"), t.say(0, text=b"sEcRet!", at=0)])
    assert c.to_server.data == b"secret!"
    assert c.to_server.conflicting == [(5, 0, 6)] and c.to_server.retransmitted == 6


def test_gaps_have_their_place() -> None:
    t = Talk()
    c = only([*t.hello(), t.say(0, text=b"abc"), t.say(0, text=b"ghi", at=6), t.say(0, FIN | ACK, at=12)])
    assert c.to_server.data == b"abcghi"
    assert c.to_server.gaps == [(3, 3), (9, 3)] and c.to_server.missing == 6 and c.to_server.length == 12
    assert c.to_server.fin and not c.to_server.whole
    assert list(c.to_server.chunks()) == [(0, b"abc"), (6, b"ghi")]


def test_what_the_capture_has_cut_is_a_gap() -> None:
    t = Talk()
    packets = [*t.hello(), t.say(0, text=b"0123456789"), t.say(0, text=b"abc"), *t.bye()]
    packets[3] = packets[3][:-6]
    c = only(packets, lengths={3: len(packets[3]) + 6})
    assert c.to_server.data == b"0123abc" and c.to_server.gaps == [(4, 6)] and c.closed == "closed"


def test_a_connection_may_begin_before_the_capture() -> None:
    t = Talk(7, 9)
    t.next = [5000, 6000]
    later, sooner = packet(CLIENT, SERVER, 5003, 6000, ACK | PSH, b"def"), packet(CLIENT, SERVER, 5000, 6000, ACK | PSH, b"abc")
    c = only([packet(SERVER, CLIENT, 6000, 5000, ACK | PSH, b"hello"), later, sooner])
    assert (c.client, c.server, c.opened, c.closed) == (CLIENT, SERVER, "in the middle", "open")
    assert (c.to_server.data, c.to_client.data) == (b"abcdef", b"hello")
    assert c.to_server.isn is None and not c.to_server.whole and c.to_server.gaps == []


def test_a_port_may_be_used_again() -> None:
    first, second, third = Talk(1000), Talk(50_000, 70_000), Talk(90_000, 10)
    packets = [*first.hello(), first.say(0, text=b"one"), *first.bye()]
    packets += [*second.hello(), second.say(0, text=b"two"), second.say(1, RST | ACK)]
    packets += [*third.hello(), third.say(0, text=b"three")]
    found = list(streams(capture(packets)))
    assert [(c.to_server.data, c.closed) for c in found] == [(b"one", "closed"), (b"two", "reset by server"), (b"three", "open")]
    assert {c.to_server.data for c in streams(capture(packets[::-1]))} == {b"one", b"two", b"three"}


def test_a_syn_in_the_middle_is_believed_when_it_is_answered() -> None:
    old, new, fake = Talk(1000), Talk(50_000, 70_000), Talk(99_000)
    mib = StreamsMib()
    packets = [*old.hello(), old.say(0, text=b"o"), fake.say(0, SYN), old.say(0, text=b"ld"), *new.hello(), new.say(0, text=b"new")]
    found = list(streams(capture(packets), mib=mib))
    assert [(c.to_server.data, c.opened, c.closed) for c in found] == [(b"old", "handshake", "open"), (b"new", "handshake", "open")]
    assert mib.StraySyns == 2 and found[1].first == 7


def test_both_may_open_at_once() -> None:
    t = Talk()
    packets = [
        t.say(0, SYN),
        t.say(1, SYN),
        packet(CLIENT, SERVER, 1000, 2001, SYN | ACK),
        packet(SERVER, CLIENT, 2000, 1001, SYN | ACK),
    ]
    c = only([*packets, t.say(0, text=b"a"), t.say(1, text=b"b"), *t.bye()])
    assert (c.client, c.to_server.data, c.to_client.data, c.closed) == (CLIENT, b"a", b"b", "closed")


def test_text_may_come_with_the_syn_and_with_the_fin() -> None:
    t = Talk()
    packets = [
        t.say(0, SYN, text=b"fast"),
        t.say(1, SYN | ACK),
        t.say(0, FIN | ACK, text=b" open"),
        t.say(1, FIN | ACK, text=b"ok"),
    ]
    c = only(packets)
    assert (c.to_server.data, c.to_client.data, c.closed) == (b"fast open", b"ok", "closed")


def test_what_follows_the_fin_is_not_text() -> None:
    t = Talk()
    c = only([*t.hello(), t.say(0, text=b"all"), *t.bye(), t.say(0, text=b"l of it", at=2), t.say(0, text=b"more", at=3)])
    assert c.to_server.data == b"all" and c.to_server.after_fin == 6 + 4


def test_probes_are_not_text() -> None:
    t = Talk()
    packets = [
        *t.hello(),
        t.say(0, text=b"abc"),
        t.say(1),
        t.say(0, ACK, text=b"\0", at=2),
        t.say(0, ACK, at=2),
        t.say(0, text=b"d"),
    ]
    c = only(packets)
    assert c.to_server.data == b"abcd" and c.to_server.keepalives == 1 and c.to_server.conflicts == 0
    # a capture that begins with probes
    c = only([packet(CLIENT, SERVER, 77, 5, ACK, b"\0")] * 2 + [packet(CLIENT, SERVER, 78, 5, ACK | PSH, b"text")])
    assert c.to_server.data == b"text" and c.to_server.keepalives == 2
    # a shut window is probed with the next byte, which is text
    t = Talk()
    packets = [*t.hello(), t.say(0, text=b"abc"), t.say(1, ACK, window=0), t.say(0, text=b"d", at=3), t.say(0, text=b"de", at=3)]
    assert only(packets).to_server.data == b"abcde"


def test_what_no_window_has_room_for_is_not_believed() -> None:
    t = Talk()
    packets = [*t.hello(), t.say(0, text=b"abc"), t.say(0, text=b"injected", at=60_000)]
    c = only([*packets, t.say(1), t.say(0, text=b"def"), t.say(1), t.say(0, FIN | ACK)])
    assert c.to_server.data == b"abcdef" and c.to_server.out_of_window == 8 and c.to_server.gaps == []
    # …but text that has been acknowledged came, whatever the capture has missed
    t.next[0] = t.isn[0] + 60_009
    c = only([*packets, t.say(1)])
    assert c.to_server.data == b"abcinjected" and c.to_server.gaps == [(3, 59_997)]
    # and where there is much of it, it is the acknowledgements that were missed
    t = Talk()
    many = [t.say(0, text=b"x" * 100, at=20_000 + 100 * i) for i in range(DOUBTFUL + 50)]
    assert only([*t.hello(), *many]).to_server.out_of_window == 0


def test_scaled_windows_are_as_wide_as_they_are() -> None:
    t = Talk()
    packets = t.hello(SCALE7)
    t.next[0] += 10
    packets += [t.say(1, window=8192), t.say(0, text=b"in", at=500_000)]  # 8192 << 7 is 1,048,576
    c = only(packets)
    assert c.to_server.out_of_window == 0 and c.to_server.data == b"in"


def test_a_reset_from_beyond_is_not_believed() -> None:
    t = Talk()
    mib = StreamsMib()
    packets = [*t.hello(), t.say(0, RST, at=1 << 31), t.say(0, text=b"alive"), t.say(1, RST | ACK)]
    (c,) = streams(capture(packets), mib=mib)
    assert (c.to_server.data, c.closed) == (b"alive", "reset by server") and mib.StrayResets == 1


def test_urgent_data_is_in_line() -> None:
    t = Talk()
    c = only([*t.hello(), t.say(0, text=b"ab"), t.say(0, ACK | URG, text=b"!"), t.say(0, text=b"cd")])
    assert c.to_server.data == b"ab!cd" and c.to_server.urgent == 1


def test_a_stream_may_be_longer_than_the_circle_of_its_numbers() -> None:
    half = Half(Budget(1 << 60, 1 << 60, TcpExt()))
    half.syn(12345)
    big, seq = bytes(1 << 26), 12346
    for i in range(70):
        half.take((seq + (i << 26)) & 0xFFFFFFFF, big, len(big), False, False, i, i)
    half.take((seq + (70 << 26)) & 0xFFFFFFFF, b"end", 3, True, False, 70, 70)
    half.finish()
    assert half.finished and half.at == 70 * len(big) + 3 and half.gaps.tolist() == []


def test_holes_without_end_cost_a_bounded_number_of_pieces() -> None:
    half = Half(Budget(1 << 60, 1 << 60, TcpExt()))
    half.syn(0)
    for i in range(PIECES + 1000):
        half.take(2 + 2 * i, b"x", 1, False, False, i, i)
        assert half.queue.count() <= PIECES
    half.finish()
    assert len(half.chunks) == PIECES + 1000 and half.at == 2 * (PIECES + 1000)


def test_a_stream_without_a_beginning_is_settled_when_enough_has_come() -> None:
    half = Half(Budget(1 << 60, 1 << 60, TcpExt()))
    block = bytes(1 << 20)
    for i in range(20):
        half.take(1000 + (i << 20), block, len(block), False, False, i, i)
    assert half.anchored and half.at == 20 << 20 and REACH < 20 << 20
    half.take(900, b"early", 5, False, False, 21, 21)
    assert half.late == 5


def test_a_million_syns_are_as_many_connections_as_are_allowed() -> None:
    mib = StreamsMib()
    flood = (packet((f"10.1.{i >> 8}.{i & 255}", 5), SERVER, i, 0, SYN) for i in range(3000))
    found = streams(capture(flood), connections=100, mib=mib)
    assert all(c.opened == "unanswered" and c.closed == "given out" for c in islice(found, 2900))
    assert [c.closed for c in found] == ["open"] * 100
    assert mib.GivenOut == 2900


def test_more_bytes_than_may_be_held_are_given_out_in_parts() -> None:
    t = Talk()
    packets = [*t.hello(), *(t.say(0, text=bytes([i]) * 1000) for i in range(10)), *t.bye()]
    found = list(streams(capture(packets), memory=4000))
    assert b"".join(c.to_server.data for c in found) == b"".join(bytes([i]) * 1000 for i in range(10))
    assert [c.closed for c in found] == ["given out", "given out", "closed"]
    with pytest.raises(UsageError):
        streams(capture(packets), memory=0)


def test_connections_are_given_as_they_end() -> None:
    def talks() -> Iterable[bytes]:
        for i in range(5000):
            t = Talk(client=("10.0.0.1", 1024 + i))
            yield from [*t.hello(), t.say(0, text=b"x"), *t.bye()]

    found = streams(capture(talks()))
    assert next(found).client == ("10.0.0.1", 1024)
    assert sum(1 for c in found if c.closed == "closed" and c.to_server.data == b"x") == 4999


def test_checksums_are_looked_at_where_one_asks_for_it() -> None:
    t = Talk()
    packets = [*t.hello(), t.say(0, text=b"spoilt"), t.say(0, text=b"intact", at=0)]
    packets[3] = packets[3].replace(b"spoilt", b"tlipos")[:-1] + b"?"
    mib = StreamsMib()
    (c,) = streams(capture(packets), checksums=True, mib=mib)
    assert c.to_server.data == b"intact" and mib.BadChecksums == 1
    assert only(packets).to_server.data == b"tlipo?" or only(packets).to_server.conflicts == 1


def test_ipv6_is_followed_too() -> None:
    def six(src: int, dst: int, p: bytes, extension: bool) -> bytes:
        body = (b"\6\0" + bytes(6) if extension else b"") + p[20:]
        ends = b"".join(bytes.fromhex("20010db8") + n.to_bytes(12, "big") for n in (src, dst))
        return bytes.fromhex("60000000") + struct.pack("!HBB", len(body), 0 if extension else 6, 64) + ends + body

    t = Talk()
    c = only([six(1, 2, t.say(0, SYN), False), six(2, 1, t.say(1, SYN | ACK), True), six(1, 2, t.say(0, text=b"six"), True)])
    assert (c.client, c.server) == (("2001:db8::1", 40000), ("2001:db8::2", 80))
    assert c.to_server.data == b"six" and str(c) == "[2001:db8::1]:40000 -> [2001:db8::2]:80"


def test_what_can_not_be_read_comes_after_what_could() -> None:
    t = Talk()
    data = capture([*t.hello(), t.say(0, text=b"said")]).getvalue() + b"\xff" * 16
    found = streams(io.BytesIO(data))
    assert next(found).to_server.data == b"said"
    with pytest.raises(WireError, match=r"^packet 5: "):
        next(found)


NUMBER = st.integers(0, 2**32 - 1)
SEGMENT = st.tuples(st.integers(0, 1), st.integers(0, 63), NUMBER, NUMBER, st.integers(0, 65535), st.binary(max_size=9))


@given(st.lists(SEGMENT, max_size=30))
def test_any_segments_are_followed(said: Sequence[tuple[int, int, int, int, int, bytes]]) -> None:
    ends = CLIENT, SERVER
    packets = [packet(ends[d], ends[1 - d], seq, ack, flags, text, window) for d, flags, seq, ack, window, text in said]
    mib = StreamsMib()
    held = 0
    for c in streams(capture(packets), mib=mib):
        for stream in (c.to_server, c.to_client):
            assert len(stream.data) + stream.missing == stream.length >= 0
            held += len(stream.data)
    assert held <= sum(len(text) for *_, text in said)


@given(st.integers(0, 400), st.binary(max_size=6))
def test_a_spoilt_capture_is_an_error_or_is_followed(at: int, noise: bytes) -> None:
    t = Talk()
    data = bytearray(capture([*t.hello(SCALE7), t.say(0, text=b"abc"), t.say(1, text=b"def"), *t.bye()]).getvalue())
    data[at : at + len(noise)] = noise
    try:
        list(streams(io.BytesIO(data)))
    except WireError as error:
        assert str(error).startswith("packet ")
