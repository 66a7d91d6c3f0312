"""The switch between guests: who hears what, who may say what, and that units stay units. All in memory."""

import random
import socket
import struct
from collections import deque

import pytest
from netstack_qemu import QemuStream, open_door

from netstack.address import Cidr, Ip4, Mac
from netstack.cores import Out
from netstack.errors import UsageError
from netstack.netif import FrameNetif
from netstack.router.guests.hub import Switch, together
from netstack.router.guests.switch import FLOOD_BURST, FLOOD_RATE, IPS, MACS, OWN
from netstack.testing.netifs import Probe, Wrapper

ROUTER = OWN.to_bytes(6, "big")
EVERYBODY = b"\xff" * 6
GATEWAY = "10.0.2.2"
NETWORK = Cidr.parse("10.0.2.0/24")


class Cable(FrameNetif):
    """A guest by hand: `says` what it sends, `heard` what it was sent."""

    def __init__(self, name: str, mtu: int = 1500) -> None:
        super().__init__(name, Mac(OWN), mtu)
        self.inbox: deque[bytes] = deque()
        self.heard: list[bytes] = []
        self.broken: OSError | None = None

    def says(self, *frames: bytes) -> None:
        self.inbox.extend(frames)
        self.wake()

    def poll(self, now: int) -> bool:  # type: ignore[override]
        if self.broken is not None:
            raise self.broken
        while self.inbox:
            self.receive(self.inbox.popleft(), now)
        self.flush(now)
        return False

    def transmit(self, frame: bytes, now: int) -> None:
        self.heard.append(frame)

    def took(self) -> list[bytes]:
        heard, self.heard = self.heard, []
        return heard


class Bench:
    def __init__(self, n: int = 3, **options: object) -> None:
        self.guests = [Cable("abcdefgh"[i]) for i in range(n)]
        options.setdefault("network", NETWORK)
        self.switch = Switch({guest.name: guest for guest in self.guests}, **options)  # type: ignore[arg-type]
        self.switch.reserve(int(Ip4.parse(GATEWAY)))
        self.router = Probe.__new__(Probe)
        Probe.__init__(self.router, Plain(self.switch))
        self.now = 1_000_000_000

    def say(self, guest: int, *frames: bytes) -> None:
        self.guests[guest].says(*frames)
        self.switch.poll(self.now)

    def heard(self) -> list[list[bytes]]:
        """By the router, and by each guest."""
        return [self.router.take(), *(guest.took() for guest in self.guests)]

    def mib(self, guest: int) -> object:
        return self.switch.ports[guest].mib


class Plain(Wrapper):
    """For a Probe, which wants whole frames only, and gets those."""

    @property
    def offload(self) -> int:
        return 0

    def plain(self) -> None:
        pass


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.switch.close()


def mac(i: int) -> bytes:
    return bytes([2, 0, 0, 0, 0, i + 1])


def ip(i: int) -> bytes:
    return bytes([10, 0, 2, 100 + i])


def arp(src: bytes, dst: bytes, sender_mac: bytes, sender: bytes, target: bytes, op: int = 1) -> bytes:
    body = b"\x00\x01\x08\x00\x06\x04" + op.to_bytes(2, "big") + sender_mac + sender + bytes(6) + target
    return dst + src + b"\x08\x06" + body


def hello(i: int) -> bytes:
    """A guest asks for the gateway: now it is known."""
    return arp(mac(i), EVERYBODY, mac(i), ip(i), bytes([10, 0, 2, 2]))


def packet(src: bytes, dst: bytes, source: bytes, target: bytes, sport: int = 1000, dport: int = 2000, n: int = 20) -> bytes:
    udp = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (8 + n).to_bytes(2, "big") + bytes(2) + bytes(n)
    header = b"\x45\x00" + (20 + len(udp)).to_bytes(2, "big") + bytes(4) + b"\x40\x11" + bytes(2) + source + target
    return dst + src + b"\x08\x00" + header + udp


def introduced(bench: Bench) -> None:
    for i in range(len(bench.guests)):
        bench.say(i, hello(i))
    bench.heard()


