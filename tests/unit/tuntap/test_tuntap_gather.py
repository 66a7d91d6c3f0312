"""Segments that come one by one go up as one; whatever does not fit goes up as it came, in its place.

The frames cross a socket that keeps message boundaries. What goes up is cut again by the test's own hand: if it gives the frames
that were sent, nothing was lost, overtaken or made up.
"""

import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import const
from netstack.adapters import TeeSink
from netstack.cores import Frame, Out
from netstack.device.core import DeviceCore
from netstack.netif import SendOnly
from tests.unit.ground.ground_segments import DST, SRC, cut, ip_packet, segment, total

LONGEST = 2048


class Sink:
    def __init__(self) -> None:
        self.units: list[tuple[bytes, int, int]] = []
        self.flushes = 0

    def on_input(self, f: Frame) -> None:
        self.units.append((bytes(f.buf[f.off : f.end]), f.gso, f.csum))

    def on_flush(self, now: int) -> None:
        self.flushes += 1

    def on_send(self, p: Out, now: int) -> None: ...


class Cable:
    """A device with the gatherer on, and what came out above it."""

    def __init__(self, slab: int = 65536 + LONGEST, link: int = 14) -> None:
        self.far, self.near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.near.setblocking(False)
        self.core, self.sink = DeviceCore(self.near.fileno(), slab, 0, 0, link, LONGEST), Sink()
        self.core.attach(TeeSink(self.sink, SendOnly()))

    def carry(self, *frames: bytes) -> list[tuple[bytes, int, int]]:
        """What goes up of `frames`, which come in one batch or as few as can be."""
        self.sink.units.clear()
        for frame in frames:
            self.far.send(frame)
        while self.core.poll(7):
            pass
        return list(self.sink.units)

    def close(self) -> None:
        self.far.close()
        self.near.close()


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable()
    yield cable
    cable.close()


def stretch(seq: int, n: int, size: int = 1448, last: int = 0x10, **fields: object) -> list[bytes]:
    """`n` segments that follow each other; the last one has the flags `last`."""
    flags = [0x10] * (n - 1) + [last]
    return [segment(seq + i * size, bytes([i % 251]) * size, flags[i], **fields) for i in range(n)]  # type: ignore[arg-type]


def again(units: list[tuple[bytes, int, int]]) -> list[bytes]:
    return [frame for unit, gso, _ in units for frame in (cut(completed(unit), gso) if gso else [unit])]


def completed(unit: bytes) -> bytes:
    """The IPv4 header must be right as it is; the TCP checksum is the sum of the pseudo-header."""
    head, body = unit[14:34], unit[34:]
    whole = ip_packet(6, body[:16] + b"\0\0" + body[18:], 16, head[1], *struct.unpack("!HHB", head[4:9]))
    assert unit[14:50] == whole[:36] and unit[52:] == whole[38:]
    assert unit[50:52] == struct.pack("!H", total(SRC + DST + struct.pack("!HH", 6, len(body))))
    return unit


def test_segments_in_order_become_one_unit_with_one_header(cable: Cable) -> None:
    frames = stretch(0xFFFFF000, 5)  # the sequence numbers wrap
    ((unit, gso, csum),) = cable.carry(*frames)
    assert (gso, csum) == (1448, const.CSUM_PARTIAL)
    assert unit[54:] == b"".join(frame[54:] for frame in frames)
    assert unit[16:18] == (40 + 5 * 1448).to_bytes(2, "big")
    assert again([(unit, gso, csum)]) == frames
    assert (cable.core.mib.InFrames, cable.core.mib.InJoined, cable.sink.flushes) == (5, 4, 1)


def test_a_psh_is_the_end_and_shows(cable: Cable) -> None:
    first, second = stretch(1000, 3, last=0x18), stretch(1000 + 3 * 1448, 2)
    units = cable.carry(*first, *second)
    assert [gso for _, gso, _ in units] == [1448, 1448]
    assert units[0][0][47] == 0x18 and units[1][0][47] == 0x10
    assert again(units) == first + second


def test_a_shorter_segment_is_the_last(cable: Cable) -> None:
    frames = [*stretch(0, 2), segment(2896, b"end"), segment(2899, bytes(1448))]
    units = cable.carry(*frames)
    assert [len(unit) - 54 for unit, _, _ in units] == [2899, 1448]
    assert again(units) == frames


def test_a_longer_segment_begins_anew(cable: Cable) -> None:
    frames = [segment(0, bytes(100)), segment(100, bytes(100)), segment(200, bytes(101)), segment(301, bytes(100))]
    units = cable.carry(*frames)
    assert [(len(unit) - 54, gso) for unit, gso, _ in units] == [(200, 100), (201, 101)]
    assert again(units) == frames


