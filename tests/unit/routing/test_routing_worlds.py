"""Whole networks with our router in the middle, in virtual time."""

from routerworld import LAN, WAN, A, B, Datagrams, RouterWorld, W, ip
from routing_packets import ip4, with_sums

from netstack.address import Cidr, Ip4
from netstack.instant import MILLISECOND
from netstack.routing.config import Forward, NatConfig, OneToOne, RoutingConfig
from netstack.routing.tcptrack import TcpState

BULK = bytes(range(256)) * 800


def nat(**fields):
    fields["forwards"] = tuple(Forward.parse(text) for text in fields.get("forwards", ()))
    fields["maps"] = tuple(OneToOne.parse(text) for text in fields.get("maps", ()))
    return NatConfig(**fields)


# -- forwarding ---------------------------------------------------------------------------------------------------------------


def test_a_plain_router_carries_a_connection_and_neither_end_sees_it():
    world = RouterWorld()
    ends = world.listen(world.w, 80)
    world.connect(world.a, W, 80, BULK)
    world.run(lambda: ends and ends[0].received == BULK)
    assert str(Ip4(ends[0].conn.remote)) == A
    assert world.forward.ForwDatagrams > 100


def test_a_lossy_world_loses_nothing_of_a_stream(seed):
    world = RouterWorld(nat(), wan={"loss": 0.05, "delay": 5 * MILLISECOND}, lan={"reorder": 0.05, "delay": MILLISECOND}, seed=seed)
    ends = world.listen(world.w, 80, BULK)
    client = world.connect(world.a, W, 80, BULK)
    world.run(lambda: ends and ends[0].received == BULK and client.received == BULK)


def test_the_router_answers_pings_to_each_of_its_addresses():
    world = RouterWorld()
    for host, address in ((world.a, LAN), (world.a, WAN), (world.w, WAN)):
        told = world.ping(host, address)
        world.run(lambda told=told: told)
        assert told == [("reply", address)]


def test_traceroute_shows_the_routers_address_on_the_side_of_who_asks():
    for config in (None, nat()):
        world = RouterWorld(config)
        told = world.ping(world.a, W, ttl=1)
        world.run(lambda told=told: told)
        assert told == [("error", 11, 0, LAN, 0)]
        told = world.ping(world.a, W, ttl=2)
        world.run(lambda told=told: told)
        assert told == [("reply", W)]
        assert world.forward.InTtlExceeded == 1


def test_a_destination_without_a_route_is_said_to_be_unreachable():
    world = RouterWorld()
    world.router.ip.set_gateway(None)
    told = world.ping(world.a, "198.51.100.1")
    world.run(lambda: told)
    assert told == [("error", 3, 0, LAN, 0)]
    assert world.forward.OutNoRoutes == 1


def test_a_next_hop_that_does_not_answer_is_a_host_unreachable_to_the_first_sender():
    for config in (None, nat()):
        world = RouterWorld(config)
        told = world.ping(world.a, "203.0.113.77")
        world.run(lambda told=told: told)
        assert told[0][:3] == ("error", 3, 1)
        assert world.forward.OutNoNeighbour == 1


def test_a_path_mtu_behind_the_router_is_found_and_the_stream_arrives():
    for config in (None, nat()):
        world = RouterWorld(config, wan={"mtu": 1000})
        ends = world.listen(world.w, 80)
        told = world.ping(world.a, W, size=1200, df=True)
        world.run(lambda told=told: told)
        assert told == [("error", 3, 4, LAN, 1000)]
        world.connect(world.a, W, 80, BULK)
        world.run(lambda ends=ends: ends and ends[0].received == BULK)
        assert world.forward.FragFails >= 1


def test_what_may_be_cut_is_cut_and_arrives_whole():
    for config in (None, nat()):
        world = RouterWorld(config, wan={"mtu": 600})
        port = Datagrams(world, world.w, 53)
        sender = Datagrams(world, world.a)
        sender.send(bytes(range(250)) * 5, W, 53)
        world.run(lambda port=port: port.got)
        assert port.got[0][0] == bytes(range(250)) * 5
        assert world.forward.FragCreates == 3


