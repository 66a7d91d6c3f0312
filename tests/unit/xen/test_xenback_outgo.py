"""What a netback puts into a frontend's buffers, and what it does where there are none."""

import random
import struct

import pytest
from bareback import Pair
from netstack import const
from netstack.adapters import FramePort
from netstack.cores import Out
from netstack.instant import SECOND
from netstack_xen import slots
from test_xenback_intake import ETH, pseudo, tcp, udp

GROUP = bytes.fromhex("01005e000016")


def laid_out(frame, gso=0, blank=True):
    """As the layers hand it down: headers at the end of `hdr`, the payload elsewhere."""
    p = Out()
    head = 54 if frame[23] == 6 else 42
    p.off = const.HEADROOM - head
    p.hdr[p.off :] = frame[:head]
    p.l4 = const.HEADROOM - (head - 34)
    p.data, p.n = frame[head:], len(frame) - head
    p.gso = gso
    p.csum_off = (const.TCP_CHECKSUM if head == 54 else const.UDP_CHECKSUM) if blank else 0
    return p


class Sender:
    def __init__(self, pair):
        self.pair, self.port = pair, FramePort(pair.back.core)

    def frame(self, frame):
        self.port.send(frame, self.pair.now)

    def out(self, p):
        self.port.send_out(p, self.pair.now)


def test_a_frame_lies_in_the_first_buffer_and_is_answered_in_its_place():
    with Pair() as pair:
        q = pair.connect()
        q.post(3)
        pair.poll()
        Sender(pair).frame(ETH + b"hello")
        assert q.received() == [(ETH + b"hello", 0, [])]


def test_a_frame_of_several_buffers_is_laid_over_them_with_its_pieces_joined():
    with Pair() as pair:
        q = pair.connect()
        q.post(10)
        p = laid_out(tcp(random.Random(1).randbytes(100)), blank=False)
        pieces = [random.Random(n).randbytes(3000) for n in range(4)]
        p.rest, p.rest_n = pieces, 11000
        whole = p.tobytes()
        Sender(pair).out(p)
        assert q.received() == [(whole, slots.RX_MORE_DATA, [])]
        assert pair.mib.OutSlots == 3 and pair.mib.OutFrames == 1


def test_a_blank_checksum_and_a_super_segment_are_said_as_linux_says_them():
    with Pair() as pair:
        q = pair.connect()
        q.post(40)
        frame = tcp(bytes(20000))
        Sender(pair).out(laid_out(udp(b"x")))
        Sender(pair).out(laid_out(frame, gso=1448))
        blank = slots.RX_CSUM_BLANK | slots.RX_DATA_VALIDATED
        assert q.received() == [
            (udp(b"x"), blank, []),
            (frame, blank | slots.RX_EXTRA_INFO | slots.RX_MORE_DATA, [(slots.EXTRA_GSO, slots.gso(1448, slots.GSO_TCPV4))]),
        ]


def test_a_frontend_that_takes_nothing_undone_gets_single_frames_with_complete_checksums():
    from netstack.checksum import checksum

    with Pair() as pair:
        q = pair.connect(keys={"feature-no-csum-offload": 1, "feature-gso-tcpv4": None})
        q.post(40)
        Sender(pair).out(laid_out(tcp(bytes(3000)), gso=1448))
        Sender(pair).out(laid_out(udp(b"odd")))
        got = q.received()
        assert [len(data) for data, _, _ in got] == [54 + 1448, 54 + 1448, 54 + 104, 42 + 3]
        for data, flags, extras in got:
            body = data[34:]
            assert flags & ~slots.RX_MORE_DATA == 0 and not extras
            assert checksum(data[26:34] + struct.pack("!BBH", 0, data[23], len(body)) + body) == 0


def test_congestion_window_reduced_is_for_the_first_segment_alone_so_it_is_cut_here():
    with Pair() as pair:
        q = pair.connect()
        q.post(40)
        p = laid_out(tcp(bytes(3000)), gso=1448)
        p.hdr[p.l4 + 13] |= const.CWR
        Sender(pair).out(p)
        assert [bool(data[47] & const.CWR) for data, _, _ in q.received()] == [True, False, False]


