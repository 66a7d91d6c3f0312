"""What a netback does with what a frontend sends: packets, extras, and all that a frontend should not do."""

import random
import struct

import pytest
from bareback import FRONT, Pair
from netstack import const
from netstack.checksum import checksum
from netstack_xen import slots

ETH = bytes.fromhex("feffffffffff 00163e000001 0800")


def ipv4(proto, body, ident=0, fragment=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), ident, fragment, 64, proto, 0, b"\x0a\0\0\x02", b"\x0a\0\0\x01")
    return ETH + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def pseudo(proto, length):
    s = sum(struct.unpack("!4H", b"\x0a\0\0\x02\x0a\0\0\x01")) + proto + length
    while s > 0xFFFF:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def tcp(payload, check=None):
    """A segment whose checksum field holds the pseudo-header's sum, unless another is given."""
    check = pseudo(6, 20 + len(payload)) if check is None else check
    return ipv4(6, struct.pack("!HHIIHHHH", 1000, 80, 1, 2, 0x5010, 500, check, 0) + payload)


def udp(payload):
    return ipv4(17, struct.pack("!HHHH", 53, 53, 8 + len(payload), pseudo(17, 8 + len(payload))) + payload)


def test_a_packet_of_one_slot_comes_up_and_is_answered():
    with Pair() as pair:
        q = pair.connect()
        q.put(ETH + b"hello")
        q.push()
        pair.poll()
        assert pair.sink.frames == [(ETH + b"hello", const.CSUM_UNKNOWN, 0)]
        assert q.answers() == [(0, slots.OKAY)]


def test_a_packet_over_several_slots_is_put_together_whatever_their_offsets():
    with Pair() as pair:
        q = pair.connect()
        q.memory[100:200] = a = random.Random(1).randbytes(100)
        q.memory[4096 : 4096 + 4096] = b = random.Random(2).randbytes(4096)
        q.memory[8192 + 4000 : 8192 + 4096] = c = random.Random(3).randbytes(96)
        q.slot(0, 100, 100 + 4096 + 96, slots.TX_MORE_DATA, id=77)
        q.slot(1, 0, 4096, slots.TX_MORE_DATA, id=78)
        q.slot(2, 4000, 96, id=9)
        q.push()
        pair.poll()
        assert [f[0] for f in pair.sink.frames] == [a + b + c]
        assert q.answers() == [(77, 0), (78, 0), (9, 0)]


def test_rings_run_around_many_times_and_indexes_past_32_bits():
    with Pair() as pair:
        q = pair.connect()
        n = 0
        for round in range(40):
            for _ in range(37):
                q.put(ETH + struct.pack("!I", n))
                n += 1
                q.push()
                pair.poll()
            assert all(status == 0 for _, status in q.answers())
        assert [f[0][14:] for f in pair.sink.frames] == [struct.pack("!I", i) for i in range(n)]


def test_a_blank_checksum_is_said_to_be_partial_and_a_validated_one_good():
    with Pair() as pair:
        q = pair.connect()
        for frame, flags in ((tcp(b"x"), slots.TX_CSUM_BLANK), (udp(b"y"), slots.TX_CSUM_BLANK), (tcp(b"z"), slots.TX_DATA_VALIDATED)):
            q.put(frame, flags)
            q.push()
            pair.poll()
        assert [f[1] for f in pair.sink.frames] == [const.CSUM_PARTIAL, const.CSUM_PARTIAL, const.CSUM_GOOD]
        assert pair.mib.InBlank == 2


def test_a_plain_vif_completes_what_came_blank():
    with Pair() as pair:
        pair.back.plain()
        q = pair.connect()
        for frame in (tcp(b"odd"), udp(b"even")):
            q.put(frame, slots.TX_CSUM_BLANK)
            q.push()
            pair.poll()
        for data, csum, _ in pair.sink.frames:
            body = data[34:]
            assert csum == const.CSUM_UNKNOWN
            assert checksum(bytes.fromhex("0a0000020a000001") + struct.pack("!BBH", 0, data[23], len(body)) + body) == 0


@pytest.mark.parametrize(
    "frame",
    [
        ETH[:12] + b"\x08\x06" + bytes(28),
        ipv4(1, bytes(20)),
        ipv4(6, bytes(10)),
        ipv4(6, bytes(40), fragment=0x2000),
        ETH + bytes(10),
        tcp(b"x" * 100)[:-50],
    ],
    ids=["arp", "icmp", "short tcp", "fragment", "short ip", "cut"],
)
def test_a_blank_checksum_where_none_can_be_done_is_dropped_but_answered(frame):
    with Pair() as pair:
        q = pair.connect()
        q.put(frame, slots.TX_CSUM_BLANK)
        q.push()
        pair.poll()
        assert not pair.sink.frames and pair.mib.InBadBlank == 1
        assert q.answers() == [(0, 0)]