def test_a_broadcast_goes_to_all_and_a_unicast_to_its_port(bench):
    bench.say(0, hello(0))
    assert bench.heard() == [[hello(0)], [], [hello(0)], [hello(0)]]
    bench.say(1, hello(1))
    bench.heard()
    frame = packet(mac(0), mac(1), ip(0), ip(1))
    bench.say(0, frame)
    assert bench.heard() == [[], [], [frame], []]
    up = packet(mac(0), ROUTER, ip(0), b"\x08\x08\x08\x08")
    bench.say(0, up)
    assert bench.heard() == [[up], [], [], []]


def test_what_the_router_sends_goes_to_one_guest_or_to_all(bench):
    introduced(bench)
    one = packet(ROUTER, mac(1), b"\x08\x08\x08\x08", ip(1))
    every = packet(ROUTER, EVERYBODY, bytes([10, 0, 2, 2]), b"\xff" * 4)
    bench.router.send(one, 0)
    bench.router.send(every, 0)
    bench.router.send(packet(ROUTER, mac(7), bytes([10, 0, 2, 2]), ip(7)), 0)
    assert bench.heard() == [[], [every], [one, every], [every]]


def test_an_address_that_nobody_has_used_is_nobodys(bench):
    bench.say(0, hello(0), packet(mac(0), mac(1), ip(0), ip(1)))
    assert bench.heard()[2] == [hello(0)] and bench.mib(0).InUnknown == 1


@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (packet(mac(1), ROUTER, ip(0), b"\x08\x08\x08\x08"), "InSpoofedMac"),
        (packet(ROUTER, mac(1), ip(0), ip(1)), "InSpoofedMac"),
        (packet(b"\x03" + mac(0)[1:], ROUTER, ip(0), ip(1)), "InSpoofedMac"),
        (packet(bytes(6), ROUTER, ip(0), ip(1)), "InSpoofedMac"),
        (packet(mac(0), ROUTER, ip(1), b"\x08\x08\x08\x08"), "InSpoofedIp"),
        (packet(mac(0), mac(1), ip(2), ip(1)), "InSpoofedIp"),
        (packet(mac(0), mac(1), bytes([10, 0, 2, 2]), ip(1)), "InSpoofedIp"),
        (packet(mac(0), ROUTER, bytes([127, 0, 0, 1]), ip(1)), "InSpoofedIp"),
        (packet(mac(0), ROUTER, bytes([224, 0, 0, 1]), ip(1)), "InSpoofedIp"),
        (packet(mac(0), ROUTER, bytes([0, 1, 2, 3]), ip(1)), "InSpoofedIp"),
        (packet(mac(0), mac(1), bytes(4), ip(1)), "InSpoofedIp"),
        (packet(mac(0), ROUTER, bytes([8, 8, 8, 8]), ip(1)), "InForeignIp"),
        (arp(mac(0), mac(1), mac(0), bytes([10, 0, 2, 2]), ip(1), 2), "InSpoofedArp"),
        (arp(mac(0), mac(1), mac(0), ip(2), ip(1), 2), "InSpoofedArp"),
        (arp(mac(0), mac(1), mac(2), ip(0), ip(1), 2), "InSpoofedArp"),
        (arp(mac(0), EVERYBODY, mac(0), ip(1), ip(1)), "InSpoofedArp"),
        (mac(1) + mac(0) + b"\x86\xdd" + bytes(40), "InOtherType"),
        (mac(1) + mac(0) + b"\x81\x00" + bytes(40), "InOtherType"),
        (mac(1) + mac(0), "InTooShort"),
        (mac(1) + mac(0) + b"\x08\x00" + bytes(19), "InTooShort"),
        (mac(1) + mac(0) + b"\x08\x06" + bytes(27), "InTooShort"),
        (packet(mac(0), mac(1), ip(0), ip(1), sport=67, dport=68), "InRogueDhcp"),
    ],
)
def test_no_guest_can_pose_as_another(bench, frame, counter):
    introduced(bench)
    bench.say(0, frame)
    assert bench.heard() == [[], [], [], []]
    assert getattr(bench.mib(0), counter) == 1
    told = packet(mac(1), mac(0), ip(1), ip(0))  # and the one who was meant is as well off as before
    bench.say(1, told)
    assert bench.heard() == [[], [told], [], []]


