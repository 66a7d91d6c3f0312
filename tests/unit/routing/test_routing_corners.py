"""What is rare, and must be right all the same."""

import random

from routerbench import FAR, IN, OUT, TCP, UDP, Bench, answer, transport
from routerworld import LAN, A, Datagrams, RouterWorld, W
from routing_packets import ip4, ones, with_sums

from netstack.address import Cidr, Ip4
from netstack.routing.config import Forward, NatConfig, OneToOne, RoutingConfig
from netstack.routing.mib import ConntrackMib
from netstack.routing.nat import Nat
from netstack.routing.pieces import DATAGRAMS, LIFE, PIECES, WAITING, Pieces
from netstack.timers import Timers

MF = 0x2000


def nat_of(bench):
    return bench.stack.nat.mib


# -- fragments ----------------------------------------------------------------------------------------------------------------


def test_fragments_of_what_is_only_routed_and_of_what_is_ours_go_their_ways_too():
    bench = Bench(routing=RoutingConfig())
    second = with_sums(ip4(IN, FAR, UDP, bytes(16), frag=3))
    (sent,) = bench.out(second)
    assert (sent[8], sent[20:]) == (63, second[20:])

    bench = Bench()
    inside = 0xC0A80101
    whole = transport(UDP, 4000, 9, bytes(24))
    bench.out(with_sums(ip4(IN, inside, UDP, whole[:16], frag=MF, ident=5)))
    bench.out(with_sums(ip4(IN, inside, UDP, whole[16:], frag=2, ident=5)))
    bench.back(with_sums(ip4(FAR, OUT, UDP, whole[16:], frag=2, ident=6)))  # the later one first
    bench.back(with_sums(ip4(FAR, OUT, UDP, whole[:16], frag=MF, ident=6)))
    bench.stack.timers.run(10)
    assert bench.stack.counters()["Ip"]["ReasmOKs"] == 2
    assert nat_of(bench).PiecesWaited == 1


def test_later_fragments_follow_their_first_one_out_and_in():
    bench = Bench()
    whole = transport(UDP, 4000, 53, bytes(24))
    first = with_sums(ip4(IN, FAR, UDP, whole[:16], frag=MF, ident=9))
    (sent,) = bench.out(first)
    assert sent[12:16] == OUT.to_bytes(4, "big")
    (later,) = bench.out(with_sums(ip4(IN, FAR, UDP, whole[16:], frag=2, ident=9)))
    assert later[12:16] == OUT.to_bytes(4, "big")
    assert later[20:] == whole[16:]
    assert ones(later[:20]) == 0xFFFF
    # one of another datagram waits for its own first one, in vain
    assert bench.out(with_sums(ip4(IN, FAR, UDP, whole[16:], frag=2, ident=10))) == []
    assert nat_of(bench).Pieces == 1


def test_a_first_fragment_that_hides_the_ports_is_dropped_and_so_is_what_follows():
    bench = Bench()
    assert bench.out(with_sums(ip4(IN, FAR, TCP, bytes(8), frag=MF, ident=9))) == []
    assert bench.out(with_sums(ip4(IN, FAR, TCP, bytes(32), frag=1, ident=9))) == []
    assert bench.stack.plane.mib.InCutShort == 1
    assert nat_of(bench).PiecesLost == 1


def test_fragments_that_wait_are_bounded_in_number_size_and_time():
    mib = ConntrackMib()
    pieces = Pieces(mib)
    for i in range(DATAGRAMS + 10):
        pieces.wait(pieces.find((1, 2, i, 17), 0), bytes(100))
    assert len(pieces.table) == DATAGRAMS
    assert mib.PiecesLost == 10
    one = pieces.find((1, 2, DATAGRAMS, 17), 0)
    for _ in range(PIECES + 5):
        pieces.wait(one, bytes(100))
    assert len(one.waiting) == PIECES
    for i in range(DATAGRAMS):
        pieces.wait(pieces.find((3, 4, i, 17), 1), bytes(60000))
    assert pieces.size <= WAITING
    again = pieces.find((3, 4, 5, 17), LIFE + 2)
    assert not again.waiting
    assert len(pieces.table) == 1  # all others were over
    assert pieces.size == 0


# -- errors -------------------------------------------------------------------------------------------------------------------


def test_an_error_of_a_server_inside_is_told_outside_by_the_address_that_was_asked():
    """RFC 5508 REQ-5: also one that another host inside says of it."""
    bench = Bench(forwards=(Forward.parse("udp:53=192.168.1.10:5353"),))
    frame = with_sums(ip4(FAR, OUT, UDP, transport(UDP, 4000, 53, b"question")))
    (came,) = bench.back(frame)
    assert came[16:24] == IN.to_bytes(4, "big") + (4000).to_bytes(2, "big") + (5353).to_bytes(2, "big")
    for reporter in (IN, IN + 7):
        (told,) = bench.out(with_sums(ip4(reporter, FAR, 1, b"\x03\x03" + bytes(6) + came)))
        assert told == with_sums(told)
        assert told[12:20] == OUT.to_bytes(4, "big") + FAR.to_bytes(4, "big")
        assert told[28 + 12 : 28 + 24] == frame[12:24]


