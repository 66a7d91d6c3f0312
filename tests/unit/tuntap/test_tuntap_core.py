"""The packet path, over a socket that keeps message boundaries: what works here works on a tap, and needs no privilege."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from netstack_tuntap import Tap, Tun

from netstack import const
from netstack.adapters import FramePort, TeeSink
from netstack.address import Mac
from netstack.cores import Frame, Out
from netstack.device.core import DeviceCore
from netstack.device.face import SOFTWARE
from netstack.errors import UsageError
from netstack.netif import SendOnly
from netstack.testing.netifs import Probe


@pytest.fixture
def far() -> Iterator[socket.socket]:
    """The other end of a cable; `near.detach()` is the device's."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    a.setblocking(False)
    pairs[a] = b
    yield a
    a.close()
    pairs.pop(a).close()


pairs: dict[socket.socket, socket.socket] = {}


def tap_on(far: socket.socket, mtu: "int | None" = None) -> Tap:
    return Tap.from_fd(os.dup(pairs[far].fileno()), name="cable", mtu=mtu)


class Sink:
    """Keeps what a Frame said."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, int, int, int, int, int]] = []
        self.flushes = 0
        self.keep = 0
        self.kept: list[Frame] = []

    def on_input(self, f: Frame) -> None:
        self.seen.append((bytes(f.buf[f.off : f.end]), f.now, f.csum, f.gso, f.cast, id(f)))
        if self.keep:
            f.kept = 1
            self.kept.append(f)

    def on_flush(self, now: int) -> None:
        self.flushes += 1

    def on_send(self, p: Out, now: int) -> None: ...


def core_with_sink(
    far: socket.socket, vnet: int = 0, takes: int = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4
) -> tuple[DeviceCore, Sink]:
    os.set_blocking(pairs[far].fileno(), False)
    core, sink = DeviceCore(pairs[far].fileno(), 2048, vnet, takes), Sink()
    core.attach(TeeSink(sink, SendOnly()))
    return core, sink


def test_frames_come_up_whole_and_in_order_and_are_flushed_once(far: socket.socket) -> None:
    tap = tap_on(far)
    probe = Probe(tap)
    frames = [bytes([n]) * (14 + n) for n in range(5)]
    for frame in frames:
        far.send(frame)
    assert tap.poll(77) is False
    assert probe.frames == [(77, frame) for frame in frames]
    assert probe.batches == 1
    assert tap.mib.InFrames == 5
    assert tap.poll(78) is False
    assert probe.batches == 1
    tap.close()


def test_a_poll_takes_a_batch_at_most(far: socket.socket) -> None:
    core, sink = core_with_sink(far)
    for n in range(const.BATCH + 1):
        far.send(bytes([n]) * 20)
    assert core.poll(0) is True
    assert len(sink.seen) == const.BATCH
    assert core.poll(0) is False
    assert len(sink.seen) == const.BATCH + 1
    assert sink.flushes == 2


def test_the_last_slab_is_used_first_and_a_kept_one_stays_away(far: socket.socket) -> None:
    core, sink = core_with_sink(far)
    for n in range(4):
        far.send(bytes([n]) * 20)
    core.poll(0)
    assert len({slab for *_, slab in sink.seen}) == 1
    assert core.pool.made == 1
    sink.keep = 1
    for n in range(4):
        far.send(bytes([9 + n]) * 20)
    core.poll(0)
    assert [bytes(f.buf[f.off : f.end]) for f in sink.kept] == [bytes([9 + n]) * 20 for n in range(4)]
    assert len(core.pool.lent) == 4
    for f in sink.kept:
        f.kept = 0
    far.send(bytes(20))
    sink.keep = 0
    core.poll(0)
    assert core.pool.lent == []


def test_a_viewed_slab_is_not_overwritten(far: socket.socket) -> None:
    class Viewer(Sink):
        views: list[memoryview] = []

        def on_input(self, f: Frame) -> None:
            self.views.append(memoryview(f.buf)[f.off : f.end])

    core = DeviceCore(os.dup(pairs[far].fileno()), 2048, 0)
    os.set_blocking(core.fd, False)
    viewer = Viewer()
    core.attach(TeeSink(viewer, SendOnly()))
    for n in range(3):
        far.send(bytes([n]) * 20)
    core.poll(0)
    assert [bytes(view) for view in viewer.views] == [bytes([n]) * 20 for n in range(3)]
    os.close(core.fd)


def test_header_and_payload_leave_as_one_frame_without_a_copy(far: socket.socket) -> None:
    core, _ = core_with_sink(far)
    port, p = FramePort(core), Out()
    payload = bytearray(b"..payload..")
    for data in (bytes(payload), payload, memoryview(payload)):
        p.reset()
        p.off = const.HEADROOM - 4
        p.hdr[p.off :] = b"head"
        p.data, p.o, p.n = data, 2, 7
        port.send_out(p, 0)
        assert far.recv(100) == b"headpayload"
    p.reset()
    p.off = const.HEADROOM - 4
    port.send_out(p, 0)
    assert far.recv(100) == b"head"
    assert core.mib.OutFrames == 4


def test_a_payload_in_pieces_leaves_as_one_frame(far: socket.socket) -> None:
    core, _ = core_with_sink(far)
    port, p = FramePort(core), Out()
    pieces = [memoryview(bytes([i]) * (i + 1)) if i % 3 else bytes([i]) * (i + 1) for i in range(const.GATHER - 1)]
    for count, n in ((1, 1), (2, 2), (2, 3), (40, 820), (const.GATHER - 1, sum(map(len, pieces)) - 5)):
        p.reset()
        p.off = const.HEADROOM - 4
        p.hdr[p.off :] = b"head"
        p.data, p.o, p.n = b"..first..", 2, 5
        p.rest, p.rest_n = pieces[:count], n
        port.send_out(p, 0)
        expected = b"headfirst" + b"".join(pieces[:count])[:n]
        assert len(expected) == 9 + n
        assert far.recv(10_000) == expected == p.tobytes()


def test_pieces_that_are_not_there_are_never_sent(far: socket.socket) -> None:
    core, _ = core_with_sink(far)
    port, p = FramePort(core), Out()
    many = [b"1"] * const.GATHER
    for o, n, rest, rest_n in ((0, 5, [b"12"], 2), (-1, 2, [b"12"], 2), (0, 4, [b"12"], 3), (0, 4, many, const.GATHER)):
        p.data, p.o, p.n, p.rest, p.rest_n = b"1234", o, n, rest, rest_n
        with pytest.raises(IndexError):
            port.send_out(p, 0)
    with pytest.raises(BlockingIOError):
        far.recv(100)


def test_a_payload_outside_its_buffer_is_never_sent(far: socket.socket) -> None:
    core, _ = core_with_sink(far)
    port, p = FramePort(core), Out()
    for o, n in ((0, 5), (4, 1), (-1, 2), (5, -1)):
        p.data, p.o, p.n = b"1234", o, n
        with pytest.raises(IndexError):
            port.send_out(p, 0)
    with pytest.raises(BlockingIOError):
        far.recv(100)


def test_a_full_queue_is_counted_and_nothing_is_raised(far: socket.socket) -> None:
    core, _ = core_with_sink(far)
    port = FramePort(core)
    for _ in range(10_000):
        port.send(bytes(1500), 0)
        if core.mib.OutNoRoom:
            break
    assert core.mib.OutNoRoom == 1
    assert core.mib.OutFrames > 0
    far.recv(2000)
    port.send(b"after", 0)
    assert core.mib.OutNoRoom == 1


def test_a_frame_that_fills_a_slab_is_dropped_as_truncated(far: socket.socket) -> None:
    tap = Tap.from_fd(os.dup(pairs[far].fileno()), name="cable", gro=False)  # slabs of 2048
    probe = Probe(tap)
    far.send(bytes(2047))
    far.send(bytes(2048))
    far.send(bytes(5000))
    far.send(b"after the long ones")
    tap.poll(0)
    assert [len(frame) for frame in probe.take()] == [2047, 19]
    assert tap.mib.InTruncated == 2
    tap.close()


def test_jumbo_frames_fit_when_the_mtu_says_so(far: socket.socket) -> None:
    tap = tap_on(far, mtu=9000)
    probe = Probe(tap)
    far.send(bytes(9014))
    tap.poll(0)
    assert [len(frame) for frame in probe.take()] == [9014]
    tap.close()


def test_a_device_that_goes_away_is_an_oserror_after_its_last_frames(far: socket.socket) -> None:
    core, sink = core_with_sink(far)
    far.send(b"the last frame")
    far.close()
    with pytest.raises(OSError, match="the device is gone") as caught:
        core.poll(0)
    assert caught.value.errno == errno.ENODEV
    assert len(sink.seen) == sink.flushes == 1
    FramePort(core).send(b"too late", 0)
    assert core.mib.OutGone == 1


def test_a_closed_device_raises_in_poll_and_counts_in_send(far: socket.socket) -> None:
    tap = tap_on(far)
    probe = Probe(tap)
    assert tap.fileno() is not None
    tap.close()
    tap.close()
    assert tap.fileno() is None
    with pytest.raises(OSError, match="gone") as caught:
        tap.poll(0)
    assert caught.value.errno == errno.EBADF
    probe.send(b"nobody hears", 0)
    assert tap.mib.OutGone == 1


def test_the_descriptor_neither_blocks_nor_leaks_into_children(far: socket.socket) -> None:
    fd = os.dup(pairs[far].fileno())
    os.set_inheritable(fd, True)
    os.set_blocking(fd, True)
    with Tap.from_fd(fd, name="cable"):
        assert not os.get_inheritable(fd)
        assert not os.get_blocking(fd)


def test_one_stack_for_each_device(far: socket.socket) -> None:
    core, _ = core_with_sink(far)
    with pytest.raises(UsageError, match="already has a stack"):
        core.attach(SendOnly())


def vnet(flags: int = 0, kind: int = 0, hdr_len: int = 0, size: int = 0, start: int = 0, offset: int = 0) -> bytes:
    return struct.pack("=BBHHHHH", flags, kind, hdr_len, size, start, offset, 0)


@pytest.mark.parametrize(
    ("header", "csum", "gso"),
    [
        (vnet(), const.CSUM_UNKNOWN, 0),
        (vnet(flags=1, start=34, offset=16), const.CSUM_PARTIAL, 0),  # made by this kernel, not yet completed
        (vnet(flags=2), const.CSUM_GOOD, 0),  # verified below
        (vnet(flags=1, kind=1, hdr_len=54, size=1448, start=34, offset=16), const.CSUM_PARTIAL, 1448),
    ],
)
def test_the_vnet_header_says_what_the_device_knows(far: socket.socket, header: bytes, csum: int, gso: int) -> None:
    core, sink = core_with_sink(far, vnet=12)
    far.send(header + b"a frame")
    core.poll(5)
    assert [seen[:4] for seen in sink.seen] == [(b"a frame", 5, csum, gso)]


def test_an_unfinished_sum_inside_a_tunnel_is_finished_since_nobody_above_would(far: socket.socket) -> None:
    core, sink = core_with_sink(far, vnet=12)
    outer = bytes(12) + b"\x08\x00" + b"\x45" + bytes(8) + b"\x11" + bytes(10) + bytes(8)  # Ethernet, IPv4, UDP
    inner = b"\x00\x01\x00\x02\x00\x0a\x12\x34" + b"ab"  # UDP with the sum of a pseudo-header
    far.send(vnet(flags=1, start=42, offset=6) + outer + inner)
    core.poll(0)
    finished = 0xFFFF - (0x0001 + 0x0002 + 0x000A + 0x1234 + 0x6162)
    assert sink.seen[0][:4] == (outer + inner[:6] + finished.to_bytes(2, "big") + b"ab", 0, const.CSUM_UNKNOWN, 0)
    far.send(vnet(flags=1, start=60, offset=6) + outer)  # nothing is there
    core.poll(0)
    assert (len(sink.seen), core.mib.InBadGso) == (1, 1)


def test_what_the_vnet_header_of_one_frame_said_does_not_stick_to_the_next(far: socket.socket) -> None:
    core, sink = core_with_sink(far, vnet=12)
    far.send(vnet(flags=1, kind=1, size=1000) + b"super")
    far.send(vnet() + b"plain")
    core.poll(0)
    assert [seen[2:4] for seen in sink.seen] == [(const.CSUM_PARTIAL, 1000), (const.CSUM_UNKNOWN, 0)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(1, "TSO4"), (4, "TSO6"), (5, "USO"), (0x81, "TSO4"), (0x84, "TSO6")],
)
def test_a_kind_of_super_segment_is_taken_when_it_was_asked_for(far: socket.socket, kind: int, name: str) -> None:
    takes = const.OFFLOAD_CSUM | getattr(const, f"OFFLOAD_{name}")
    if kind & 0x80:
        takes |= const.OFFLOAD_TSO_ECN
    core, sink = core_with_sink(far, 12, takes)
    far.send(vnet(flags=1, kind=kind, size=1000) + b"asked for")
    core.poll(0)
    assert [seen[2:4] for seen in sink.seen] == [(const.CSUM_PARTIAL, 1000)]
    for less in (takes & ~getattr(const, f"OFFLOAD_{name}"), takes & ~const.OFFLOAD_TSO_ECN if kind & 0x80 else 0):
        core.gives = less
        far.send(vnet(flags=1, kind=kind, size=1000) + b"not asked for")
        core.poll(0)
    assert len(sink.seen) == 1
    assert core.mib.InBadGso == 2


def test_bad_vnet_headers_are_counted(far: socket.socket) -> None:
    core, sink = core_with_sink(far, vnet=12)
    far.send(b"short")
    far.send(vnet(kind=3, size=1000) + b"UDP fragments, not asked for")
    far.send(vnet(kind=1, size=0) + b"segments of no size")
    far.send(vnet(kind=0x81, size=1000) + b"with ECN, not asked for")
    far.send(vnet() + b"good")
    core.poll(0)
    assert [seen[0] for seen in sink.seen] == [b"good"]
    assert (core.mib.InTooShort, core.mib.InBadGso, core.mib.InFrames) == (1, 3, 5)


def test_a_packet_asks_the_device_in_the_vnet_header(far: socket.socket) -> None:
    core, _ = core_with_sink(far, vnet=12)
    port, p = FramePort(core), Out()
    p.off = const.HEADROOM - 54
    p.l4 = const.HEADROOM - 20
    p.data, p.n = b"x" * 3000, 3000
    p.csum_off, p.gso = 16, 1448
    port.send_out(p, 0)
    got = far.recv(70_000)
    assert got[:12] == vnet(flags=1, kind=1, hdr_len=54, size=1448, start=34, offset=16)
    assert len(got) == 12 + 54 + 3000
    p.reset()
    p.off = const.HEADROOM - 42
    port.send_out(p, 0)
    assert far.recv(100)[:12] == vnet(hdr_len=42)


def test_a_tap_has_a_stable_address_of_its_own(far: socket.socket) -> None:
    with tap_on(far) as one, tap_on(far) as two:
        assert one.mac == two.mac
        assert one.mac is not None
        assert bytes(one.mac)[0] == 2
    with Tap.from_fd(os.dup(pairs[far].fileno()), name="other") as other:
        assert other.mac != one.mac
    given = Mac.parse("02:00:00:00:00:99")
    with Tap.from_fd(os.dup(pairs[far].fileno()), name="cable", mac=given) as tap:
        assert tap.mac == given
    with pytest.raises(UsageError, match="group address"):
        Tap.from_fd(pairs[far].fileno(), name="cable", mac=Mac.parse("01:00:00:00:00:00"))


def test_a_tun_has_none(far: socket.socket) -> None:
    with Tun.from_fd(os.dup(pairs[far].fileno()), name="p2p", mtu=1280) as tun:
        assert (tun.mac, tun.mtu, tun.name, tun.offload, tun.next_deadline()) == (None, 1280, "p2p", SOFTWARE, None)


def test_a_descriptor_that_is_no_device_needs_a_name(far: socket.socket) -> None:
    with pytest.raises(UsageError, match="give name="):
        Tap.from_fd(pairs[far].fileno())
    with pytest.raises(UsageError, match="not open"):
        Tap.from_fd(999_999)