def test_a_client_of_dhcp_is_heard_by_the_router_alone(bench):
    ask = packet(mac(0), EVERYBODY, bytes(4), b"\xff" * 4, sport=68, dport=67)
    lie = packet(mac(1), EVERYBODY, ip(1), b"\xff" * 4, sport=67, dport=68)
    bench.say(0, ask)
    bench.say(1, lie)
    assert bench.heard() == [[ask, lie], [], [], []] and bench.mib(1).InRogueDhcp == 1
    assert bench.switch.guest_of(0) == ""


def test_guests_are_kept_apart_when_asked():
    bench = Bench(isolate=True)
    introduced(bench)
    up = packet(mac(0), ROUTER, ip(0), b"\x08\x08\x08\x08")
    bench.say(0, packet(mac(0), mac(1), ip(0), ip(1)), hello(0), up)
    assert bench.heard() == [[hello(0), up], [], [], []] and bench.mib(0).InIsolated == 1
    bench.switch.close()


def test_broadcasts_are_bounded_and_others_are_not(bench):
    introduced(bench)
    bench.now += 10**9
    bench.say(0, *[hello(0)] * 1000)
    heard = bench.heard()
    assert [len(frames) for frames in heard] == [1000, 0, FLOOD_BURST, FLOOD_BURST]
    assert bench.mib(0).InFloodLimited == 1000 - FLOOD_BURST
    bench.say(1, hello(1))  # a neighbour's are not charged to it
    assert len(bench.heard()[1]) == 1
    bench.now += 10**9 // FLOOD_RATE * 3
    bench.say(0, *[hello(0)] * 10)
    assert len(bench.heard()[2]) == 3


def test_a_guest_that_claims_many_addresses_loses_its_own(bench):
    introduced(bench)
    for i in range(200):
        bench.say(0, packet(bytes([2, 9, 9, 9, 9, i]), ROUTER, bytes([10, 0, 2, i]), ip(1)))
    port = bench.switch.ports[0]
    assert len(port.macs) == MACS and len(port.ips) == IPS
    assert len(bench.switch.macs) == MACS + 2 and len(bench.switch.ips) == IPS + 2
    assert port.mib.MacsForgotten == 200 + 1 - MACS
    frame = packet(mac(2), mac(1), ip(2), ip(1))
    bench.heard()
    bench.say(2, frame)
    assert bench.heard()[2] == [frame]


def test_an_address_that_was_bound_is_taken_from_a_squatter_and_kept(bench):
    squat = packet(mac(0), ROUTER, ip(1), b"\x08\x08\x08\x08")
    bench.say(0, squat)
    assert bench.switch.guest_of(int.from_bytes(ip(1), "big")) == "a"
    bench.switch.bind("b", ip=Ip4(int.from_bytes(ip(1), "big")), mac=Mac(int.from_bytes(mac(1), "big")))
    assert bench.switch.guest_of(int.from_bytes(ip(1), "big")) == "b"
    bench.heard()
    bench.say(0, squat)
    bench.say(0, packet(mac(1), ROUTER, ip(0), b"\x08\x08\x08\x08"))
    assert bench.heard()[0] == [] and bench.mib(0).InSpoofedIp == 1 and bench.mib(0).InSpoofedMac == 1
    for i in range(100):  # not even by claims of its own
        bench.say(1, packet(bytes([2, 8, 8, 8, 8, i]), ROUTER, bytes([10, 0, 2, 10 + i]), ip(0)))
    assert int.from_bytes(ip(1), "big") in bench.switch.ports[1].ips
    with pytest.raises(UsageError, match="router's own"):
        bench.switch.bind("b", ip=Ip4.parse(GATEWAY))
    with pytest.raises(UsageError, match="no guest is called 'x': there is a, b, c"):
        bench.switch.bind("x", ip=Ip4.parse("10.0.2.9"))


