"""The translator by itself: mappings, ports, sums, what TCP says, who pays."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routerbench import FAR, IN, OUT, TCP, UDP, Bench, answer, transport
from routing_packets import ip4, ones, with_sums

from netstack.errors import UsageError
from netstack.routing import tcptrack
from netstack.routing.config import Forward, NatConfig, OneToOne
from netstack.routing.cut import carried_options, cut
from netstack.routing.nat import Nat, swapped
from netstack.routing.sums import difference, patch
from netstack.routing.tcptrack import FIRST, MACHINE, OTHER, RST, TcpState, after, window_scale
from netstack.timers import Timers

SYN = 2


def nat(seed=1, **fields):
    return Nat(Timers(0), random.Random(seed), NatConfig(**fields))


# -- sums ---------------------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=20, max_size=60).filter(any), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_a_patched_sum_is_the_sum_of_what_stands_there_now(data, word, new):
    b = bytearray(data[: len(data) & ~3])
    b[10:12] = bytes(2)
    if word == 2:
        word = 3
    s = ones(bytes(b))
    if not s:
        return
    b[10:12] = (s ^ 0xFFFF).to_bytes(2, "big")
    old = int.from_bytes(b[4 * word : 4 * word + 4], "big")
    b[4 * word : 4 * word + 4] = new.to_bytes(4, "big")
    patch(b, 10, difference(old, new))
    assert ones(bytes(b)) in (0xFFFF, 0)


def test_the_example_of_rfc_1624():
    """Section 4: HC 0xDD2F, a field that goes from 0x5555 to 0x3285: 0x0000, which eqn. 2 of RFC 1141 misses."""
    b = bytearray(b"\xdd\x2f")
    patch(b, 0, difference(0x5555, 0x3285))
    assert b == b"\x00\x00"


# -- a whole router, frame in and frame out ---------------------------------------------------------------------------------------


PORTS = st.integers(1, 65535)


@given(st.sampled_from([1, TCP, UDP]), PORTS, PORTS, st.binary(max_size=80), st.integers(2, 255), st.booleans())
def test_what_leaves_has_right_sums_and_the_answer_comes_back_as_if_nobody_had_been_there(proto, sport, dport, payload, ttl, taken):
    bench = Bench()
    if taken:  # another host has the port already
        bench.out(with_sums(ip4(IN + 1, FAR, proto, transport(proto, sport, dport, b""))))
    frame = with_sums(ip4(IN, FAR, proto, transport(proto, sport, dport, payload), ttl=ttl))
    (sent,) = bench.out(frame)
    assert sent == with_sums(sent)  # every sum that was patched is the one that summing anew gives
    assert sent[12:16] == OUT.to_bytes(4, "big")
    assert sent[8] == ttl - 1
    assert sent[28:] == frame[28:] if proto != TCP else sent[40:] == frame[40:]
    (came,) = bench.back(answer(proto, sent))
    want = bytearray(answer(proto, frame))
    want[8] = 63
    assert came == with_sums(bytes(want))
    assert came == with_sums(came)


def test_scapy_agrees_with_the_sums():
    scapy = pytest.importorskip("scapy.layers.inet")
    bench = Bench()
    built = bytes(scapy.IP(src="192.168.1.10", dst="203.0.113.1", ttl=9) / scapy.UDP(sport=4000, dport=53) / b"question")
    (sent,) = bench.out(built)
    want = scapy.IP(src="203.0.113.2", dst="203.0.113.1", ttl=8) / scapy.UDP(sport=4000, dport=53) / b"question"
    assert sent == bytes(want)


def test_a_udp_sum_of_nothing_stays_nothing_and_one_that_comes_to_nothing_is_all_ones():
    bench = Bench()
    body = bytearray(transport(UDP, 4000, 53, b"xy"))
    frame = with_sums(ip4(IN, FAR, UDP, bytes(body)))
    frame = frame[:26] + b"\0\0" + frame[28:]
    (sent,) = bench.out(frame)
    assert sent[26:28] == b"\0\0"
    for tail in range(65536):  # a payload whose sum would come out as 0
        want = with_sums(ip4(OUT, FAR, UDP, transport(UDP, 4000, 53, tail.to_bytes(2, "big")), ttl=63))
        if want[26:28] == b"\xff\xff":
            break
    (sent,) = bench.out(with_sums(ip4(IN, FAR, UDP, transport(UDP, 4000, 53, tail.to_bytes(2, "big")))))
    assert sent == want


def test_a_damaged_sum_stays_damaged():
    bench = Bench()
    frame = bytearray(with_sums(ip4(IN, FAR, UDP, transport(UDP, 4000, 53, b"payload"))))
    frame[-1] ^= 1
    (sent,) = bench.out(bytes(frame))
    assert sent != with_sums(sent)
    sent = bytearray(sent)
    sent[-1] ^= 1
    assert bytes(sent) == with_sums(bytes(sent))


@given(st.sampled_from([1, TCP, UDP]), PORTS, PORTS, st.sampled_from([(3, 1), (3, 3), (11, 0), (3, 4)]), st.integers(8, 200))
def test_an_error_from_outside_quotes_what_was_sent_inside(proto, sport, dport, kind, quoted):
    bench = Bench()
    bench.out(with_sums(ip4(IN + 1, FAR, proto, transport(proto, sport, dport, b""))))
    frame = with_sums(ip4(IN, FAR, proto, transport(proto, sport, dport, bytes(100))))
    (sent,) = bench.out(frame)
    error = bytes(kind) + bytes(6) + sent[: 20 + quoted]
    (came,) = bench.back(with_sums(ip4(0x08080808, OUT, 1, error)))
    assert came == with_sums(came)
    assert came[12:20] == (0x08080808).to_bytes(4, "big") + IN.to_bytes(4, "big")
    inner = bytearray(came[28:])
    original = bytearray(frame[: 20 + quoted])
    original[8] -= 1  # as the one who quotes saw it
    original[10:12] = with_sums(bytes(original[:20]))[10:12] if len(original) == 20 else inner[10:12]
    assert inner == original
    assert ones(bytes(inner[:20])) == 0xFFFF


def test_an_error_that_quotes_no_flow_or_nonsense_goes_to_the_host_or_is_counted():
    bench = Bench()
    for quote in (b"", bytes(28), with_sums(ip4(OUT, FAR, UDP, transport(UDP, 1, 2, b"")))):
        assert bench.back(with_sums(ip4(FAR, OUT, 1, b"\x03\x01" + bytes(6) + quote))) == []
    assert bench.stack.plane.mib.InDelivers == 3
    assert bench.stack.counters()["Icmp"]["InBadQuote"] + bench.stack.counters()["Icmp"]["InErrors"] > 0


@given(st.binary(max_size=120), st.booleans())
def test_nothing_that_a_wire_carries_hurts_a_router(data, inside):
    bench = Bench()
    bench.out(with_sums(ip4(IN, FAR, TCP, transport(TCP, 1, 2, b""))))
    tube = bench.lan if inside else bench.wan
    for frame in (data, with_sums(ip4(FAR, OUT, data[0] if data else 0, data)) if data else b"", b"\x45" + data):
        tube.receive(frame, 3)
    tube.flush(3)


def test_options_that_route_by_their_source_are_refused_and_others_pass():
    bench = Bench()
    (sent,) = bench.out(with_sums(ip4(IN, FAR, UDP, transport(UDP, 4000, 53, b""), options=b"\x01\x01\x01\x00")))
    assert sent[0] == 0x46
    assert sent == with_sums(sent)
    assert bench.out(with_sums(ip4(IN, FAR, UDP, transport(UDP, 4000, 53, b""), options=b"\x83\x07\x04\x08\x08\x08\x08\x00"))) == []
    assert bench.stack.plane.mib.InSourceRoute == 1


# -- fragments ----------------------------------------------------------------------------------------------------------------


OPTIONS = st.sampled_from([b"", b"\x01\x94\x04\x00", b"\x07\x04\x05\x00"])


@given(st.binary(min_size=1, max_size=4000), st.integers(68, 1500), OPTIONS)
def test_fragments_put_together_are_the_datagram(payload, mtu, options):
    options += bytes(-len(options) & 3)
    whole = with_sums(ip4(IN, FAR, 47, payload, ident=77, options=options))
    got = bytearray(len(payload))
    covered = 0
    pieces = cut(whole, mtu)
    for i, piece in enumerate(pieces):
        ihl = (piece[0] & 15) << 2
        assert len(piece) <= mtu
        assert ones(piece[:ihl]) == 0xFFFF
        assert int.from_bytes(piece[2:4], "big") == len(piece)
        at = (int.from_bytes(piece[6:8], "big") & 0x1FFF) << 3
        got[at : at + len(piece) - ihl] = piece[ihl:]
        covered += len(piece) - ihl
        assert bool(piece[6] & 0x20) == (i < len(pieces) - 1)
        assert piece[4:6] == whole[4:6]
    assert bytes(got) == payload
    assert covered == len(payload)


def test_only_options_with_the_copied_flag_are_in_later_fragments():
    assert carried_options(b"\x07\x03\x04\x94\x04\x00\x00\x00") == b"\x94\x04\x00\x00"
    assert carried_options(b"\x01\x01\x07\x03\x04\x00\x00\x00") == b""
    assert carried_options(b"\x94") == b""


# -- ports --------------------------------------------------------------------------------------------------------------------


def test_ports_keep_their_side_of_1024_and_their_parity(seed):
    table = nat(seed)
    for port in (22, 23, 40000, 40001, 1024, 65535, 1):
        assert table.mapping(UDP, IN, port, OUT).outside_port == port
        chosen = table.mapping(UDP, IN + 1, port, OUT).outside_port
        assert chosen != port
        assert chosen % 2 == port % 2
        assert (chosen < 1024) == (port < 1024)


def test_ports_of_rules_and_of_the_host_itself_are_not_given_away():
    table = nat(forwards=(Forward.parse("udp:4000-4010=192.168.1.99"),))
    table.occupied = lambda proto, address, port: port == 5000
    assert table.mapping(UDP, IN, 4005, OUT).outside_port not in range(4000, 4011)
    assert table.mapping(UDP, IN, 5000, OUT).outside_port != 5000
    inside = int.from_bytes(bytes((192, 168, 1, 99)), "big")
    assert table.mapping(UDP, inside, 4005, OUT).outside_port == 4005  # its own rule's


def test_when_ports_run_out_it_is_said_and_nobody_is_overwritten(seed):
    table = nat(seed)
    for port in range(1, 1024):
        assert table.mapping(UDP, IN, port, OUT) is not None
    assert table.mapping(UDP, IN + 1, 80, OUT) is None
    assert table.mib.PortsFull == 1
    assert len(table.by_outside) == 1023


# -- flows --------------------------------------------------------------------------------------------------------------------


def test_a_flow_is_found_by_both_of_its_ways_and_by_no_other():
    table = nat()
    there = table.begin_outbound(TCP, IN, FAR, 4000 << 16 | 80, SYN, OUT, 0)
    assert table.find(TCP, IN, FAR, 4000 << 16 | 80) is there
    back = table.find(TCP, FAR, OUT, 80 << 16 | 4000)
    assert back is there.reply
    assert (back.to_src, back.to_dst, back.to_ports) == (FAR, IN, 80 << 16 | 4000)
    for other in ((UDP, IN, FAR, 4000 << 16 | 80), (TCP, IN, FAR, 4000 << 16 | 81), (TCP, IN + 1, FAR, 4000 << 16 | 80)):
        assert table.find(*other) is None
    table.remove(there.flow)
    assert table.find(TCP, IN, FAR, 4000 << 16 | 80) is None
    assert (table.count, table.by_inside, table.by_outside, table.hosts) == (0, {}, {}, {})


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8), st.integers(1, 3), st.booleans()), max_size=120))
def test_the_table_is_what_a_plain_dictionary_would_be(steps):
    table = nat(flows=16, flows_per_host=12)
    known = {}
    for host, port, far, add in steps:
        key = (UDP, IN + host, FAR + far, port << 16 | 53)
        if add and table.find(*key) is None:
            table.begin_outbound(*key, 0, OUT, 0)
        elif not add and (way := table.find(*key)) is not None:
            table.remove(way.flow)
        known = {(f.there.proto, f.there.src, f.there.dst, f.there.ports) for f in table.flows()}
        assert len(known) == table.count <= 16
        for each in known:
            way = table.find(*each)
            assert table.find(way.proto, way.reply.src, way.reply.dst, way.reply.ports) is way.reply
        assert sum(h.count for h in table.hosts.values()) == table.count
        assert all(h.count <= 12 for h in table.hosts.values())
        assert sum(m.count for m in table.by_inside.values()) == table.count
    assert len(table.by_inside) == len(table.by_outside)


def test_a_reset_begins_nothing_and_what_cannot_be_translated_is_refused():
    table = nat()
    assert table.begin_outbound(TCP, IN, FAR, 1, 4, OUT, 0) is None
    assert table.mib.Invalid == 1
    assert table.begin_outbound(136, IN, FAR, 0, 0, OUT, 0) is None
    assert table.mib.BadProtocol == 1
    assert table.begin_outbound(47, IN, FAR, 0, 0, OUT, 0) is not None
    assert table.begin_outbound(47, IN + 1, FAR, 0, 0, OUT, 0) is None
    assert table.mib.InsertFailed == 1
    assert table.count == 1


def test_words_turn_round():
    assert swapped(0x12345678) == 0x56781234
    assert swapped(swapped(0xFFFF0001)) == 0xFFFF0001


# -- TCP ----------------------------------------------------------------------------------------------------------------------


def test_the_machine_leads_from_a_syn_to_the_end_by_every_lawful_order():
    orders = [
        (FIRST + 0, OTHER + 1, FIRST + 2, FIRST + 3, OTHER + 3),
        (FIRST + 0, OTHER + 1, FIRST + 2, OTHER + 3, FIRST + 3),
        (FIRST + 0, OTHER + 0, FIRST + 1, OTHER + 2, FIRST + 3, OTHER + 3),
        (FIRST + 0, OTHER + 0, OTHER + 1, FIRST + 2, FIRST + 3, OTHER + 3),
    ]
    for order in orders:
        state = TcpState.SYN_SENT
        for what in order:
            state = after(state, what)
        assert state == TcpState.TIME_WAIT
    for state in TcpState:
        assert after(state, FIRST + RST) == after(state, OTHER + RST) == TcpState.CLOSED
    assert all(isinstance(target, TcpState) for target in MACHINE.values())
    assert {TcpState.ESTABLISHED, TcpState.FIN_FIRST, TcpState.FIN_OTHER} == tcptrack.LASTING


def test_a_window_scale_is_read_from_options_that_are_lawful_and_from_no_others():
    assert window_scale(b"\x02\x04\x05\xb4\x01\x03\x03\x07") == 7
    assert window_scale(b"\x03\x03\x20") == 14
    assert window_scale(b"\x00\x03\x03\x07") == 0
    assert window_scale(b"\x03\x03") == window_scale(b"\x02\x00\x03\x03\x07") == window_scale(b"") == 0


@given(st.binary(max_size=40))
def test_reading_options_ends_whatever_they_say(options):
    assert 0 <= window_scale(options) <= 14


# -- what a user says -----------------------------------------------------------------------------------------------------------


def test_rules_are_read_as_they_are_written():
    rule = Forward.parse("udp:203.0.113.5:5000-5010=192.168.1.10:6000")
    assert (rule.first, rule.last, rule.to_first) == (5000, 5010, 6000)
    assert str(rule) == "udp:203.0.113.5:5000-5010=192.168.1.10:6000"
    assert str(Forward.parse("tcp:80=192.168.1.10")) == "tcp:80=192.168.1.10:80"
    assert int(OneToOne.parse("203.0.113.5=192.168.1.10").inside) == IN


@pytest.mark.parametrize(
    "text",
    ["tcp:80", "icmp:80=192.168.1.10", "tcp:0=192.168.1.10", "tcp:90-80=192.168.1.10", "tcp:80=here", "tcp:80-90=192.168.1.10:1-2",
     "tcp:1-9=192.168.1.10:65530"],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused_in_a_sentence(text):
    with pytest.raises(UsageError, match=r".{20,}"):
        Forward.parse(text)