def test_fragments_pass_nat_both_ways_whatever_their_order():
    world = RouterWorld(nat())
    far = Datagrams(world, world.w, 4000)
    near = Datagrams(world, world.a)
    kept = []

    def turned(name, frame):  # the first fragment comes last
        if frame[12:14] != b"\x08\x00" or not (frame[20] & 0x3F or frame[21]):
            return frame
        if frame[20] & 0x20 and not (frame[20] & 0x1F or frame[21]):
            kept.append(frame)
            return None
        return frame

    world.lan.tamper(turned)
    near.send(bytes(4000), W, 4000)
    world.rest(0.1)
    world.lan.tamper(None)
    assert kept
    assert not far.got
    assert world.nat.mib.PiecesWaited == 2
    world.router.devices[0].netif.enqueue(world.clock.now, kept[0])
    world.run(lambda: far.got)
    data, address, sport = far.got[0]
    assert (data, address) == (bytes(4000), WAN)
    far.send(bytes(3000), WAN, sport)
    world.run(lambda: near.got)
    assert near.got[0] == (bytes(3000), W, 4000)


def test_a_forged_source_is_not_forwarded_unless_asked():
    for reverse_path, passed in (("strict", 0), ("loose", 1), ("off", 1)):
        world = RouterWorld(routing=RoutingConfig(reverse_path=reverse_path))
        world.a.ip.add_address(Cidr.parse_whole("198.51.100.9/32"))
        world.a.icmp.ping(ip(W), 1, 1, b"", world.clock.now, src=ip("198.51.100.9"))
        world.rest(1)
        assert world.forward.ForwDatagrams >= passed
        assert world.forward.InSpoofed == 1 - passed


def test_what_must_not_be_forwarded_is_dropped_by_name():
    world = RouterWorld()
    world.a.ip.add_address(Cidr.parse_whole("169.254.7.7/16"))
    world.a.icmp.ping(ip(W), 1, 1, b"", world.clock.now, src=ip("169.254.7.7"))
    world.w.icmp.ping(ip("192.168.1.255"), 1, 1, b"", world.clock.now)
    world.rest(1)
    assert world.forward.InMartians == 1
    assert world.forward.InDirectedBcast == 1
    assert world.forward.ForwDatagrams == 0


def test_errors_are_limited_for_all_that_the_router_says():
    world = RouterWorld()
    told = world.ping(world.a, LAN)  # else most would wait for ARP, and find no room
    world.run(lambda: told)
    for seq in range(300):
        world.a.icmp.ping(ip(W), 1, seq, b"", world.clock.now, ttl=1)
    world.rest(0.01)
    assert world.forward.InTtlExceeded == 300
    assert world.forward.OutErrorsLimited > 150


# -- translation --------------------------------------------------------------------------------------------------------------


def test_behind_nat_the_world_sees_the_router_and_the_port_that_was_chosen_inside():
    world = RouterWorld(nat())
    ends = world.listen(world.w, 80, BULK)
    client = world.connect(world.a, W, 80, BULK, local_port=40001)
    world.run(lambda: ends and ends[0].received == BULK and client.received == BULK)
    assert (str(Ip4(ends[0].conn.remote)), ends[0].conn.remote_port) == (WAN, 40001)


def test_two_hosts_with_the_same_port_get_two_of_the_same_parity():
    world = RouterWorld(nat())
    far = Datagrams(world, world.w, 5000)
    for host in (world.a, world.b):
        Datagrams(world, host, 40001).send(b"x", W, 5000)
    world.run(lambda: len(far.got) == 2)
    ports = [sport for _, _, sport in far.got]
    assert ports[0] == 40001 != ports[1]
    assert ports[1] % 2 == 1
    assert ports[1] >= 1024
    assert world.nat.mib.NotPreserved == 1


def test_an_inside_endpoint_has_one_mapping_whomever_it_speaks_to():
    world = RouterWorld(nat())
    other = world.host(world.wan, "w2", "203.0.113.9", None)
    far, farther = Datagrams(world, world.w, 5000), Datagrams(world, other, 6000)
    near = Datagrams(world, world.a)
    near.send(b"x", W, 5000)
    near.send(b"x", "203.0.113.9", 6000)
    world.run(lambda: far.got and farther.got)
    assert far.got[0][1:] == farther.got[0][1:]


