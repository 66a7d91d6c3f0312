"""A real tap, and the real kernel on its other end: each test in a network namespace of its own.

The body of a test runs in a process of its own inside the namespace; what it asserts there fails the test here.
"""

import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from inside import in_a_namespace, ip
from netstack_tuntap import DeviceUnavailable, Tap, Tun, open_tap

from netstack import const
from netstack.adapters import FramePort, TeeSink
from netstack.address import Cidr, Mac
from netstack.cores import Frame, Out
from netstack.device.face import ALL
from netstack.errors import UsageError
from netstack.netif import SendOnly
from netstack.testing.netifs import Probe

pytestmark = [pytest.mark.needs_tap, pytest.mark.needs("ip")]


def raises(kind: type[Exception], function: Callable[[], object], words: str) -> OSError:
    with pytest.raises(kind) as caught:
        function()
    assert words in str(caught.value)
    return caught.value


def wire(name: str) -> socket.socket:
    """The kernel's side of the cable, raw."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((name, 0))
    s.settimeout(5)
    return s


def heard(probe: Probe, fits: Callable[[bytes], bool]) -> bytes:
    """Poll until a frame that fits comes; the kernel says other things on a fresh interface."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        select.select([probe.netif.fileno()], [], [], 5)
        probe.netif.poll(time.monotonic_ns())
        for frame in probe.take():
            if fits(frame):
                return frame
    raise AssertionError("the frame did not come")


@in_a_namespace
def test_frames_pass_both_ways() -> None:
    with Tap("tap0") as tap:
        probe, kernel = Probe(tap), wire("tap0")
        assert tap.mtu == 1500 and tap.name == "tap0" and tap.offload == 0
        src = bytes.fromhex("0200000000aa")
        frame = bytes(tap.mac) + src + b"\x88\xb5" + bytes(range(200))
        kernel.send(frame)
        assert heard(probe, lambda f: f[12:14] == b"\x88\xb5") == frame
        answer = src + bytes(tap.mac) + b"\x88\xb6" + bytes(1500)
        probe.send(answer, 0)
        while (got := kernel.recv(4096))[12:14] != b"\x88\xb6":
            pass
        assert got == answer
        assert tap.mib.OutFrames == 1


@in_a_namespace
def test_the_kernel_gets_its_address_and_asks_for_ours() -> None:
    tap = open_tap("tap0", {"host": "10.79.0.1/24", "mtu": "1400"})
    probe = Probe(tap)
    shown = ip("addr", "show", "dev", "tap0")
    assert "inet 10.79.0.1/24" in shown and "mtu 1400" in shown and tap.mtu == 1400, shown
    hwaddr = Mac.parse(ip("-br", "link", "show", "dev", "tap0").split()[2])
    assert tap.mac != hwaddr
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"hello", ("10.79.0.2", 7))
    asked = heard(probe, lambda f: f[12:14] == b"\x08\x06")
    assert asked[6:12] == bytes(hwaddr) and asked[38:42] == bytes([10, 79, 0, 2])
    # an answer in our name, and the datagram follows
    ours = bytes(tap.mac)
    reply = bytes.fromhex("0001080006040002") + ours + bytes([10, 79, 0, 2]) + bytes(hwaddr) + bytes([10, 79, 0, 1])
    probe.send(bytes(hwaddr) + ours + b"\x08\x06" + reply, 0)
    assert heard(probe, lambda f: f[12:14] == b"\x08\x00" and f[:6] == ours).endswith(b"hello")
    raises(UsageError, lambda: Tap("tap1", mac=Mac.parse("01:00:00:00:00:00")), "group address")
    tap.close()


@in_a_namespace
def test_the_kernels_own_address_is_refused_for_the_stack() -> None:
    ip("tuntap", "add", "dev", "tap0", "mode", "tap")
    hwaddr = Mac.parse(ip("-br", "link", "show", "dev", "tap0").split()[2])
    raises(UsageError, lambda: Tap("tap0", mac=hwaddr), "the kernel's own address on tap0")
    Tap("tap0").close()  # it was closed again by the refusal


