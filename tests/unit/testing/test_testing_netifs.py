"""Netifs around netifs: what they see, and that the stack does not notice."""

import errno
import io
import socket
from pathlib import Path

import pytest
from netstack_tuntap import Tap

from netstack import const, pcap
from netstack.adapters import FramePort, TeeSink
from netstack.cores import Frame, Out
from netstack.errors import UsageError
from netstack.instant import MILLISECOND, SECOND, Instant
from netstack.netif import SendOnly
from netstack.pcap import Decoder, Packet
from netstack.signatures import Netif
from netstack.testing.capture import CaptureFile
from netstack.testing.clock import VirtualClock
from netstack.testing.faults import Faults
from netstack.testing.netifs import Capture, FaultInjector, Loopback, Probe, Trace, Wrapper
from netstack.testing.wire import Wire

A, B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def ether(payload: bytes, to: bytes = B, source: bytes = A) -> bytes:
    return to + source + b"\x88\xb5" + payload


def packets(data: bytes) -> list[Packet]:
    decoder = Decoder()
    found = decoder.feed(data)
    decoder.finish()
    return found


def wired(wrap: "object" = None, **faults: int) -> tuple[Probe, Probe, VirtualClock, Wire]:
    """Two probes on a wire; the second sits behind `wrap(port)`."""
    wire, clock = Wire(**faults), VirtualClock()
    first, port = Probe(wire.port("a")), wire.port("b")
    second = Probe(wrap(port) if callable(wrap) else port)
    clock.add(first)
    clock.add(second)
    return first, second, clock, wire


def test_a_capture_has_both_directions_and_the_stack_notices_nothing() -> None:
    file = io.BytesIO()
    first, second, clock, _ = wired(lambda port: Capture(port, file, epoch=10**18), delay=5)
    first.send(ether(b"one"), clock.now)
    clock.advance(10)
    second.send(ether(b"two", A, B), clock.now)
    clock.advance(10)
    assert (second.take(), first.take()) == ([ether(b"one")], [ether(b"two", A, B)])
    assert second.batches == 1
    one, two = packets(file.getvalue())
    assert (one.time, one.data, one.direction) == (10**18 + 5, ether(b"one"), pcap.INBOUND)
    assert (two.time, two.data, two.direction) == (10**18 + 10, ether(b"two", A, B), pcap.OUTBOUND)
    assert (one.interface.name, one.interface.linktype) == ("b", pcap.ETHERNET)


def test_a_capture_of_a_point_to_point_device_says_so() -> None:
    file = io.BytesIO()
    probe = Probe(Capture(Loopback(), file))
    probe.send(b"\x45", 0)
    assert packets(file.getvalue())[0].interface.linktype == pcap.RAW


def test_a_wrapper_passes_everything_on() -> None:
    wire = Wire(mtu=1400)
    port = wire.port("b")
    wrapper: Netif = Wrapper(port)
    woken: list[int] = []
    wrapper.set_waker(lambda: woken.append(1))
    assert (wrapper.name, wrapper.mac, wrapper.mtu, wrapper.offload, wrapper.fileno()) == ("b", port.mac, 1400, 0, None)
    probe = Probe(wrapper)
    assert wrapper.next_deadline() is None
    Probe(wire.port("a")).send(ether(b"x", bytes(port.mac or b"")), 0)
    assert woken and wrapper.next_deadline() == 0
    assert wrapper.poll(Instant(0)) is False
    assert len(probe.take()) == 1
    wrapper.close()
    assert wire.ports == tuple(p for p in wire.ports if p.name == "a")