def test_what_finds_no_buffers_waits_for_them_in_order():
    with Pair() as pair:
        q = pair.connect()
        s = Sender(pair)
        for n in range(5):
            s.frame(ETH + bytes([n]) * (5000 if n == 1 else 10))
        q.post(1)
        pair.poll()
        assert [f[0][14] for f in q.received()] == [0]
        q.post(1)  # not enough for the second: nothing overtakes it
        pair.poll()
        assert q.received() == []
        q.post(10)
        pair.poll()
        assert [f[0][14] for f in q.received()] == [1, 2, 3, 4]
        assert pair.mib.OutQueued == 5 and not pair.back.core.lanes[0].held


def test_a_frontend_is_asked_to_tell_when_it_gives_buffers():
    with Pair() as pair:
        q = pair.connect()
        told = []
        Sender(pair).frame(ETH + bytes(9000))
        pair.back.set_waker(lambda: told.append(1))
        pair.poll()
        told.clear()
        q.post(2)
        assert not told
        q.post(1)
        assert told
        pair.poll()
        assert len(q.received()) == 1


def test_what_waits_is_bounded_in_bytes():
    with Pair() as pair:
        pair.connect()
        s = Sender(pair)
        for _ in range(100):
            s.frame(bytes(60000))
        assert pair.mib.OutNoRoom == 100 - 4194304 // 60000
        assert pair.back.core.lanes[0].held <= 4194304


def test_what_waits_is_bounded_in_time():
    with Pair() as pair:
        q = pair.connect()
        Sender(pair).frame(ETH)
        assert pair.back.next_deadline() == 10 * SECOND
        pair.poll(9 * SECOND)
        assert not pair.mib.OutExpired
        pair.poll(SECOND)
        assert pair.mib.OutExpired == 1 and pair.back.next_deadline() is None
        q.post(1)
        pair.poll()
        assert q.received() == []


def test_who_does_not_say_when_he_gives_buffers_is_looked_at_for_a_moment():
    with Pair() as pair:
        q = pair.connect(keys={"feature-rx-notify": None})
        Sender(pair).frame(ETH + b"1")
        assert 0 < pair.back.next_deadline() - pair.now <= 5_000_000
        q.post(1)
        pair.poll(5_000_000)
        assert [f[0] for f in q.received()] == [ETH + b"1"]
        Sender(pair).frame(ETH + b"2")
        pair.poll(30_000_000)
        assert pair.mib.OutExpired == 1


def test_a_frontend_that_gives_no_buffers_for_a_minute_is_stalled_until_it_does():
    with Pair() as pair:
        q = pair.connect()
        s = Sender(pair)
        s.frame(ETH)
        pair.poll(61 * SECOND)
        s.frame(ETH + b"lost")
        s.frame(ETH + b"lost")
        assert (pair.mib.Stalls, pair.mib.OutStalled, pair.mib.OutExpired) == (1, 2, 1)
        q.post(2)
        pair.poll()
        s.frame(ETH + b"found")
        assert [f[0] for f in q.received()] == [ETH + b"found"]


def test_a_frame_longer_than_one_buffer_needs_scatter_and_gather():
    with Pair() as pair:
        q = pair.connect(keys={"feature-sg": None})
        q.post(10)
        s = Sender(pair)
        s.frame(bytes(4097))
        s.frame(bytes(4096))
        assert pair.mib.OutTooLong == 1 and [len(f[0]) for f in q.received()] == [4096]
        s.out(laid_out(tcp(bytes(4000)), gso=1448))  # and so do super-segments, which it had asked for
        assert [len(f[0]) for f in q.received()] == [1502, 1502, 54 + 4000 - 2 * 1448]


def test_a_buffer_that_is_not_granted_is_answered_as_an_error_and_the_others_are_not():
    with Pair() as pair:
        q = pair.connect()
        s = Sender(pair)
        q.post(1, ref=999999)
        q.post(2)
        s.frame(ETH + b"1")
        s.frame(ETH + bytes(5000))
        assert [f[0] for f in q.received()] == [None, ETH + bytes(5000)]
        assert pair.mib.OutBadRef == 1 and pair.mib.OutFrames == 1