@in_a_namespace
def test_what_we_made_goes_and_what_was_there_stays() -> None:
    Tap("made0").close()
    assert "made0" not in ip("link")
    ip("tuntap", "add", "dev", "there0", "mode", "tap")
    with Tap("there0") as first:
        mac = first.mac
    assert "there0" in ip("link")
    with Tap("there0") as second:
        assert second.mac == mac
    Tap("kept0", persist=True).close()
    assert "kept0" in ip("link")
    with Tap() as chosen:
        assert chosen.name.startswith("tap") and chosen.name in ip("link")


@in_a_namespace
def test_a_device_in_use_or_of_another_kind_is_refused_in_a_sentence() -> None:
    with Tap("tap0"):
        error = raises(DeviceUnavailable, lambda: Tap("tap0"), "tap0 is in use by another program")
        assert error.errno == errno.EBUSY
    raises(DeviceUnavailable, lambda: Tap("lo"), "lo is there and is no tap device")
    with Tun("tun0"):
        raises(DeviceUnavailable, lambda: Tap("tun0"), "no tap device")
    raises(UsageError, lambda: Tap("tap0", mtu=70000), "from 68 to 65521")
    assert "tap0" not in ip("link")


@in_a_namespace
def test_frames_to_an_interface_that_is_down_are_counted() -> None:
    with Tap("tap0", up=False) as tap:
        probe = Probe(tap)
        probe.send(bytes(60), 0)
        assert tap.mib.OutDown == 1
        assert tap.poll(0) is False
        ip("link", "set", "tap0", "up")
        probe.send(bytes(60), 0)
        assert tap.mib.OutFrames == 1
        probe.send(b"short", 0)
        assert tap.mib.OutRefused == 1


@in_a_namespace
def test_a_device_that_is_removed_says_so() -> None:
    tap = Tap("tap0")
    probe = Probe(tap)
    ip("link", "del", "tap0")
    error = raises(OSError, lambda: [tap.poll(0) for _ in range(1000)], "gone")
    assert error.errno in (errno.EBADFD, errno.EIO), error
    probe.send(bytes(60), 0)
    assert tap.mib.OutGone == 1
    tap.close()


@in_a_namespace
def test_a_tun_carries_bare_datagrams_both_ways() -> None:
    with Tun("tun0", host=Cidr.parse("10.79.0.1/24")) as tun:
        probe = Probe(tun)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("10.79.0.1", 0))
            s.settimeout(5)
            s.sendto(b"ping", ("10.79.0.2", 7))
            packet = heard(probe, lambda p: p[0] == 0x45 and p[9] == 17)
            assert packet[12:20] == bytes([10, 79, 0, 1, 10, 79, 0, 2]) and packet.endswith(b"ping")
            # turned round: addresses and ports swapped leave every checksum as it is
            probe.send(packet[:12] + packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22] + packet[24:], 0)
            assert s.recvfrom(100) == (b"ping", ("10.79.0.2", 7))