def test_a_super_segment_comes_up_whole_with_its_size():
    with Pair() as pair:
        q = pair.connect()
        frame = tcp(random.Random(4).randbytes(60000))
        q.put(frame, slots.TX_CSUM_BLANK, [(slots.EXTRA_GSO, slots.gso(1448, slots.GSO_TCPV4))])
        q.push()
        pair.poll()
        assert pair.sink.frames == [(frame, const.CSUM_PARTIAL, 1448)]
        answers = q.answers()
        assert len(answers) == 16 and [status for _, status in answers] == [0, slots.NULL] + [0] * 14


def test_a_super_segment_that_forgets_to_say_blank_is_given_the_sum_of_its_pseudo_header():
    with Pair() as pair:
        q = pair.connect()
        q.put(tcp(bytes(5000), check=0xDEAD), 0, [(slots.EXTRA_GSO, slots.gso(1000, slots.GSO_TCPV4))])
        q.push()
        pair.poll()
        assert pair.sink.frames == [(tcp(bytes(5000)), const.CSUM_PARTIAL, 1000)]


def test_a_super_segment_of_ipv6_comes_up_as_one():
    with Pair() as pair:
        q = pair.connect()
        body = struct.pack("!HHIIHHHH", 1000, 80, 1, 2, 0x5010, 500, 0x1234, 0) + bytes(6000)
        frame = ETH[:12] + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, len(body), 6, 64) + bytes(32) + body
        q.put(frame, slots.TX_CSUM_BLANK, [(slots.EXTRA_GSO, slots.gso(1440, slots.GSO_TCPV6))])
        q.push()
        pair.poll()
        assert pair.sink.frames == [(frame, const.CSUM_PARTIAL, 1440)]


def test_a_super_segment_of_the_other_family_is_dropped():
    with Pair() as pair:
        q = pair.connect()
        q.put(tcp(bytes(5000)), slots.TX_CSUM_BLANK, [(slots.EXTRA_GSO, slots.gso(1440, slots.GSO_TCPV6))])
        q.push()
        pair.poll()
        assert not pair.sink.frames and pair.mib.InBadGso == 1


def test_an_extra_that_says_a_hash_is_passed_over():
    with Pair() as pair:
        q = pair.connect()
        extras = [(slots.EXTRA_HASH, 0x010203040101), (slots.EXTRA_GSO, slots.gso(1448, slots.GSO_TCPV4))]
        q.put(tcp(bytes(3000)), slots.TX_CSUM_BLANK, extras)
        q.push()
        pair.poll()
        assert [f[2] for f in pair.sink.frames] == [1448]


# -- Linux's table of bad frontends: what costs a packet ----------------------------------------------------------------------------


def test_a_frame_shorter_than_its_link_header_is_an_error_and_the_link_stays_up():
    with Pair() as pair:
        q = pair.connect()
        q.put(bytes(13))
        q.put(ETH)
        q.push()
        pair.poll()
        assert q.answers() == [(0, slots.ERROR), (1, slots.OKAY)]
        assert pair.mib.InShort == 1 and len(pair.sink.frames) == 1


def test_a_page_that_is_not_granted_is_an_error_of_that_slot_alone_and_the_link_stays_up():
    with Pair() as pair:
        q = pair.connect()
        q.slot(0, 0, 200, slots.TX_MORE_DATA)
        q.slot(1, 0, 100, ref=999999)
        q.put(ETH)
        q.push()
        pair.poll()
        assert q.answers() == [(0, slots.OKAY), (1, slots.ERROR), (2, slots.OKAY)]
        assert pair.mib.InBadRef == 1 and len(pair.sink.frames) == 1


def test_a_bad_page_behind_extras_is_answered_in_its_own_slot():
    with Pair() as pair:
        q = pair.connect()
        q.slot(0, 0, 3000, slots.TX_MORE_DATA | slots.TX_EXTRA_INFO | slots.TX_CSUM_BLANK)
        q.extra(slots.EXTRA_GSO, 0, slots.gso(1448, slots.GSO_TCPV4))
        q.slot(1, 0, 1000, slots.TX_MORE_DATA)
        q.slot(2, 0, 1000, ref=999999)
        q.push()
        pair.poll()
        assert [status for _, status in q.answers()] == [slots.OKAY, slots.NULL, slots.OKAY, slots.ERROR]
        assert not pair.sink.frames


def test_slots_longer_than_the_packet_are_all_answered_as_errors():
    with Pair() as pair:
        q = pair.connect()
        q.slot(0, 0, 300, slots.TX_MORE_DATA)
        q.slot(1, 0, 400, slots.TX_MORE_DATA)
        q.slot(2, 0, 10)
        q.push()
        pair.poll()
        assert [status for _, status in q.answers()] == [slots.ERROR] * 3
        assert pair.mib.InLengths == 1 and not pair.back.disabled


