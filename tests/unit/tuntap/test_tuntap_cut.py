"""Super-segments leave as the frames that a device would have made of them, and a checksum that was left is complete."""

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack import const
from netstack.adapters import FramePort
from netstack.cores import Out
from netstack.device.core import DeviceCore
from tests.unit.ground.ground_segments import DST, ETH, SRC, cut, ip_packet, segment, total

CSUM, TSO4, USO = const.OFFLOAD_CSUM, const.OFFLOAD_TSO4, const.OFFLOAD_USO


class Cable:
    def __init__(self, vnet: int = 0, takes: int = 0, link: int = 14) -> None:
        self.far, self.near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.far.setblocking(False)
        self.near.setblocking(False)
        self.core = DeviceCore(self.near.fileno(), 2048, vnet, takes, link)
        self.port = FramePort(self.core)

    def send(self, p: Out) -> list[bytes]:
        self.port.send_out(p, 0)
        frames = []
        while True:
            try:
                frames.append(self.far.recv(70_000))
            except BlockingIOError:
                return frames

    def close(self) -> None:
        self.far.close()
        self.near.close()


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable()
    yield cable
    cable.close()


def packet(head: bytes, l4: int, data: bytes, gso: int, csum_off: int = 16) -> Out:
    """`head` has the sum of the pseudo-header where the checksum goes, as a transport leaves it."""
    body = head[l4:] + data
    proto = 6 if csum_off == 16 else 17
    pseudo = total(SRC + DST + struct.pack("!HH", proto, len(body)))
    head = head[: l4 + csum_off] + struct.pack("!H", pseudo) + head[l4 + csum_off + 2 :]
    p = Out()
    p.off = const.HEADROOM - len(head)
    p.hdr[p.off :] = head
    p.l4 = p.off + l4
    p.data, p.o, p.n = b"..." + data + b"...", 3, len(data)
    p.csum_off, p.gso, p.proto = csum_off, gso, proto
    return p


def tcp(data: bytes, gso: int, **fields: object) -> tuple[Out, bytes]:
    """A packet, and the frame that it is."""
    whole = segment(payload=data, **fields)  # type: ignore[arg-type]
    return packet(whole[: len(whole) - len(data)], 34, data, gso), whole


def udp_frame(data: bytes) -> bytes:
    return ETH + ip_packet(17, struct.pack("!HHHH", 5, 6, 8 + len(data), 0) + data, 6, frag=0, ident=9)


@pytest.mark.parametrize("n", [1449, 2896, 2897, 65160])
def test_a_super_segment_leaves_as_its_segments(cable: Cable, n: int) -> None:
    data = bytes(i * 7 % 256 for i in range(n))
    p, whole = tcp(data, 1448, seq=2**32 - 2000)
    frames = cable.send(p)
    assert frames == cut(whole, 1448)
    assert (cable.core.mib.OutFrames, cable.core.mib.OutCut) == (len(frames), len(frames))


def test_fin_and_psh_are_the_last_ones_and_cwr_the_firsts(cable: Cable) -> None:
    p, whole = tcp(bytes(300), 100, seq=0, flags=0x99 | 0x40)
    frames = cable.send(p)
    assert frames == cut(whole, 100)
    assert [frame[47] for frame in frames] == [0xD0, 0x50, 0x59]


def test_identifications_count_only_where_a_datagram_may_be_fragmented(cable: Cable) -> None:
    for frag, wanted in ((0, [65534, 65535, 0]), (0x4000, [65534] * 3)):
        p, whole = tcp(bytes(300), 100, seq=0, frag=frag, ident=65534)
        frames = cable.send(p)
        assert frames == cut(whole, 100)
        assert [int.from_bytes(frame[18:20], "big") for frame in frames] == wanted


def test_a_checksum_that_was_left_to_the_device_is_completed(cable: Cable) -> None:
    p, whole = tcp(b"odd", 0, seq=5, options=bytes(4))
    assert cable.send(p) == [whole]
    p, whole = tcp(b"", 0, seq=5)
    assert cable.send(p) == [whole]


def test_datagrams_of_one_size_leave_one_by_one(cable: Cable) -> None:
    data = bytes(range(250))
    frames = cable.send(packet(udp_frame(data)[:42], 34, data, 100, 6))
    wanted = [udp_frame(data[i : i + 100]) for i in (0, 100, 200)]
    for i, frame in enumerate(wanted):
        head = bytearray(frame[14:34])
        head[4:6], head[10:12] = struct.pack("!H", 9 + i), b"\0\0"
        head[10:12] = struct.pack("!H", total(bytes(head)) ^ 0xFFFF)
        wanted[i] = frame[:14] + bytes(head) + frame[34:]
    assert frames == wanted