def test_a_unit_never_exceeds_a_datagram(cable: Cable) -> None:
    frames = stretch(5, 100, 1460)
    units = cable.carry(*frames[:50], *frames[50:])
    assert again(units) == frames
    assert max(len(unit) for unit, _, _ in units) <= 65535 + 14
    assert sorted(len(unit) for unit, _, _ in units)[-1] == 44 * 1460 + 54


def test_odd_segments_are_joined_too(cable: Cable) -> None:
    frames = stretch(9, 7, 333)
    units = cable.carry(*frames)
    assert len(units) == 1
    assert again(units) == frames


FOLLOWING = {
    "another flow": {"port": 1001},
    "a hole": {"seq": 101},
    "the same again": {"seq": 0},
    "FIN": {"flags": 0x11},
    "RST": {"flags": 0x14},
    "SYN": {"flags": 0x12},
    "URG": {"flags": 0x30},
    "ECE": {"flags": 0x50},
    "CWR": {"flags": 0x90},
    "no ACK": {"flags": 0},
    "a reserved bit": {"flags": 0x110},
    "an acknowledgement": {"ack": 78},
    "a window": {"window": 501},
    "an option": {"options": bytes([1, 1, 8, 10]) + bytes(8)},
    "TOS": {"tos": 2},
    "TTL": {"ttl": 63},
    "no DF": {"frag": 0},
    "a fragment": {"frag": 0x2000},
    "a later fragment": {"frag": 5},
    "nothing": {"payload": b""},
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_what_differs_stays_apart_and_in_its_place(cable: Cable, name: str) -> None:
    fields = {"seq": 100, "payload": b"x" * 100} | FOLLOWING[name]
    frames = [segment(0, bytes(100)), segment(**fields), segment(5000, bytes(100))]  # type: ignore[arg-type]
    units = cable.carry(*frames)
    assert again(units) == frames
    assert not any(gso for _, gso, _ in units)


def test_timestamps_must_agree(cable: Cable) -> None:
    def stamp(value: int) -> bytes:
        return bytes([1, 1, 8, 10]) + value.to_bytes(4, "big") + bytes(4)

    frames = [segment(i * 100, bytes(100), options=stamp(9 + (i > 2))) for i in range(5)]
    units = cable.carry(*frames)
    assert [len(unit) - 66 for unit, _, _ in units] == [300, 200]
    assert again(units) == frames


def test_a_wrong_checksum_goes_up_alone_to_be_counted(cable: Cable) -> None:
    for place in (16 + 8, 54 + 10, 34 + 5):  # the IPv4 header, the text, the TCP header
        frames = stretch(0, 4)
        bad = bytearray(frames[2])
        bad[place] ^= 1
        frames[2] = bytes(bad)
        units = cable.carry(*frames)
        assert again(units) == frames
        assert (frames[2], 0, const.CSUM_UNKNOWN) in units
        assert [len(unit) - 54 for unit, gso, _ in units if gso] == [2896]


def test_padding_vlan_tags_and_ipv4_options_keep_a_frame_apart(cable: Cable) -> None:
    tagged = segment(100, bytes(100))
    tagged = tagged[:12] + b"\x81\0\0\x05" + tagged[12:]
    padded = segment(100, b"padded") + bytes(20)
    body = segment(100, bytes(100))[34:]
    optional = segment(0, b"")[:14] + b"\x46" + segment(100, bytes(100))[15:34] + bytes(4) + body
    for odd in (tagged, padded, optional):
        frames = [segment(0, bytes(100)), odd, segment(100, bytes(100))]
        units = cable.carry(*frames)
        assert [unit for unit, _, _ in units] == frames
        frames = [odd, segment(100, bytes(100)), segment(200, bytes(100))]
        units = cable.carry(*frames)
        assert [gso for _, gso, _ in units] == [0, 100]
        assert again(units[1:]) == frames[1:]


def test_an_ident_that_counts_is_no_reason_to_stay_apart(cable: Cable) -> None:
    frames = [segment(i * 100, bytes(100), ident=400 + i, frag=0) for i in range(4)]
    units = cable.carry(*frames)
    assert len(units) == 1
    assert again(units) == frames


def test_a_batch_hands_up_all_it_has(cable: Cable) -> None:
    frames = stretch(0, 3)
    assert again(cable.carry(frames[0])) == frames[:1]
    assert again(cable.carry(*frames[1:])) == frames[1:]
    assert cable.core.gatherer is not None
    assert cable.core.gatherer.frame is None


def test_a_frame_that_waited_alone_is_as_it_came(cable: Cable) -> None:
    frame = segment(0, b"text")
    assert cable.carry(frame) == [(frame, 0, const.CSUM_GOOD)]


def test_over_a_device_without_link_headers() -> None:
    cable = Cable(link=0)
    frames = [frame[14:] for frame in stretch(0, 4)]
    ((unit, gso, _),) = cable.carry(*frames)
    assert gso == 1448
    assert again([(bytes(14) + unit, gso, 0)]) == [bytes(14) + frame for frame in frames]
    cable.close()


def test_frames_of_any_length_pass(cable: Cable) -> None:
    frames = [segment(0, bytes(100))]
    for n in (1, 13, 14, 33, 53, 54, 55, 60, 1514, LONGEST - 1):
        frames += [bytes([n % 256]) * n, segment(0, bytes(100))]
    units = cable.carry(*frames)
    assert [unit for unit, _, _ in units] == frames


def test_a_fault_above_loses_one_frame_and_no_order(cable: Cable) -> None:
    class Angry(Sink):
        def on_input(self, f: Frame) -> None:
            super().on_input(f)
            if len(self.units) == 1:
                raise RuntimeError("the first one")

    core, sink = DeviceCore(cable.near.fileno(), 65536 + LONGEST, 0, 0, 14, LONGEST), Angry()
    core.attach(TeeSink(sink, SendOnly()))
    frames = [*stretch(0, 2), *stretch(0, 3)]
    for frame in frames:
        cable.far.send(frame)
    with pytest.raises(RuntimeError):
        core.poll(0)
    core.poll(0)
    assert again(sink.units) == frames


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """A few flows, their segments mostly in order, some with a fault."""
    sizes = draw(st.sampled_from([(1, 2, 3), (100,), (99, 100, 101), (1448,)]))
    frames: list[bytes] = []
    seqs = [draw(st.sampled_from([0, 2**32 - 150])) for _ in range(2)]
    for _ in range(draw(st.integers(1, 40))):
        flow = draw(st.sampled_from([0, 0, 0, 0, 1]))
        n = draw(st.sampled_from(sizes))
        fields = draw(st.sampled_from([{}] * 8 + [{"flags": 0x18}] * 2 + [*FOLLOWING.values()]))
        whole = {"seq": seqs[flow], "payload": bytes([len(frames) % 256]) * n, "port": 1000 + flow} | fields
        frame = bytearray(segment(**whole))  # type: ignore[arg-type]
        seqs[flow] = (whole["seq"] + n) & 0xFFFFFFFF  # type: ignore[operator]
        match draw(st.sampled_from(["good"] * 15 + ["bit", "cut", "pad"])):
            case "bit":
                frame[draw(st.integers(0, len(frame) - 1))] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del frame[draw(st.integers(1, len(frame) - 1)) :]
            case "pad":
                frame += bytes(draw(st.integers(1, 20)))
        frames.append(bytes(frame))
    return frames


def anonymous(frame: bytes) -> bytes:
    """Without identification, which is not kept where it means nothing (RFC 6864 4.1), and so without IPv4 checksum."""
    return frame[:18] + b"id" + frame[20:24] + b"ck" + frame[26:]


@given(streams())
def test_whatever_comes_can_be_had_back(frames: list[bytes]) -> None:
    cable = Cable()
    try:
        left = list(frames)
        for unit, gso, _ in cable.carry(*frames):
            pieces = cut(completed(unit), gso) if gso else [unit]
            came = [left.pop(0) for _ in pieces]
            assert list(map(anonymous, pieces)) == list(map(anonymous, came)) if gso else pieces == came
        assert left == []
    finally:
        cable.close()


@given(streams())
def test_a_unit_holds_only_what_was_verified(frames: list[bytes]) -> None:
    cable = Cable()
    try:
        for unit, _, csum in cable.carry(*frames):
            if csum != const.CSUM_UNKNOWN:
                assert total(unit[14:34]) == 0xFFFF
        alone = [frame for frame in frames if cable.carry(frame)[0][2] == const.CSUM_GOOD]
        for frame in alone:
            n = len(frame) - 34
            assert total(frame[26:34] + struct.pack("!HH", 6, n) + frame[34:]) == 0xFFFF
    finally:
        cable.close()


def test_the_descriptor_that_ends_hands_up_what_it_had() -> None:
    cable = Cable()
    for frame in stretch(0, 3):
        cable.far.send(frame)
    cable.far.close()
    with pytest.raises(OSError, match="gone"):
        cable.core.poll(0)
    assert [gso for _, gso, _ in cable.sink.units] == [1448]
    assert cable.sink.flushes == 1
    os.close(cable.near.detach())