def test_filtering_lets_in_whom_the_configuration_names():
    for how, strange_port, stranger in (("endpoint", 1, 1), ("address", 1, 0), ("address+port", 0, 0)):
        world = RouterWorld(nat(filter_udp=how))
        other = world.host(world.wan, "w2", "203.0.113.9", None)
        far, near = Datagrams(world, world.w, 5000), Datagrams(world, world.a)
        near.send(b"x", W, 5000)
        world.run(lambda far=far: far.got)
        port = far.got[0][2]
        Datagrams(world, world.w, 5001).send(b"other port", WAN, port)
        Datagrams(world, other, 5000).send(b"stranger", WAN, port)
        far.send(b"answer", WAN, port)
        world.rest(1)
        assert len(near.got) == 1 + strange_port + stranger
        assert world.nat.mib.Filtered == 2 - strange_port - stranger


def test_nobody_comes_in_by_an_inside_address():
    for how, told in (("drop", 0), ("reject", 1)):
        world = RouterWorld(nat(unsolicited=how))
        world.w.set_gateway(Ip4.parse(WAN))
        said = world.ping(world.w, A)
        inside = world.ping(world.w, LAN, ident=9)
        world.rest(2)
        assert said == [("error", 3, 13, WAN, 0)] * told
        assert not inside
        assert world.forward.InUnsolicited == 1
        assert world.forward.InWrongSide == 1


def test_a_port_forward_leads_in_and_its_range_too():
    world = RouterWorld(nat(forwards=["tcp:8080=192.168.1.10:80", "udp:5000-5010=192.168.1.11:6000"]))
    ends = world.listen(world.a, 80, BULK)
    client = world.connect(world.w, WAN, 8080, b"in")
    world.run(lambda: ends and ends[0].received == b"in" and client.received == BULK)
    assert str(Ip4(ends[0].conn.remote)) == W
    inside = Datagrams(world, world.b, 6007)
    far = Datagrams(world, world.w)
    far.send(b"x", WAN, 5007)
    world.run(lambda: inside.got)
    inside.send(b"y", W, inside.got[0][2])
    world.run(lambda: far.got)
    assert far.got == [(b"y", WAN, 5007)]


def test_inside_hosts_meet_by_their_outside_endpoints():
    """RFC 4787 REQ-9, with an endpoint-independent filter and with a forward; both see outside endpoints."""
    world = RouterWorld(nat(filter_udp="endpoint", forwards=["tcp:8080=192.168.1.10:80"]))
    far, near, other = Datagrams(world, world.w, 5000), Datagrams(world, world.a), Datagrams(world, world.b)
    near.send(b"x", W, 5000)
    world.run(lambda: far.got)
    other.send(b"hairpin", WAN, far.got[0][2])
    world.run(lambda: near.got)
    assert near.got[0][:2] == (b"hairpin", WAN)
    near.send(b"back", WAN, near.got[0][2])
    world.run(lambda: other.got)
    assert other.got == [(b"back", WAN, far.got[0][2])]
    ends = world.listen(world.a, 80, BULK)
    client = world.connect(world.b, WAN, 8080, BULK)
    world.run(lambda: ends and ends[0].received == BULK and client.received == BULK)
    assert str(Ip4(ends[0].conn.remote)) == WAN
    assert world.nat.mib.Hairpins == 2


def test_a_one_to_one_map_gives_a_host_an_address_of_its_own_both_ways():
    world = RouterWorld(nat(maps=["203.0.113.5=192.168.1.10"]))
    told = world.ping(world.w, "203.0.113.5")
    world.run(lambda: told)
    assert told == [("reply", "203.0.113.5")]
    far = Datagrams(world, world.w, 5000)
    Datagrams(world, world.a, 1234).send(b"x", W, 5000)
    world.run(lambda: far.got)
    assert far.got == [(b"x", "203.0.113.5", 1234)]
    ends = world.listen(world.a, 22)
    world.connect(world.w, "203.0.113.5", 22, b"ssh")
    world.run(lambda: ends and ends[0].received == b"ssh")