def test_a_read_only_buffer_is_as_bad():
    with Pair() as pair:
        q = pair.connect()
        pages = pair.program.share(0, 1, writable=False)
        q.post(1, ref=pages.refs[0])
        Sender(pair).frame(ETH)
        assert q.received()[0][0] is None and pair.mib.OutBadRef == 1
        pair.program.unshare(pages)


def test_more_buffers_than_the_ring_holds_disable_the_vif():
    with Pair() as pair:
        q = pair.connect()
        q.rx.req_prod = 5000
        q.rx.push()
        Sender(pair).frame(ETH)
        assert pair.back.disabled and pair.mib.FatalRing == 1
        Sender(pair).frame(ETH)
        assert pair.mib.OutDown == 1


def test_multicasts_are_filtered_by_the_frontends_list_when_it_asks_for_it():
    with Pair() as pair:
        q = pair.connect()
        q.post(30)
        s = Sender(pair)
        to_group = GROUP + bytes(54)
        s.frame(to_group)
        assert len(q.received()) == 1
        pair.write(request_multicast_control=1)
        pair.poll()
        s.frame(to_group)
        s.frame(b"\xff" * 6 + bytes(54))
        s.frame(ETH)
        assert [f[0][:6] for f in q.received()] == [b"\xff" * 6, ETH[:6]] and pair.mib.OutFiltered == 1
        rest = int.from_bytes(GROUP, "little")
        for kind in (slots.EXTRA_MCAST_ADD, slots.EXTRA_MCAST_DEL):
            q.slot(0, 0, 0, slots.TX_EXTRA_INFO)
            q.extra(kind, 0, rest)
            q.push()
            pair.poll()
            assert [status for _, status in q.answers()] == [slots.OKAY, slots.NULL]
            s.frame(to_group)
            s.out(laid_out(GROUP + udp(b"x")[6:]))
            assert len(q.received()) == (2 if kind == slots.EXTRA_MCAST_ADD else 0)
        assert not pair.sink.frames


def test_a_list_of_multicasts_has_a_bound():
    with Pair() as pair:
        q = pair.connect()
        for n in range(65):
            q.slot(0, 0, 0, slots.TX_EXTRA_INFO)
            q.extra(slots.EXTRA_MCAST_ADD, 0, n)
            q.push()
            pair.poll()
        assert [status for _, status in q.answers()[::2]] == [slots.OKAY] * 64 + [slots.ERROR]
        assert pair.mib.InGroupsFull == 1


def test_without_carrier_or_connection_frames_are_counted_and_dropped():
    with Pair() as pair:
        s = Sender(pair)
        s.frame(ETH)
        q = pair.connect()
        q.post(5)
        pair.back.set_carrier(False)
        assert pair.says("carrier") == "0"
        s.frame(ETH)
        assert pair.mib.OutDown == 2
        pair.back.set_carrier(True)
        assert pair.says("carrier") == "1"
        s.frame(ETH)
        assert len(q.received()) == 1


@pytest.mark.parametrize("family", [4, 6])
def test_a_super_segment_goes_out_as_what_it_is(family):
    with Pair() as pair:
        q = pair.connect(keys={"feature-ipv6-csum-offload": 1})
        q.post(40)
        if family == 4:
            p = laid_out(tcp(bytes(9000)), gso=1448)
        else:
            p = Out()
            head = ETH[:12] + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, 9020, 6, 64) + bytes(32) + bytes(12) + b"\x50\x10" + bytes(6)
            p.off, p.l4 = const.HEADROOM - 74, const.HEADROOM - 20
            p.hdr[p.off :] = head
            p.data, p.n, p.gso, p.csum_off = bytes(9000), 9000, 1440, const.TCP_CHECKSUM
        Sender(pair).out(p)
        ((data, flags, extras),) = q.received()
        kind = slots.GSO_TCPV4 if family == 4 else slots.GSO_TCPV6
        assert [slots.gso_kind(rest) for _, rest in extras] == [kind] and flags & slots.RX_CSUM_BLANK
        assert len(data) == (9054 if family == 4 else 9074)


def test_the_pseudo_header_that_the_tests_count_on_is_right():
    assert pseudo(6, 21) == sum((0x0A00, 2, 0x0A00, 1, 6, 21))