def test_a_udp_checksum_of_zero_is_sent_as_all_ones(cable: Cable) -> None:
    data = struct.pack("!H", 0)
    rest = udp_frame(data)
    data = rest[40:42]  # what makes the sum all ones
    p = packet(udp_frame(data)[:42], 34, data, 0, 6)
    (frame,) = cable.send(p)
    assert frame[40:42] == b"\xff\xff"


def test_a_device_that_completes_checksums_is_left_to_it() -> None:
    cable = Cable(vnet=12, takes=CSUM)
    p, whole = tcp(bytes(250), 100, seq=0)
    frames = cable.send(p)
    assert [frame[:12] for frame in frames] == [struct.pack("=BBHHHHH", 1, 0, 54, 0, 34, 16, 0)] * 3
    for frame, wanted in zip(frames, cut(whole, 100), strict=True):
        pseudo = total(SRC + DST + struct.pack("!HH", 6, len(wanted) - 34))
        assert frame[12:] == wanted[:50] + struct.pack("!H", pseudo) + wanted[52:]
    cable.close()


@pytest.mark.parametrize(
    ("takes", "flags", "kind"),
    [
        (CSUM | TSO4, 0x10, 1),
        (CSUM | TSO4, 0x90, 0),  # CWR, and the device would set it on every segment
        (CSUM | TSO4 | const.OFFLOAD_TSO_ECN, 0x90, 0x81),
        (CSUM | USO, 0x10, 0),
    ],
)
def test_a_device_gets_the_kinds_that_it_takes(takes: int, flags: int, kind: int) -> None:
    cable = Cable(vnet=12, takes=takes)
    p, whole = tcp(bytes(250), 100, seq=0, flags=flags)
    frames = cable.send(p)
    assert {frame[1] for frame in frames} == {kind}
    assert len(frames) == (1 if kind else 3)
    if not kind:
        assert [frame[59] for frame in frames] == [frame[47] for frame in cut(whole, 100)]
    cable.close()


def test_datagrams_go_to_a_device_in_one_unit_where_it_takes_them() -> None:
    cable = Cable(vnet=12, takes=CSUM | USO)
    data = bytes(250)
    (frame,) = cable.send(packet(udp_frame(data)[:42], 34, data, 100, 6))
    assert frame[:12] == struct.pack("=BBHHHHH", 1, 5, 42, 100, 34, 6, 0)
    cable.close()


def test_behind_a_segment_that_is_lost_the_rest_is_lost_and_counted(cable: Cable) -> None:
    mib = cable.core.mib
    while not mib.OutNoRoom:
        cable.port.send(bytes(1500), 0)
    mib.OutNoRoom = mib.OutFrames = 0
    p, _ = tcp(bytes(1000), 100, seq=0)
    cable.port.send_out(p, 0)
    assert (mib.OutNoRoom, mib.OutNotReached, mib.OutFrames) == (1, 9, 0)


def test_what_cannot_be_cut_is_refused(cable: Cable) -> None:
    p, _ = tcp(bytes(300), 100, seq=0)
    p.csum_off = 0
    assert cable.send(p) == []
    p, _ = tcp(bytes(300), 100, seq=0)
    p.hdr[p.off + 14] = 0x60
    assert cable.send(p) == []
    p, _ = tcp(bytes(300), 100, seq=0)
    p.hdr[p.off + 23] = 47
    assert cable.send(p) == []
    p, _ = tcp(bytes(300), 100, seq=0)
    p.l4 = p.off
    assert cable.send(p) == []
    assert cable.core.mib.OutRefused == 4


def test_over_a_device_without_link_headers() -> None:
    cable = Cable(link=0)
    p, whole = tcp(bytes(300), 100, seq=0)
    p.off += 14
    assert cable.send(p) == [frame[14:] for frame in cut(whole, 100)]
    cable.close()


@given(
    st.binary(min_size=1, max_size=3000),
    st.integers(1, 1500),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.sampled_from([0, 0x4000]),
    st.integers(0, 10),
)
def test_any_super_segment_is_cut_as_by_hand(data: bytes, gso: int, seq: int, flags: int, frag: int, words: int) -> None:
    cable = Cable()
    try:
        gso = max(gso, len(data) // 60 + 1)
        p, whole = tcp(data, gso, seq=seq, flags=flags, frag=frag, options=bytes(4 * words), ident=seq & 0xFFFF)
        assert cable.send(p) == cut(whole, gso)
    finally:
        cable.close()