def test_a_refusal_and_a_closed_port_are_told_inside_as_they_are():
    world = RouterWorld(nat())
    client = world.connect(world.a, W, 81, b"x")
    world.run(lambda: client.is_closed)
    assert isinstance(client.error, ConnectionRefusedError)
    port = Datagrams(world, world.a)
    port.send(b"x", W, 54)
    world.run(lambda: port.errors)
    assert isinstance(port.errors[0], ConnectionRefusedError)


def test_pings_of_two_hosts_with_one_number_find_back():
    world = RouterWorld(nat())
    told = world.ping(world.a, W), world.ping(world.b, W)
    world.run(lambda: all(told))
    assert told == ([("reply", W)], [("reply", W)])
    assert world.nat.mib.Entries == 2


def test_flows_are_remembered_as_long_as_the_rfcs_say():
    world = RouterWorld(nat())
    ends = world.listen(world.w, 80, close=False)
    client = world.connect(world.a, W, 80, b"x", close=False)
    world.run(lambda: ends and ends[0].received == b"x")
    far = Datagrams(world, world.w, 5000)
    Datagrams(world, world.a).send(b"x", W, 5000)
    world.ping(world.a, W)
    world.run(lambda: far.got)

    def kinds():
        return sorted(flow.proto for flow in world.router.flows())

    assert kinds() == ["icmp", "tcp", "udp"]
    world.rest(70)
    assert kinds() == ["tcp", "udp"]
    world.rest(235)
    assert kinds() == ["tcp"]
    world.rest(7100)  # 2 h 4 min since it was last heard of are not over
    assert kinds() == ["tcp"]
    client.conn.shutdown(world.clock.now)
    world.rest(1)
    assert world.router.flows()[0].state == "FIN_FIRST"
    ends[0].conn.shutdown(world.clock.now)
    world.rest(250)
    assert not kinds()
    assert not world.nat.by_inside
    assert not world.nat.by_outside
    assert not world.nat.hosts


def test_a_forged_reset_does_not_end_a_flow():
    world = RouterWorld(nat())
    ends = world.listen(world.w, 80, close=False)
    client = world.connect(world.a, W, 80, b"x", close=False, local_port=40000)
    world.run(lambda: ends and ends[0].received == b"x")
    tcp = (80).to_bytes(2, "big") + (40000).to_bytes(2, "big") + (1).to_bytes(4, "big") + bytes(4) + b"\x50\x04" + bytes(6)
    src, dst = ip(W), ip(WAN)
    world.router.devices[1].netif.enqueue(
        world.clock.now,
        bytes(world.router.devices[1].netif.mac) + bytes.fromhex("020000000002") + b"\x08\x00" + with_sums(ip4(src, dst, 6, tcp)),
    )
    world.rest(1)
    assert world.router.flows()[0].state == "ESTABLISHED"
    assert world.nat.mib.ResetsDoubted == 1
    client.conn.abort(world.clock.now)
    world.rest(1)
    assert world.router.flows()[0].state == "CLOSED"


def test_a_scan_costs_the_scanner_his_own_flows_and_nobody_elses():
    world = RouterWorld(nat(flows=64, flows_per_host=48))
    quiet = Datagrams(world, world.b)
    far = Datagrams(world, world.w, 5000)
    quiet.send(b"x", W, 5000)
    world.run(lambda: far.got)
    far.send(b"y", WAN, far.got[0][2])
    world.run(lambda: quiet.got)
    told = world.ping(world.a, LAN)
    world.run(lambda: told)
    for port in range(1, 400):
        Datagrams(world, world.a).send(b"scan", W, 6000 + port)
    world.rest(0.5)
    assert world.nat.count <= 64
    assert world.nat.mib.EarlyDrop > 300
    far.send(b"still", WAN, far.got[0][2])
    world.run(lambda: len(quiet.got) == 2)
    # and there is room for a new one of the other host
    quiet.send(b"x", W, 5001)
    world.rest(0.1)
    assert any(flow.there.src == B and flow.there.dst_port == 5001 for flow in world.router.flows())


