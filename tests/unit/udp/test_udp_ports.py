"""UDP (RFC 768, RFC 1122 4.1) on a host in memory."""

import errno
import itertools
import random
import struct

import pytest

from netstack.adapters import PyDatagramUser
from netstack.address import Cidr, Ip4
from netstack.const import DATAGRAM_OVERHEAD as OVERHEAD
from netstack.errors import AddressInUse, ClosedError, MessageTooLong, Refused, Unreachable, UsageError, WouldBlock
from netstack.udp import DatagramQueue, Udp, UdpPort
from tests.unit.ipv4.ipworld import FAR, A, B, Host, datagram, fields, icmp, put_together, sum16

GROUP = int(Ip4.parse("239.1.2.3"))
ALL = 0xFFFFFFFF


class Keeper:
    """A user of ports: keeps what it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, int, int]] = []
        self.errors: list[tuple[Exception, int, int]] = []
        self.user = PyDatagramUser(self)

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        self.got.append((data, address, port))

    def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
        self.errors.append((error, address, port))


class World(Host):
    def __init__(self, address: str = "10.79.0.1/24", mtu: int = 1500, offload: int = 0) -> None:
        super().__init__(address, mtu, offload=offload)
        self.udp = Udp(self.ip, random.Random(5))

    def keeper(self, port: int, address: int = 0, remote: tuple[int, int] | None = None, reuse: bool = False) -> Keeper:
        keeper = Keeper()
        keeper.port = self.udp.bind(address, port, keeper.user, remote, reuse)  # type: ignore[attr-defined]
        return keeper

    def numbers(self) -> dict[str, int]:
        return {name: value for name, value in self.udp.mib.snapshot().items() if value}


def udp(
    data: bytes, sport: int = 4000, dport: int = 53, src: int = B, dst: int = A, length: int | None = None, check: int | None = None
) -> bytes:
    length = 8 + len(data) if length is None else length
    if check is None:
        pseudo = struct.pack("!IIBBH", src, dst, 0, 17, length)
        check = sum16(pseudo + struct.pack("!HHHH", sport, dport, length, 0) + data) or 0xFFFF
    return struct.pack("!HHHH", sport, dport, length, check) + data


def packet(data: bytes, sport: int = 4000, dport: int = 53, src: int = B, dst: int = A) -> bytes:
    return datagram(udp(data, sport, dport, src, dst), src, dst)


# -- receiving ----------------------------------------------------------------------------------------------------------------


def test_a_datagram_reaches_the_port_that_it_names() -> None:
    world = World()
    here = world.keeper(53)
    there = world.keeper(54)
    assert world.receive(packet(b"question")) == []
    assert here.got == [(b"question", B, 4000)] and there.got == []
    assert world.numbers() == {"InDatagrams": 1}


def test_literal_bytes() -> None:
    """RFC 768 on paper: 10.79.0.2:4000 to 10.79.0.1:53, 'abc' and the words that its checksum sums."""
    world = World()
    here = world.keeper(53)
    words = [0x0A4F, 0x0002, 0x0A4F, 0x0001, 0x0011, 0x000B, 0x0FA0, 0x0035, 0x000B, 0x6162, 0x6300]
    check = 0xFFFF ^ sum(words)
    world.receive(datagram(bytes.fromhex("0fa00035000b") + struct.pack("!H", check) + b"abc"))
    assert here.got == [(b"abc", B, 4000)]


def test_an_empty_datagram_is_a_datagram() -> None:
    world = World()
    here = world.keeper(53)
    world.receive(packet(b""))
    assert here.got == [(b"", B, 4000)]


def test_a_wrong_checksum_is_dropped_and_counted() -> None:
    world = World()
    here = world.keeper(53)
    world.receive(datagram(udp(b"x", check=0x1234)))
    assert here.got == [] and world.numbers() == {"InErrors": 1, "InCsumErrors": 1}


def test_no_checksum_is_accepted() -> None:
    world = World()
    here = world.keeper(53)
    world.receive(datagram(udp(b"unchecked", check=0)))
    assert here.got == [(b"unchecked", B, 4000)]


@pytest.mark.parametrize("length", [0, 1, 7, 12, 0xFFFF])
def test_a_length_that_lies_is_dropped(length: int) -> None:
    world = World()
    world.keeper(53)
    assert world.receive(datagram(udp(b"abc", length=length, check=0))) == []
    assert world.numbers() == {"InErrors": 1, "InBadLength": 1}


def test_a_datagram_shorter_than_a_header_is_dropped() -> None:
    world = World()
    world.receive(datagram(b"\0\x35\0\x35\0\x08\0"))
    assert world.numbers() == {"InErrors": 1, "InTooShort": 1}


def test_bytes_beyond_the_length_are_not_data() -> None:
    world = World()
    here = world.keeper(53)
    world.receive(datagram(udp(b"abc") + b"surplus"))
    assert here.got == [(b"abc", B, 4000)]


def test_an_unknown_port_is_unreachable() -> None:
    world = World()
    (answer,) = world.receive(question := packet(b"anybody?"))
    assert fields(answer)["proto"] == 1 and answer[20:22] == b"\x03\x03" and sum16(answer[20:]) == 0
    assert answer[28:] == question
    assert world.numbers() == {"NoPorts": 1}


@pytest.mark.parametrize("dst", [ALL, A | 0xFF, 0xE0000001])
def test_nothing_is_unreachable_for_broadcast_and_multicast(dst: int) -> None:
    world = World()
    assert world.receive(packet(b"anybody?", dst=dst)) == []
    assert world.numbers() == {"IgnoredMulti": 1}


def test_a_reassembled_datagram_is_checked_and_delivered() -> None:
    world = World()
    here = world.keeper(53)
    data = bytes(range(256)) * 250
    whole = udp(data)
    frames = [
        datagram(whole[at : at + 1480], frag=at // 8 | (0x2000 if at + 1480 < len(whole) else 0))
        for at in range(0, len(whole), 1480)
    ]
    random.Random(3).shuffle(frames)
    world.receive(*frames)
    assert here.got == [(data, B, 4000)]


# -- who gets it --------------------------------------------------------------------------------------------------------------


def test_a_connected_port_comes_before_a_bound_one_and_a_bound_one_before_any() -> None:
    world = World()
    anyone = world.keeper(53, 0, reuse=True)
    bound = world.keeper(53, A, reuse=True)
    connected = world.keeper(53, A, (B, 4000))
    world.ip.add_address(Cidr.parse("10.79.0.9/24"))
    other = int(Ip4.parse("10.79.0.9"))
    world.receive(packet(b"1"), packet(b"2", sport=4001), packet(b"3", dst=other))
    assert [data for data, _, _ in connected.got] == [b"1"]
    assert [data for data, _, _ in bound.got] == [b"2"]
    assert [data for data, _, _ in anyone.got] == [b"3"]


def test_the_remembered_answer_is_forgotten_when_a_port_opens_or_closes() -> None:
    world = World()
    bound = world.keeper(53)
    world.receive(packet(b"1"))
    connected = world.keeper(53, 0, (B, 4000))
    world.receive(packet(b"2"))
    connected.port.close()  # type: ignore[attr-defined]
    world.receive(packet(b"3"))
    bound.port.close()  # type: ignore[attr-defined]
    world.receive(packet(b"4"))
    assert ([data for data, _, _ in bound.got], [data for data, _, _ in connected.got]) == ([b"1", b"3"], [b"2"])
    assert world.udp.mib.NoPorts == 1


def test_a_connected_port_hears_its_peer_alone() -> None:
    world = World()
    connected = world.keeper(53, 0, (B, 4000))
    assert len(world.receive(packet(b"stranger", sport=9))) == 1
    assert connected.got == [] and world.udp.mib.NoPorts == 1


def test_high_ports_of_several_peers_are_told_apart() -> None:
    """In C a high port must not spread its sign over the address beside it."""
    world = World()
    peers = {B: world.keeper(53, remote=(B, 40000)), B + 1: world.keeper(53, remote=(B + 1, 40000))}
    for src in (B, B + 1, B, B + 2):
        world.receive(packet(b"hi", sport=40000, src=src))
    assert [len(keeper.got) for keeper in peers.values()] == [2, 1] and world.udp.mib.NoPorts == 1


def test_broadcast_and_multicast_reach_every_port_that_wants_them() -> None:
    world = World()
    one, two = world.keeper(53, reuse=True), world.keeper(53, reuse=True)
    narrow = world.keeper(53, A, reuse=True)
    world.receive(packet(b"all", dst=ALL), packet(b"net", dst=A | 0xFF))
    assert [data for data, _, _ in one.got] == [data for data, _, _ in two.got] == [b"all", b"net"]
    assert narrow.got == []
    world.receive(packet(b"before", dst=GROUP))
    two.port.join(GROUP)  # type: ignore[attr-defined]
    world.receive(packet(b"group", dst=GROUP))
    assert [data for data, _, _ in one.got] == [b"all", b"net"]
    assert [data for data, _, _ in two.got] == [b"all", b"net", b"group"]
    two.port.close()  # type: ignore[attr-defined]
    assert Ip4(GROUP) not in world.ip.groups
    assert world.ip.mib.InOtherGroup == 1


# -- binding ------------------------------------------------------------------------------------------------------------------


def test_a_port_is_taken_once() -> None:
    world = World()
    first = world.keeper(53)
    for address in (0, A):
        with pytest.raises(AddressInUse):
            world.keeper(53, address)
    first.port.close()  # type: ignore[attr-defined]
    world.keeper(53, A)
    with pytest.raises(AddressInUse):
        world.keeper(53)
    world.keeper(53, 0x7F000001)
    world.keeper(53, 0, (B, 9))
    with pytest.raises(AddressInUse):
        world.keeper(53, A, (B, 9))
    world.keeper(53, A, (B, 10))


def test_ephemeral_ports_are_random_distinct_and_dynamic() -> None:
    world = World()
    ports = [world.udp.bind(0, 0, Keeper().user).local_port for _ in range(200)]
    assert len(set(ports)) == 200 and all(49152 <= port <= 65535 for port in ports)
    steps = [abs(b - a) for a, b in itertools.pairwise(ports)]
    assert sorted(steps)[100] > 1000, "the next port is near the last one: it can be guessed (RFC 6056)"


def test_when_all_ephemeral_ports_are_taken_bind_says_so() -> None:
    world = World()
    user = Keeper().user
    world.udp.ports.update({port: [UdpPort(world.udp, 0, port, 0, 0, user, False)] for port in range(49152, 65536)})
    with pytest.raises(AddressInUse, match="ephemeral"):
        world.udp.bind(0, 0, user)


@pytest.mark.parametrize(("address", "port", "remote"), [(0, -1, None), (0, 65536, None), (0, 0, (B, 0)), (0, 0, (0, 53))])
def test_bind_refuses_what_cannot_be(address: int, port: int, remote: tuple[int, int] | None) -> None:
    with pytest.raises(UsageError):
        World().udp.bind(address, port, Keeper().user, remote)


def test_binding_an_address_of_somebody_else_fails_as_on_sockets() -> None:
    with pytest.raises(Unreachable) as caught:
        World().keeper(53, FAR)
    assert caught.value.errno == errno.EADDRNOTAVAIL


# -- sending ------------------------------------------------------------------------------------------------------------------


def test_sending_writes_header_checksum_and_data() -> None:
    world = World()
    port = world.udp.bind(0, 4000, Keeper().user)
    port.send(b"abc", B, 53, world.now, ttl=3, tos=0x20)
    (sent,) = world.take()
    head = fields(sent)
    assert (head["src"], head["dst"], head["proto"], head["ttl"], head["tos"]) == (A, B, 17, 3, 0x20)
    assert sent[20:] == udp(b"abc", 4000, 53, A, B)
    assert world.numbers() == {"OutDatagrams": 1}


def test_a_checksum_of_zero_is_sent_as_all_ones() -> None:
    world = World()
    port = world.udp.bind(0, 4000, Keeper().user)
    base = sum16(struct.pack("!IIBBH", A, B, 0, 17, 10) + struct.pack("!HHHH", 4000, 53, 10, 0))
    port.send(struct.pack("!H", base), B, 53, world.now)
    assert world.take()[0][26:28] == b"\xff\xff"


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 1480, 2961, 65_507])
def test_datagrams_of_every_size_leave_whole_or_in_fragments(size: int) -> None:
    world = World()
    port = world.udp.bind(0, 4000, Keeper().user)
    data = random.Random(size).randbytes(size)
    port.send(data, B, 53, world.now)
    sent = world.take()
    assert put_together(sent) == udp(data, 4000, 53, A, B)
    assert (len(sent) > 1) == (size > 1472)


def test_a_device_that_completes_checksums_gets_the_pseudo_header_sum_and_fragments_are_completed_here() -> None:
    world = World(offload=1)
    port = world.udp.bind(0, 4000, Keeper().user)
    port.send(b"abc", B, 53, world.now)
    (sent,) = world.take()
    pseudo = struct.pack("!IIBBH", A, B, 0, 17, 11)
    assert int.from_bytes(sent[26:28], "big") == sum16(pseudo) ^ 0xFFFF
    port.send(b"abc" * 1000, B, 53, world.now)
    assert put_together(world.take()) == udp(b"abc" * 1000, 4000, 53, A, B)


def test_what_does_not_fit_is_refused() -> None:
    world = World()
    port = world.udp.bind(0, 4000, Keeper().user)
    with pytest.raises(MessageTooLong):
        port.send(bytes(65_508), B, 53, world.now)
    with pytest.raises(MessageTooLong) as caught:
        port.send(bytes(1473), B, 53, world.now, df=True)
    assert caught.value.mtu == 1500 and world.take() == []
    port.send(bytes(1472), B, 53, world.now, df=True)
    assert fields(world.take()[0])["frag"] == 0x4000


@pytest.mark.parametrize(("address", "port"), [(B, 0), (B, 65536), (B, -1), (0, 53), (1 << 32, 53), (-1, 53), (0, 0)])
def test_sending_nowhere_is_a_usage_error(address: int, port: int) -> None:
    world = World()
    with pytest.raises(UsageError):
        world.udp.bind(0, 4000, Keeper().user).send(b"", address, port, world.now)


def test_a_connected_port_sends_to_its_peer() -> None:
    world = World()
    keeper = world.keeper(0, 0, (FAR, 53))
    keeper.port.send(b"q", 0, 0, world.now)  # type: ignore[attr-defined]
    assert world.take()[0][20:] == udp(b"q", keeper.port.local_port, 53, A, FAR)  # type: ignore[attr-defined]
    assert keeper.port.local == A  # type: ignore[attr-defined]


def test_a_closed_port_says_so_and_is_free() -> None:
    world = World()
    port = world.udp.bind(0, 4000, Keeper().user)
    port.close()
    port.close()
    with pytest.raises(ClosedError):
        port.send(b"", B, 53, world.now)
    assert len(world.receive(packet(b"", dport=4000))) == 1
    world.udp.bind(0, 4000, Keeper().user)


def test_datagrams_to_ourselves_arrive_with_the_next_turn() -> None:
    world = World()
    here = world.keeper(53)
    port = world.udp.bind(0, 4000, Keeper().user)
    for dst in (A, 0x7F000001):
        port.send(b"me" * 20_000, dst, 53, world.now)
    assert here.got == []
    world.pass_time(0)
    assert here.got == [(b"me" * 20_000, A, 4000), (b"me" * 20_000, 0x7F000001, 4000)]
    assert world.take() == []


def test_our_own_multicast_and_broadcast_reach_our_own_ports_and_the_wire() -> None:
    world = World()
    here = world.keeper(53)
    here.port.join(GROUP)  # type: ignore[attr-defined]
    port = world.udp.bind(0, 4000, Keeper().user)
    for dst in (GROUP, ALL, A | 0xFF):
        port.send(b"all", dst, 53, world.now)
    sent = [fields(packet) for packet in world.pass_time(0) if packet[9] == 17]
    assert [(head["dst"], head["ttl"]) for head in sent] == [(GROUP, 1), (ALL, 64), (A | 0xFF, 64)]
    assert here.got == [(b"all", A, 4000)] * 3


# -- errors from the network --------------------------------------------------------------------------------------------------


def report(type: int, code: int, quote: bytes, rest: int = 0, src: int = B) -> bytes:
    return datagram(icmp(type, code, rest, quote), src=src, proto=1)


@pytest.mark.parametrize(
    ("type", "code", "kind", "number"),
    [
        (3, 0, Unreachable, errno.ENETUNREACH), (3, 1, Unreachable, errno.EHOSTUNREACH), (3, 2, Unreachable, errno.ENOPROTOOPT),
        (3, 3, Refused, errno.ECONNREFUSED), (3, 13, Unreachable, errno.EHOSTUNREACH), (11, 0, Unreachable, errno.EHOSTUNREACH),
        (12, 0, Unreachable, errno.EPROTO),
    ],
)  # fmt: skip
def test_icmp_errors_reach_the_port_that_sent(type: int, code: int, kind: type[OSError], number: int) -> None:
    world = World()
    keeper = world.keeper(4000)
    keeper.port.send(b"anybody?", B, 53, world.now)  # type: ignore[attr-defined]
    world.receive(report(type, code, world.take()[0][:28]))
    ((error, address, port),) = keeper.errors
    assert isinstance(error, kind) and error.errno == number and (address, port) == (B, 53)
    assert world.udp.mib.InErrorsMatched == 1


def test_fragmentation_needed_tells_the_mtu_and_the_next_send_knows_it() -> None:
    world = World()
    keeper = world.keeper(4000)
    keeper.port.send(bytes(1400), FAR, 53, world.now, df=True)  # type: ignore[attr-defined]
    world.receive(report(3, 4, world.take()[0], 1200))
    assert isinstance(keeper.errors[0][0], MessageTooLong) and keeper.errors[0][0].mtu == 1200
    with pytest.raises(MessageTooLong) as caught:
        keeper.port.send(bytes(1400), FAR, 53, world.now, df=True)  # type: ignore[attr-defined]
    assert caught.value.mtu == 1200
    keeper.port.send(bytes(1400), FAR, 53, world.now)  # type: ignore[attr-defined]
    assert len(world.take()) == 1, "what may be cut is cut by whoever has to"


def test_an_error_about_a_port_that_nobody_has_is_counted() -> None:
    world = World()
    keeper = world.keeper(4000)
    world.receive(report(3, 3, datagram(udp(b"", 4001, 53, A, B), A, B)))
    assert keeper.errors == [] and world.udp.mib.InErrorsUnmatched == 1


# -- the queue ----------------------------------------------------------------------------------------------------------------


def test_the_queue_hands_out_in_order_and_then_would_block() -> None:
    world = World()
    woken: list[int] = []
    queue = DatagramQueue(world.udp.mib, lambda: woken.append(1))
    world.udp.bind(0, 53, queue)
    world.receive(packet(b"1"), packet(b"2"))
    assert (len(queue), len(woken)) == (2, 2)
    assert [queue.get(), queue.get()] == [(b"1", B, 4000), (b"2", B, 4000)]
    with pytest.raises(WouldBlock):
        queue.get()
    assert queue.held == 0


def test_a_full_queue_drops_the_newest_and_counts() -> None:
    world = World()
    queue = DatagramQueue(world.udp.mib, limit=10 * (100 + OVERHEAD))
    world.udp.bind(0, 53, queue)
    world.receive(*[packet(bytes([i]) * 100) for i in range(15)])
    assert len(queue) == 10 and queue.dropped == 5
    assert (world.udp.mib.RcvbufErrors, world.udp.mib.InErrors) == (5, 5)
    assert queue.get()[0] == b"\0" * 100
    world.receive(packet(b"z" * 100))
    assert len(queue) == 10


def test_a_flood_of_empty_datagrams_is_bounded_too() -> None:
    world = World()
    queue = DatagramQueue(world.udp.mib)
    world.udp.bind(0, 53, queue)
    for _ in range(40):
        world.receive(*[packet(b"")] * 64)
    assert len(queue) == 212_992 // OVERHEAD and queue.held <= queue.limit


def test_an_error_comes_out_of_the_queue_once() -> None:
    world = World()
    queue = DatagramQueue(world.udp.mib)
    port = world.udp.bind(0, 4000, queue)
    port.send(b"", B, 53, world.now)
    quote = world.take()[0]
    world.receive(*[report(3, 3, quote)] * 100, packet(b"later", dport=4000))
    assert len(queue.errors) == 16
    with pytest.raises(Refused):
        queue.get()
    queue.clear()
    with pytest.raises(WouldBlock):
        queue.get()


def test_a_next_hop_that_nobody_answers_for_is_told_with_the_next_turn() -> None:
    world = World()
    keeper = world.keeper(4000)
    keeper.port.send(b"anybody?", B, 53, world.now)
    (sent,) = world.take()
    world.ip.neighbour_failed(B, sent, world.now)
    world.ip.neighbour_failed(B, b"\x45junk", world.now)
    assert keeper.errors == [], "the link may find out while a transport is sending"
    world.pass_time(0)
    ((error, address, port),) = keeper.errors
    assert isinstance(error, Unreachable) and (address, port) == (B, 53)
    assert world.ip.mib.OutNoNeighbour == 2
    for _ in range(100):
        world.ip.neighbour_failed(B, sent, world.now)
    world.pass_time(0)
    assert len(keeper.errors) == 65