def test_errors_between_inside_hosts_and_about_maps_are_routed_and_translated():
    bench = Bench(maps=(OneToOne.parse("203.0.113.50=192.168.1.10"),))
    (sent,) = bench.out(with_sums(ip4(IN, FAR, 47, b"tunnelled")))
    assert sent[12:16] == bytes((203, 0, 113, 50))
    (came,) = bench.back(with_sums(ip4(FAR, 0xCB007132, 1, b"\x03\x02" + bytes(6) + sent)))
    assert came[16:20] == IN.to_bytes(4, "big")
    assert came[28 + 12 : 28 + 16] == IN.to_bytes(4, "big")
    # an address that only the map has, and nobody inside behind a port of it
    (came,) = bench.back(with_sums(ip4(FAR, 0xCB007132, TCP, transport(TCP, 9, 99, b""))))
    assert came[16:20] == IN.to_bytes(4, "big")


def test_a_hairpin_by_a_map_shows_each_the_outside_of_the_other():
    bench = Bench(maps=(OneToOne.parse("203.0.113.50=192.168.1.50"), OneToOne.parse("203.0.113.51=192.168.1.10")))
    bench.lan.receive(with_sums(ip4(IN, 0xCB007132, UDP, transport(UDP, 4000, 53, b"x"))), 1)
    (there,) = bench.lan.sent
    assert there[12:20] == bytes((203, 0, 113, 51, 192, 168, 1, 50))
    bench.lan.sent.clear()
    bench.lan.receive(answer(UDP, there), 2)
    (back,) = bench.lan.sent
    assert back[12:20] == bytes((203, 0, 113, 50)) + IN.to_bytes(4, "big")


def test_a_better_gateway_on_the_same_network_is_told_of_if_asked():
    for asked in (True, False):
        world = RouterWorld(routing=RoutingConfig(redirects=asked))
        world.router.add_route(Cidr.parse("198.51.100.0/24"), Ip4.parse("192.168.1.11"))
        world.b.ip.add_address(Cidr.parse_whole("198.51.100.1/32"))
        told = world.ping(world.a, "198.51.100.1")
        world.run(lambda told=told: told)
        assert told == [("reply", "198.51.100.1")]
        assert world.forward.OutRedirects == asked
        assert world.a.counters()["Icmp"]["InRedirects"] == asked


def test_no_error_is_sent_about_an_error_a_later_fragment_or_to_nobody():
    bench = Bench(routing=RoutingConfig(reverse_path="off"))
    quote = with_sums(ip4(FAR, IN, UDP, bytes(20)))
    bench.out(with_sums(ip4(IN, FAR, 1, b"\x03\x01" + bytes(6) + quote, ttl=1)))
    bench.out(with_sums(ip4(IN, FAR, UDP, bytes(20), frag=5, ttl=1)))
    assert bench.lan.sent == []
    assert bench.stack.plane.mib.InTtlExceeded == 2
    assert bench.stack.plane.mib.OutErrorsForbidden == 2


def test_an_option_whose_length_runs_out_is_pointed_at():
    bench = Bench(routing=RoutingConfig())
    bench.lan.receive(with_sums(ip4(IN, FAR, UDP, bytes(20), options=b"\x44\x28\x05\x00")), 1)
    (error,) = bench.lan.sent
    assert error[20:22] == b"\x0c\x00"
    assert error[24] == 20
    assert bench.stack.plane.mib.InBadOptions == 1


# -- TCP ----------------------------------------------------------------------------------------------------------------------


def syn(options):
    options += bytes(-len(options) & 3)
    ports = (4000).to_bytes(2, "big") + (80).to_bytes(2, "big")
    return ports + bytes(8) + bytes(((20 + len(options)) << 2, 2, 32, 0)) + bytes(4) + options


def test_an_mss_is_lowered_wherever_it_stands():
    for before, lowered in ((b"", True), (b"\x01", True), (b"\x01\x01\x04\x02", True), (b"\x03\x03\x07", True), (b"\x00", False)):
        bench = Bench(mtu=1000, routing=RoutingConfig(clamp_mss=True, nat=NatConfig()))
        (sent,) = bench.out(with_sums(ip4(IN, FAR, TCP, syn(before + b"\x02\x04\x05\xb4"))))
        assert sent == with_sums(sent)
        assert (b"\x02\x04\x03\xc0" in sent) == lowered
        assert bench.stack.plane.mib.MssClamped == lowered
    for lie in (b"\x02", b"\x02\x01", b"\x01\x01\x02\x04", b"\x05\xff\x01\x01"):
        bench = Bench(mtu=1000, routing=RoutingConfig(clamp_mss=True))
        (sent,) = bench.out(with_sums(ip4(IN, FAR, TCP, syn(lie))))
        assert sent[20:] == with_sums(ip4(IN, FAR, TCP, syn(lie)))[20:]