def test_an_mss_is_clamped_to_the_narrower_link_and_its_sum_stays_right():
    world = RouterWorld(routing=RoutingConfig(clamp_mss=True, nat=nat()), nat=nat(), wan={"mtu": 1200})
    ends = world.listen(world.w, 80, BULK)
    client = world.connect(world.a, W, 80, BULK)
    world.run(lambda: ends and ends[0].received == BULK and client.received == BULK)
    assert world.forward.MssClamped == 1
    assert world.forward.FragFails == 0


def test_an_address_that_goes_takes_its_flows_along():
    world = RouterWorld(nat())
    Datagrams(world, world.a).send(b"x", W, 5000)
    world.rest(0.1)
    assert world.nat.count == 1
    world.router.add_address(Cidr.parse_whole("203.0.113.3/24"), world.clock.now, "wan")
    world.router.remove_address(Cidr.parse_whole(f"{WAN}/24"))
    assert world.nat.count == 0
    far = Datagrams(world, world.w, 5000)
    Datagrams(world, world.a).send(b"x", W, 5000)
    world.run(lambda: far.got)
    assert far.got[0][1] == "203.0.113.3"


def test_states_are_those_of_a_connection_as_it_comes_and_goes():
    world = RouterWorld(nat(), wan={"delay": 50 * MILLISECOND})
    ends = world.listen(world.w, 80, close=False)
    client = world.connect(world.a, W, 80, b"x", close=False)
    seen = []

    def look():
        for flow in world.router.flows():
            if not seen or seen[-1] != flow.state:
                seen.append(flow.state)
        return False

    world.run(lambda: look() or (ends and ends[0].received == b"x"))
    client.conn.shutdown(world.clock.now)
    world.run(lambda: look() or "eof" in ends[0].events)
    ends[0].conn.shutdown(world.clock.now)
    world.run(lambda: look() or "TIME_WAIT" in seen)
    assert seen == ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_FIRST", "TIME_WAIT"]
    assert set(seen) <= {state.name for state in TcpState}


def test_a_connection_survives_a_router_that_forgot_it():
    world = RouterWorld(nat())
    ends = world.listen(world.w, 80, close=False)
    client = world.connect(world.a, W, 80, b"x", close=False)
    world.run(lambda: ends and ends[0].received == b"x")
    world.rest(1)
    for flow in world.nat.flows():
        world.nat.remove(flow)
    client.payload += b"more"
    client.push(world.clock.now)
    world.run(lambda: ends[0].received == b"xmore" and world.router.flows()[0].state == "ESTABLISHED")


def test_what_the_host_itself_speaks_is_its_own_though_a_mapping_has_the_port():
    world = RouterWorld(nat())
    ends = world.listen(world.w, 80, close=False)
    own = world.connect(world.router, W, 80, b"router", close=False, local_port=40000)
    world.run(lambda: ends and ends[0].received == b"router")
    far = world.listen(world.w, 81, close=False)
    world.connect(world.a, W, 81, b"inside", close=False, local_port=40000)
    world.run(lambda: far and far[0].received == b"inside")
    ends[0].payload = b"for the router"
    ends[0].push(world.clock.now)
    world.run(lambda: own.received == b"for the router")
    world.host(world.wan, "w2", "203.0.113.9", None)
    told = world.ping(world.a, "203.0.113.9", ident=9)
    world.run(lambda: told)
    said = world.ping(world.router, W, ident=9)
    world.run(lambda: said)
    assert said == [("reply", W)]


def test_a_listener_of_the_router_is_reached_from_both_sides_and_no_mapping_takes_its_port():
    world = RouterWorld(nat())
    ends = world.listen(world.router, 80)
    for host, address in ((world.a, LAN), (world.a, WAN), (world.w, WAN)):
        before = len(ends)
        world.connect(host, address, 80, b"x")
        world.run(lambda before=before: len(ends) > before and ends[-1].received == b"x")
    world.listen(world.router, 40000)
    far = world.listen(world.w, 81)
    world.connect(world.a, W, 81, b"x", local_port=40000)
    world.run(lambda: far and far[0].received == b"x")
    assert far[0].conn.remote_port != 40000