def test_strict_wants_addresses_that_were_given():
    bench = Bench(strict=True)
    frame = packet(mac(0), ROUTER, ip(0), b"\x08\x08\x08\x08")
    bench.say(0, frame)
    assert bench.heard()[0] == [] and bench.mib(0).InSpoofedIp == 1
    bench.switch.bind("a", ip=Ip4(int.from_bytes(ip(0), "big")))
    bench.say(0, frame)
    assert bench.heard()[0] == [frame]
    bench.switch.release_ip(int.from_bytes(ip(0), "big"))
    bench.say(0, frame)
    assert bench.heard()[0] == []
    bench.switch.close()


def test_a_guest_that_leaves_takes_its_addresses_along_and_nobody_else(bench):
    introduced(bench)
    gone = []
    bench.switch.on_gone = lambda port, error: gone.append((port.name, str(error)))
    bench.guests[1].broken = OSError(19, "unplugged")
    bench.say(0, packet(mac(0), mac(2), ip(0), ip(2)))
    assert gone == [("b", "[Errno 19] unplugged")] and len(bench.heard()[3]) == 1
    assert [port.name for port in bench.switch.ports] == ["a", "c"]
    assert bench.switch.guest_of(int.from_bytes(ip(1), "big")) == ""
    again = Cable("b2")
    bench.switch.add("b", again)
    again.says(hello(1))
    bench.switch.poll(bench.now)
    assert bench.switch.guest_of(int.from_bytes(ip(1), "big")) == "b"
    for guest in (bench.guests[0], bench.guests[2], again):
        guest.broken = OSError(19, "unplugged")
    with pytest.raises(OSError, match="unplugged"):  # now nobody is left
        bench.switch.poll(bench.now)


class Watched(Wrapper):
    """What is asked of a device."""

    def __init__(self, netif: object) -> None:
        super().__init__(netif)  # type: ignore[arg-type]
        self.sent: list[tuple[int, int, int]] = []

    def on_send(self, p: Out, now: int) -> None:
        self.sent.append((p.length(), p.gso, p.csum_off))


def summed(data: bytes) -> bytes:
    """RFC 1071, by the book."""
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2, "big")


def segments(n: int) -> list[bytes]:
    """A run of one TCP flow from guest 0 to guest 1, each segment whole and with both its checksums."""
    rng = random.Random(5)
    made = []
    for i in range(n):
        seq = (2**32 - 3000 + i * 1460) % 2**32
        tcp = struct.pack("!HHIIBBH", 1, 2, seq, 9, 0x50, 0x10, 99) + bytes(4) + rng.randbytes(1460)
        tcp = tcp[:16] + summed(ip(0) + ip(1) + struct.pack("!HH", 6, len(tcp)) + tcp) + tcp[18:]
        header = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6) + bytes(2) + ip(0) + ip(1)
        header = header[:10] + summed(header) + header[12:]
        made.append(mac(1) + mac(0) + b"\x08\x00" + header + tcp)
    return made


@pytest.mark.parametrize("able", [True, False])
def test_a_unit_is_passed_on_whole_where_the_device_takes_it_and_cut_where_not(able):
    ours, theirs = socket.socketpair()
    a = QemuStream.from_socket(ours, name="a")
    right, far = socket.socketpair()
    b = Watched(QemuStream.from_socket(right, name="b", gso=able))
    switch = Switch({"a": a, "b": b})  # type: ignore[dict-item]
    router = Probe(Plain(switch))
    far.send((42).to_bytes(4, "big") + hello(1))
    switch.poll(0)
    frames = segments(20)
    theirs.send(b"".join(len(f).to_bytes(4, "big") + f for f in frames))
    switch.poll(0)
    got = far.recv(1 << 20)
    assert got == b"".join(len(f).to_bytes(4, "big") + f for f in frames)
    if able:
        assert b.sent == [(54 + 20 * 1460, 1460, 16)]
    else:
        assert b.sent == [(1514, 0, 0)] * 20
    assert router.take() == [hello(1)]
    switch.close()
    theirs.close()
    far.close()