def test_ports_may_be_used_again_when_a_connection_is_over():
    world = RouterWorld(NatConfig())
    ends = world.listen(world.w, 80)
    client = world.connect(world.a, W, 80, b"x", local_port=4000)
    world.run(lambda: ends and ends[0].received == b"x" and client.is_closed)
    world.rest(130)  # a's own TIME-WAIT
    assert world.router.flows()[0].state == "TIME_WAIT"
    world.connect(world.a, W, 80, b"y", close=False, local_port=4000)
    world.run(lambda: len(ends) == 2 and ends[1].received == b"y")
    (flow,) = world.router.flows()
    assert flow.state in ("ESTABLISHED", "FIN_OTHER")


# -- who pays -----------------------------------------------------------------------------------------------------------------


def begin(table, host, port, reply=True):
    way = table.begin_outbound(UDP, host, FAR, port << 16 | 9, 0, OUT, 0)
    return way is not None


def test_a_full_table_takes_from_the_host_with_the_most_and_leaves_a_share_to_each(seed):
    table = Nat(Timers(0), random.Random(seed), NatConfig(flows=100, flows_per_host=100))
    assert all(begin(table, IN, port) for port in range(1, 101))
    for host in range(1, 10):
        assert all(begin(table, IN + host, port) for port in range(1, 11))
        assert table.count == 100
    assert table.hosts[IN].count == 10
    assert all(h.count == 10 for h in table.hosts.values())
    assert table.mib.EarlyDrop == 90


def test_lists_of_a_crowded_bucket_lose_only_whom_they_should(seed):
    table = Nat(Timers(0), random.Random(seed), NatConfig(flows=4000, flows_per_host=4000))
    ways = [table.begin_outbound(UDP, IN, FAR, port << 16 | 9, 0, OUT, 0) for port in range(1, 3000)]
    random.Random(seed).shuffle(ways)
    for way in ways[:1500]:
        table.remove(way.flow)
    for way in ways[1500:]:
        assert table.find(UDP, way.src, way.dst, way.ports) is way
    assert table.count == len(ways) - 1500


def test_a_host_without_anything_to_lose_gets_no_more():
    world = RouterWorld(NatConfig(flows=64, flows_per_host=2))
    far = Datagrams(world, world.w, 5000)
    for number in range(2):
        near = Datagrams(world, world.a)
        near.send(b"x", W, 5000)
        world.run(lambda number=number: len(far.got) == number + 1)
        far.send(b"y", "203.0.113.2", far.got[-1][2])
        world.run(lambda near=near: near.got)
    Datagrams(world, world.a).send(b"z", W, 5000)
    world.rest(1)
    assert len(far.got) == 2
    assert world.nat.mib.HostFull == 1


# -- links --------------------------------------------------------------------------------------------------------------------


def test_what_a_link_sent_to_all_is_not_forwarded_and_reaches_only_the_host():
    world = RouterWorld()
    mac = bytes(world.router.devices[0].netif.mac)
    frame = b"\xff" * 6 + bytes.fromhex("020000000063") + b"\x08\x00"
    netif = world.router.devices[0].netif
    assert mac
    netif.enqueue(world.clock.now, frame + with_sums(ip4(IN, FAR, UDP, transport(UDP, 1, 2, b""))))
    netif.enqueue(world.clock.now, frame + with_sums(ip4(IN, 0xC0A80101, UDP, transport(UDP, 1, 2, b""))))
    netif.enqueue(world.clock.now, frame + with_sums(ip4(0, 0xFFFFFFFF, UDP, transport(UDP, 68, 67, b""))))
    world.rest(0.1)
    assert world.forward.InLinkCast == 1
    assert world.forward.InDelivers == 2
    assert world.router.counters()["Ip"]["InLinkCast"] == 1
    assert world.forward.ForwDatagrams == 0


def test_addresses_and_routes_may_change_under_flows_at_work():
    world = RouterWorld(NatConfig())
    ends = world.listen(world.w, 80, close=False)
    client = world.connect(world.a, W, 80, b"x", close=False)
    world.run(lambda: ends and ends[0].received == b"x")
    world.router.add_route(Cidr.parse("10.0.0.0/8"), Ip4.parse(A))
    world.router.add_address(Cidr.parse_whole("192.168.7.1/24"), world.clock.now, "lan")
    client.payload += b"y"
    client.push(world.clock.now)
    world.run(lambda: ends[0].received == b"xy")
    told = world.ping(world.a, LAN)
    world.run(lambda: told)