def test_what_the_device_and_the_stack_say_of_a_frame_passes_through_a_capture() -> None:
    """Checksum state and segment size are on the Frame and the Out, which a wrapper must not replace."""
    seen: list[tuple[int, int]] = []

    class Device(Wrapper):
        """Verifies what comes, and is asked about what goes."""

        def on_input(self, f: Frame) -> None:
            f.csum, f.gso = const.CSUM_GOOD, 1448

        def on_send(self, p: Out, now: int) -> None:
            seen.append((p.csum_off, p.gso))

    class Stack:
        def on_input(self, f: Frame) -> None:
            seen.append((f.csum, f.gso))

        def on_flush(self, now: int) -> None: ...
        def on_send(self, p: Out, now: int) -> None: ...

    capture = Capture(Device(Loopback()), io.BytesIO())
    capture.attach(TeeSink(Stack(), SendOnly()))
    p = Out()
    p.data, p.n, p.csum_off, p.gso = b"\x45", 1, 16, 1000
    FramePort(capture.core).send_out(p, 0)
    capture.poll(Instant(0))
    assert seen == [(16, 1000), (const.CSUM_GOOD, 1448)]


def test_a_full_disk_ends_the_capture_and_not_the_network() -> None:
    class Full(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            if self.tell() > 100:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    first, second, clock, _ = wired(lambda port: Capture(port, Full()))
    for _ in range(5):
        first.send(ether(bytes(50)), 0)
    clock.run_due()
    assert len(second.take()) == 5
    assert isinstance(second.netif, Capture)
    assert second.netif.file.error is not None


def test_a_wire_says_in_its_capture_what_befell_each_frame(tmp_path: Path) -> None:
    wire = Wire(mtu=100)
    a, b = Probe(wire.port("a")), Probe(wire.port("b"))
    path = tmp_path / "wire.pcapng"
    capture = wire.capture(path)
    c = Probe(wire.port("c"))
    wire.tamper(lambda name, frame: None if frame.endswith(b"drop") else frame)
    a.send(ether(b"plain"), 1)
    b.send(ether(bytes(101), A, B), 2)
    c.send(ether(b"drop"), 3)
    assert [(p.interface.name, p.time, p.comment) for p in packets(path.read_bytes())] == [
        ("a", 1, ""),
        ("b", 2, "dropped: longer than the mtu of 100"),
        ("c", 3, "dropped: by the test"),
    ]
    assert capture.frames == 3
    with pytest.raises(UsageError, match="captured already"):
        wire.capture(path)
    wire.close()

    noisy = Wire(corrupt=1.0, duplicate=1.0, ethernet=False)
    file = io.BytesIO()
    noisy.capture(file)
    Probe(noisy.port()).send(bytes(10), 0)
    (packet,) = packets(file.getvalue())
    assert packet.comment.startswith("bit ") and packet.comment.endswith("flipped, duplicated")
    assert packet.data != bytes(10)
    noisy.close()
    assert not file.closed


def test_a_capture_file_owns_what_it_opened(tmp_path: Path) -> None:
    capture = CaptureFile(tmp_path / "x.pcapng")
    number = capture.interface("x", True)
    capture.frame(number, 0, b"abc", pcap.UNKNOWN)
    assert len(packets((tmp_path / "x.pcapng").read_bytes())) == 1  # before it is closed
    capture.close()


def test_a_trace_is_a_line_for_each_frame() -> None:
    lines: list[str] = []
    first, second, clock, _ = wired(lambda port: Trace(port, lines.append), delay=20 * MILLISECOND)
    arp = bytes.fromhex("0001080006040001") + A + bytes([10, 0, 0, 1]) + bytes(6) + bytes([10, 0, 0, 2])
    first.send(b"\xff" * 6 + A + b"\x08\x06" + arp, clock.now)
    clock.advance(SECOND + 1000)
    second.send(ether(b"x" * 10, A, B), clock.now)
    assert lines == [
        "0.020000 b < ARP who has 10.0.0.2? tell 10.0.0.1",
        "1.000001 b > 02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype 0x88b5, length 24",
    ]


def test_a_fault_injector_befalls_both_directions_by_themselves() -> None:
    injected: list[FaultInjector] = []

    def wrap(port: Netif) -> FaultInjector:
        injected.append(FaultInjector(port, Faults.parse("delay=30ms,seed=1")))
        return injected[0]

    first, second, clock, _ = wired(wrap, delay=20 * MILLISECOND)
    first.send(ether(b"in"), clock.now)
    second.send(ether(b"out", A, B), clock.now)
    assert second.next_deadline() == 20 * MILLISECOND
    clock.advance(SECOND)
    assert [when for when, _ in second.frames] == [50 * MILLISECOND]
    assert [when for when, _ in first.frames] == [50 * MILLISECOND]
    assert (injected[0].inbound.mib.Frames, injected[0].outbound.mib.Frames) == (1, 1)
    assert second.next_deadline() is None


def test_a_fault_injector_holds_frames_back_until_others_have_passed() -> None:
    faults = Faults(reorder=0.5, reorder_past=2, hold=SECOND, seed=3)
    first, second, clock, _ = wired(lambda port: FaultInjector(port, faults))
    for n in range(20):
        first.send(ether(bytes([n])), clock.now)
        second.send(ether(bytes([n]), A, B), clock.now)
        clock.advance(MILLISECOND)
    clock.advance(2 * SECOND)
    for probe in (first, second):
        got = [frame[14] for frame in probe.take()]
        assert sorted(got) == list(range(20)) != got
    assert isinstance(second.netif, FaultInjector) and second.netif.inbound.mib.Reordered > 0


def test_a_fault_injector_without_faults_adds_no_time_and_keeps_batches() -> None:
    first, second, clock, _ = wired(lambda port: FaultInjector(port, Faults()))
    for n in range(70):
        first.send(ether(bytes([n])), 0)
    second.send(ether(b"back", A, B), 0)
    clock.run_due()
    assert clock.now == 0
    assert [frame[14] for frame in second.take()] == list(range(70))
    assert second.batches == 2
    assert len(first.take()) == 1


def test_loss_in_a_fault_injector_is_drawn_from_its_seed() -> None:
    def survivors(seed: int) -> list[int]:
        first, second, clock, _ = wired(lambda port: FaultInjector(port, Faults(loss=0.5, seed=seed)))
        for n in range(100):
            first.send(ether(bytes([n])), 0)
        clock.run_due()
        return [frame[14] for frame in second.take()]

    assert survivors(1) == survivors(1) != survivors(2)
    assert 20 < len(survivors(1)) < 80


def test_a_fault_injector_refuses_a_device_that_segments_for_us() -> None:
    class Offloading(Loopback):
        @property
        def offload(self) -> int:
            return const.OFFLOAD_CSUM

    with pytest.raises(UsageError, match="open it without offload"):
        FaultInjector(Offloading(), Faults())


def test_a_fault_injector_works_over_a_descriptor() -> None:
    """Frames of the device come when it is readable, held ones at the deadline, whichever was polled for."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tap = Tap.from_fd(near.detach(), name="cable")
    device = FaultInjector(tap, Faults(delay=10 * MILLISECOND, mtu=1000))
    probe = Probe(device)
    assert device.fileno() == tap.fileno() is not None
    assert device.mtu == 1000
    woken: list[int] = []
    device.set_waker(lambda: woken.append(1))
    far.send(ether(b"in"))
    assert device.poll(Instant(5)) is False
    assert probe.frames == []
    assert device.next_deadline() == 5 + 10 * MILLISECOND
    probe.send(ether(b"out", A, B), 6)
    assert woken
    far.setblocking(False)
    with pytest.raises(BlockingIOError):
        far.recv(100)
    device.poll(Instant(5 + 10 * MILLISECOND))
    assert probe.take() == [ether(b"in")]
    device.poll(Instant(6 + 10 * MILLISECOND))
    assert far.recv(100) == ether(b"out", A, B)
    assert device.next_deadline() is None
    device.close()
    assert tap.fileno() is None
    far.close()


def test_a_fault_injector_holds_a_bounded_number_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netstack.testing.netifs.HELD_LIMIT", 3)
    first, second, clock, _ = wired(lambda port: FaultInjector(port, Faults(delay=SECOND)))
    for n in range(5):
        first.send(ether(bytes([n])), 0)
        second.send(ether(bytes([n]), A, B), 0)
    clock.advance(2 * SECOND)
    assert [frame[14] for frame in second.take()] == [0, 1, 2]
    assert [frame[14] for frame in first.take()] == [0, 1, 2]
    assert isinstance(second.netif, FaultInjector)
    assert (second.netif.inbound.mib.InboxFull, second.netif.outbound.mib.InboxFull) == (2, 2)