def test_twenty_slots_are_refused_and_nineteen_are_taken():
    with Pair() as pair:
        q = pair.connect()
        for count in (19, 20):
            q.slot(0, 0, 100 * count, slots.TX_MORE_DATA)
            for n in range(1, count):
                q.slot(n, 0, 100, slots.TX_MORE_DATA if n + 1 < count else 0)
        q.push()
        pair.poll()
        assert [status for _, status in q.answers()] == [slots.OKAY] * 19 + [slots.ERROR] * 20
        assert len(pair.sink.frames) == 1 and pair.mib.InTooManySlots == 1


# -- and what disables the vif ------------------------------------------------------------------------------------------------------


def page_border(q):
    q.slot(0, 4000, 200)


def page_border_behind(q):
    q.slot(0, 0, 300, slots.TX_MORE_DATA)
    q.slot(1, 4000, 200)


def far_too_many(q):
    q.slot(0, 0, 100 * 30, slots.TX_MORE_DATA)
    for _ in range(29):
        q.slot(0, 0, 100, slots.TX_MORE_DATA)


def no_more_data(q):
    q.slot(0, 0, 100, slots.TX_MORE_DATA)


def no_extra(q):
    q.slot(0, 0, 100, slots.TX_EXTRA_INFO)


def no_such_extra(q):
    q.slot(0, 0, 100, slots.TX_EXTRA_INFO)
    q.extra(9)


def no_gso_size(q):
    q.slot(0, 0, 100, slots.TX_EXTRA_INFO)
    q.extra(slots.EXTRA_GSO, 0, slots.gso(0, slots.GSO_TCPV4))


def no_gso_kind(q):
    q.slot(0, 0, 100, slots.TX_EXTRA_INFO)
    q.extra(slots.EXTRA_GSO, 0, slots.gso(1448, 3))


def too_many_requests(q):
    q.tx.req_prod = q.tx.req_prod + 300 & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("deed", "counter"),
    [
        (page_border, "FatalPageBorder"),
        (page_border_behind, "FatalPageBorder"),
        (far_too_many, "FatalSlots"),
        (no_more_data, "FatalMissing"),
        (no_extra, "FatalMissing"),
        (no_such_extra, "FatalExtra"),
        (no_gso_size, "FatalGso"),
        (no_gso_kind, "FatalGso"),
        (too_many_requests, "FatalRing"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_only_the_malign_do_that_and_their_vif_is_dead_until_it_is_connected_anew(deed, counter):
    with Pair() as pair:
        q = pair.connect()
        q.put(ETH + b"before")
        deed(q)
        q.push()
        pair.poll()
        assert getattr(pair.mib, counter) == 1 and pair.back.disabled and pair.back.trouble
        assert [f[0] for f in pair.sink.frames] == ([] if deed is too_many_requests else [ETH + b"before"])
        assert len(q.answers()) == (0 if deed is too_many_requests else 1)
        assert pair.says("carrier") == "0" and pair.says("state") == "4"
        assert pair.tools.store.read(f"/local/domain/0/error/backend/vif/{FRONT}/0/error") == pair.back.trouble
        q.put(ETH + b"after")
        q.push()
        pair.poll()
        assert not any(f[0].endswith(b"after") for f in pair.sink.frames)
        # closing works, and so does opening again
        pair.write(state=5)
        pair.poll()
        assert pair.says("state") == "5"
        q.close()
        pair.write(state=6)
        pair.poll()
        pair.write(state=1)
        q = pair.connect()
        assert pair.says("carrier") == "1" and not pair.back.trouble
        q.put(ETH + b"again")
        q.push()
        pair.poll()
        assert pair.sink.frames[-1][0] == ETH + b"again"


def test_noise_in_the_ring_never_does_more_than_disable_the_vif(seed):
    rng = random.Random(seed)
    for _ in range(30):
        with Pair() as pair:
            q = pair.connect()
            for _ in range(rng.randrange(1, 20)):
                for _ in range(rng.randrange(1, 12)):
                    i = q.tx.req_prod
                    at = q.tx.at(i)
                    if rng.random() < 0.5:
                        q.tx.page[at : at + 12] = rng.randbytes(12)
                        q.tx.req_prod = i + 1 & 0xFFFFFFFF
                    else:
                        size = rng.choice([0, 13, 60, 1500, 4096, 60000])
                        q.slot(rng.randrange(64), rng.choice([0, 0, 0, 4000]), size, rng.choice([0, 0, 1, 4, 8, 12]))
                if rng.random() < 0.02:
                    q.tx.req_prod = rng.getrandbits(32)
                q.push()
                pair.poll()
                q.answers() if rng.random() < 0.9 and not pair.back.disabled else None
                if pair.back.disabled:
                    break
                q.tx.rsp_cons = q.tx.req_prod
            total = pair.mib.snapshot()
            assert sum(total[name] for name in total if name.startswith("Fatal")) == pair.back.disabled