def test_frames_longer_than_the_guests_mtu_are_counted():
    small, large = Cable("small", 1400), Cable("large", 9000)
    switch = Switch({"small": small, "large": large}, mtu=1400)
    Probe(Plain(switch))
    small.says(hello(0))
    large.says(hello(1), packet(mac(1), mac(0), ip(1), ip(0), n=1372), packet(mac(1), mac(0), ip(1), ip(0), n=1373))
    switch.poll(0)
    assert [len(f) for f in small.took()] == [42, 1414] and switch.port("small").mib.OutTooLong == 1
    switch.close()


def test_guests_come_through_a_door_and_leave(tmp_path):
    path = str(tmp_path / "vms")
    switch = together([], [open_door(path, {"guests": "2"})])
    assert isinstance(switch, Switch)
    router = Probe(Plain(switch))
    came, left = [], []
    switch.on_come = lambda port: came.append(port.name)
    switch.on_gone = lambda port, error: left.append(port.name)
    guests = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for i, guest in enumerate(guests):
        guest.connect(path)
        guest.setblocking(False)
        if i < 2:
            guest.send((42).to_bytes(4, "big") + hello(i))
    switch.poll(0)
    switch.poll(0)
    assert came == [f"{path}#1", f"{path}#2"] and len(router.take()) == 2
    assert guests[2].recv(1) == b""  # one too many
    assert guests[0].recv(100)[4:] == hello(1)
    guests[0].close()
    switch.poll(0)
    assert left == [f"{path}#1"] and len(switch.ports) == 1
    for guest in guests:
        guest.close()
    switch.poll(0)
    assert not switch.ports  # and it waits for others
    switch.close()


def test_one_guest_is_no_switch_at_all():
    a = Cable("a")
    assert together([("a", a)]) is a
    with pytest.raises(UsageError, match="two guests have one name"):
        together([("a", a), ("a", Cable("b"))])
    with pytest.raises(UsageError, match="a router needs a guest"):
        together([])
    with pytest.raises(UsageError, match="carries 1400 bytes, the others 1500"):
        Switch({"a": Cable("a", 1400)})


def test_any_frames_are_dropped_or_passed_on_whole(bench, seed):
    """A guest that sends noise moves nobody else's addresses, and nothing that wasn't sent is heard."""
    introduced(bench)
    rng = random.Random(seed)
    sent = set()
    for _ in range(2000):
        base = bytearray(rng.choice((packet(mac(0), mac(1), ip(0), ip(1)), hello(0), packet(mac(0), ROUTER, ip(0), ip(7)))))
        for _ in range(rng.randrange(4)):
            base[rng.randrange(len(base))] = rng.randrange(256)
        frame = bytes(base[: rng.randrange(len(base) + 1)])
        sent.add(frame)
        bench.say(0, frame)
    heard = bench.heard()
    assert all(frame in sent for frames in heard for frame in frames)
    ports = bench.switch.ports
    assert int.from_bytes(mac(1), "big") in ports[1].macs and int.from_bytes(ip(2), "big") in ports[2].ips
    assert sum(ports[0].mib.snapshot()[name] for name in ("InForwarded", "InFlooded")) > 100


class Clockwork(Cable):
    """A guest that wants to be polled at an instant, as one does whose emulator is gone and may come back."""

    due: int | None = None

    def next_deadline(self) -> int | None:  # type: ignore[override]
        return self.due

    def poll(self, now: int) -> bool:  # type: ignore[override]
        self.polled_at = now
        self.due = None
        return super().poll(now)


def test_a_guest_that_has_a_deadline_is_polled_then_and_leaves_none_behind():
    clock = Clockwork("clock")
    switch = Switch({"calm": Cable("calm"), "clock": clock}, network=NETWORK)
    assert switch.next_deadline() is None
    clock.due = 7_000
    assert switch.next_deadline() == 7_000
    switch.poll(7_000)
    assert clock.polled_at == 7_000 and switch.next_deadline() is None
    clock.due = 9_000
    switch.remove(switch.port("clock"))
    assert switch.next_deadline() is None
    switch.close()