@in_a_namespace
def test_the_kernel_leaves_checksums_to_us_and_we_to_the_kernel() -> None:
    class Sink:
        def __init__(self) -> None:
            self.seen: list[tuple[bytes, int, int]] = []

        def on_input(self, f: Frame) -> None:
            self.seen.append((bytes(f.buf[f.off : f.end]), f.csum, f.gso))

        def on_flush(self, now: int) -> None: ...
        def on_send(self, p: Out, now: int) -> None: ...

    tun, sink = Tun("tun0", host=Cidr.parse("10.79.0.1/24"), offload=True), Sink()
    assert tun.takes == ALL and tun.vnet == 12
    tun.attach(TeeSink(sink, SendOnly()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("10.79.0.1", 0))
        s.settimeout(5)
        s.sendto(b"ping", ("10.79.0.2", 7))
        while not any(packet[9] == 17 for packet, _, _ in sink.seen):
            select.select([tun.fileno()], [], [], 5)
            tun.poll(0)
        packet, csum, gso = next(seen for seen in sink.seen if seen[0][9] == 17)
        assert (csum, gso) == (const.CSUM_PARTIAL, 0)
        # the checksum field holds only the sum of the pseudo-header, and it is symmetric: send it back for the kernel to complete
        p = Out()
        p.off, p.l4 = const.HEADROOM - 28, const.HEADROOM - 8
        p.hdr[p.off :] = packet[:12] + packet[16:20] + packet[12:16] + packet[22:24] + packet[20:22] + packet[24:28]
        p.data, p.n, p.csum_off = b"pong", 4, 6
        FramePort(tun.core).send_out(p, 0)
        assert s.recvfrom(100) == (b"pong", ("10.79.0.2", 7))
    tun.close()


@in_a_namespace
def test_a_super_segment_passes_whole() -> None:
    tap = Tap("tap0", offload=True)
    kernel = wire("tap0")
    p = Out()
    p.off, p.l4 = const.HEADROOM - 54, const.HEADROOM - 20
    segment = bytes.fromhex("0001000200000001000000025010ffff00000000")
    header = bytes.fromhex("4500") + (20 + 20 + 20_000).to_bytes(2, "big") + bytes.fromhex("000040004006000" + "00a4f00020a4f0001")
    p.hdr[p.off :] = bytes.fromhex("0200000000aa") + bytes(tap.mac) + b"\x08\x00" + header + segment
    p.data, p.n, p.csum_off, p.gso = bytes(20_000), 20_000, 16, 1448
    FramePort(tap.core).send_out(p, 0)
    assert (tap.mib.OutFrames, tap.mib.OutRefused) == (1, 0)
    while len(got := kernel.recv(70_000)) < 10_000:
        pass
    assert len(got) == 54 + 20_000
    tap.close()


@in_a_namespace
def test_a_descriptor_that_somebody_else_opened_is_recognised() -> None:
    def opened(name: bytes, flags: int) -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name, flags))
        return fd

    with Tap.from_fd(opened(b"tap0", 0x1002)) as tap:
        assert (tap.name, tap.mtu, tap.vnet) == ("tap0", 1500, 0)
        assert not os.get_inheritable(tap.fileno()) and not os.get_blocking(tap.fileno())
    with Tap.from_fd(opened(b"tap1", 0x5002)) as tap:
        assert (tap.name, tap.vnet, tap.takes) == ("tap1", 12, ALL)
    fd = opened(b"tun0", 0x1001)
    raises(UsageError, lambda: Tap.from_fd(fd), "tun0, which is no tap device: use Tun.from_fd")
    with Tun.from_fd(fd) as tun:
        assert (tun.name, tun.mac) == ("tun0", None)


@pytest.mark.needs("setpriv")
@in_a_namespace
def test_ones_own_device_needs_no_privilege_and_a_new_one_says_which() -> None:
    ip("tuntap", "add", "dev", "mine0", "mode", "tap", "user", str(os.geteuid()))
    ip("link", "set", "mine0", "up")
    program = """
from netstack_tuntap import NotAllowed, Tap
with Tap("mine0") as tap:
    print(tap.name)
for attempt in (lambda: Tap("new0"), lambda: Tap("mine0", mtu=1400)):
    try:
        attempt()
    except NotAllowed as error:
        print(error)
"""
    bounded = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", sys.executable, "-c", program]
    done = subprocess.run(bounded, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "mine0", done.stderr
    assert "CAP_NET_ADMIN" in lines[1] and "sudo ip tuntap add dev new0 mode tap user $USER" in lines[1]
    assert "sudo ip link set mine0 mtu 1400" in lines[2]
