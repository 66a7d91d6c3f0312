"""The strict netback against the plain netfront: what Linux does with good frontends and with bad ones."""

import random

import pytest
from netstack_xen.simulated import layout, toolstack
from netstack_xen.simulated.plainfront import PlainFront
from netstack_xen.simulated.steering import toeplitz
from netstack_xen.simulated.strict import DRAIN, STALL, StrictBack
from netstack_xen.simulated.units import Unit, filled_in, headers, ones, pseudo_sum, segments
from xen_world import World, blank, tcp_frame, whole

# -- negotiation -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("queues", [1, 2])
def test_a_front_end_connects_is_closed_and_connects_again(queues, split):
    with World(queues=queues, split=split) as world:
        assert world.states() == ("4", "4") and world.back.carrier
        world.front.close()
        world.settle()
        assert world.states() == ("6", "6") and not world.back.connected
        world.front.reopen()
        world.settle()
        assert world.states() == ("4", "4") and world.back.carrier
        world.front.send(Unit(whole(b"again")))
        world.settle()
        assert [unit.frame for unit in world.at_back] == [whole(b"again")]
        assert not world.back.complaints and not world.front.complaints
        world.machine.books.assert_clean()


def test_the_back_end_is_not_shown_as_connected_before_the_hotplug_script_said_so():
    with World(hotplug=False) as world:
        assert world.states() == ("4", "2")
        toolstack.hotplug(world.tools.store, world.vif)
        world.settle()
        assert world.states() == ("4", "4")


def test_who_closes_before_the_hotplug_script_sees_no_answer_until_then():
    with World(hotplug=False) as world:
        world.front.close()
        world.settle()
        assert world.states() == ("5", "2")
        toolstack.hotplug(world.tools.store, world.vif)
        world.settle()
        assert world.states() == ("6", "6")


def test_without_a_script_the_back_end_is_closed_with_an_error():
    with World(front=False) as world:
        vif = toolstack.add_vif(world.tools.store, 1, 1)
        world.tools.store.remove(f"{vif.backend}/script")
        back = StrictBack(world.machine.domain(0), vif.backend, receive=print)
        assert back.gone and world.tools.store.read(f"{vif.backend}/state") == "6"
        assert world.tools.store.read("error/backend/vif/1/1/error") == "2 reading script"
        back.hypervisor.close()


def test_more_queues_than_are_offered_is_an_error_and_no_connection():
    with World(queues=3) as world:
        assert world.tools.store.read("error/backend/vif/1/0/error") == "22 guest requested 3 queues, but valid range is 1 - 2."
        assert not world.back.connected
        world.front.close()
        world.settle()
        assert world.states() == ("6", "6")


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        ({"tx-ring-ref": "nonsense"}, "2 reading /local/domain/1/device/vif/0/tx-ring-ref"),
        ({"rx-ring-ref": "99999"}, "22 mapping shared-frames"),
        ({"event-channel-tx": "99999"}, "22 mapping shared-frames"),
        ({"multi-queue-num-queues": "0"}, "22 guest requested 0 queues"),
        ({"multi-queue-num-queues": "2"}, "2 reading /local/domain/1/device/vif/0/queue-0/tx-ring-ref"),
    ],
)
def test_words_that_make_no_connection_are_an_error_and_all_is_given_back(texts, error):
    with World(front=False) as world:
        world.front = PlainFront(world.guest, "device/vif/0", receive=print)
        connect = world.front.connect

        def spoilt():
            connect()
            for name, text in texts.items():
                world.guest.store.write(f"device/vif/0/{name}", text)

        world.front.connect = spoilt
        world.settle()
        assert (world.tools.store.read("error/backend/vif/1/0/error") or "").startswith(error)
        assert not list(world.machine.books.of(0, "mapping")) and not list(world.machine.books.of(0, "port"))


def test_a_vif_that_the_toolstack_removes_is_given_back_by_the_back_end():
    with World() as world:
        toolstack.remove_vif(world.tools.store, world.vif)
        world.back.poll(0)
        assert world.back.gone
        assert not list(world.machine.books.of(0, "mapping"))


def test_a_vif_that_is_unplugged_is_closed_for_good():
    with World() as world:
        toolstack.unplug(world.tools.store, world.vif)
        world.settle()
        assert world.states()[0] == "5"
        world.front.close()
        world.settle()
        assert world.states() == ("6", "6") and world.back.gone


def test_a_front_end_that_is_killed_leaves_the_back_end_connected_and_it_can_come_back():
    with World() as world:
        world.machine.kill(world.guest)
        world.front = None
        world.settle()
        assert world.states() == ("4", "4") and {note.kind for note in world.machine.books.notes} == {"still mapped"}
        world.guest = world.machine.domain(1)
        store = world.guest.store
        for state, answers in (("5", "56"), ("6", "6"), ("1", "2")):
            store.write("device/vif/0/state", state)
            world.settle()
            assert world.states()[1] in answers
        world.front = PlainFront(world.guest, "device/vif/0", receive=world.at_front.append)
        world.settle()
        world.front.send(Unit(whole(b"back")))
        world.settle()
        assert [unit.frame for unit in world.at_back] == [whole(b"back")]


# -- frames ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [14, 60, 1514, 4096, 4097, 9014, 65535])
def test_frames_of_every_size_go_both_ways_whole(size, seed):
    frame = random.Random(seed).randbytes(size)
    with World() as world:
        assert world.front.send(Unit(frame))
        world.back.send(Unit(frame), 0)
        world.settle()
        assert [unit.frame for unit in world.at_back] == [frame] == [unit.frame for unit in world.at_front]
        assert not world.back.complaints and not world.front.complaints


def test_responses_in_any_order_free_what_was_sent(seed):
    dice = random.Random(seed)
    with World(rng=dice) as world:
        frames = [dice.randbytes(dice.randrange(14, 12000)) for _ in range(300)]
        for frame in frames:
            while not world.front.send(Unit(frame)):
                world.settle()
        world.settle()
        assert [unit.frame for unit in world.at_back] == frames
        assert not world.front.complaints and len(world.front.queues[0].tx_free) == 64 and not world.front.queues[0].nulls


def test_many_frames_wait_for_buffers_and_arrive_in_order(seed):
    dice = random.Random(seed)
    with World() as world:
        frames = [dice.randbytes(dice.randrange(14, 3000)) for _ in range(600)]
        for frame in frames:
            world.back.send(Unit(frame), 0)
            if world.back.queues[0].bytes_waiting > 60000:
                world.settle()
        world.settle()
        assert [unit.frame for unit in world.at_front] == frames and not world.front.complaints


@pytest.mark.parametrize("version", [4, 6])
def test_blank_checksums_and_large_segments_go_both_ways(version):
    unit = blank(bytes(range(256)) * 100, version=version)
    large = Unit(unit.frame, True, True, 1 if version == 4 else 2, 1400)
    with World() as world:
        for each in (unit, large):
            world.front.send(each)
            world.back.send(each, 0)
        world.settle()
        assert world.at_back == [unit, large] == world.at_front
        assert not world.back.complaints and not world.front.complaints


@pytest.mark.parametrize("version", [4, 6])
def test_a_front_end_that_takes_no_offloads_gets_single_frames_with_checksums(version):
    payload = bytes(range(250)) * 20
    unit = Unit(tcp_frame(payload, version=version, flags=0x99), True, True, 1 if version == 4 else 2, 1400)
    with World(features=(), texts={"feature-no-csum-offload": "1"}) as world:
        world.back.send(unit, 0)
        world.settle()
        got = [each.frame for each in world.at_front]
        assert len(got) == 4 and b"".join(frame[headers(frame).transport + 20 :] for frame in got) == payload
        for n, frame in enumerate(got):
            where = headers(frame)
            assert ones(frame[where.transport :], pseudo_sum(frame, where, len(frame) - where.transport)) == 0xFFFF
            assert frame[where.transport + 13] == (0x90 if n == 0 else 0x10 if n < 3 else 0x19)  # CWR first, FIN and PSH last
            assert version == 6 or ones(frame[14:34]) == 0xFFFF


def test_a_front_end_without_scatter_gather_gets_no_frame_of_more_than_a_page():
    with World(features=("feature-rx-notify",)) as world:
        world.back.send(Unit(bytes(5000)), 0)
        world.settle()
        assert not world.at_front and world.back.counters["rx_too_long"] == 1


def test_a_front_end_that_does_not_ask_for_copies_has_none_of_its_features_read():
    with World(texts={"request-rx-copy": "0", "feature-sg": "0"}) as world:
        assert world.back.connected and world.back.can_sg and not world.back.gso and world.back.complaints


# -- bad front ends --------------------------------------------------------------------------------------------------------------


def request(world, *slots):
    """Raw tx slots, pushed."""
    queue = world.front.queues[0]
    for slot in slots:
        queue.tx.put(slot)
    queue.push()
    world.back.poll(world.now)
    found = []
    while queue.tx.answered:
        found.append(layout.TX_RESPONSE.unpack_from(queue.tx.take()[1]))
    queue.tx.arm()
    return found


def tx(world, offset=0, flags=0, number=0, size=60, ref=None):
    return layout.TX_REQUEST.pack(world.front.queues[0].pages.refs[number] if ref is None else ref, offset, flags, number, size)


def test_a_frame_of_less_than_an_ethernet_header_is_an_error_and_the_link_lives():
    with World() as world:
        assert request(world, tx(world, size=13)) == [(0, -1)]
        assert request(world, tx(world, size=14)) == [(0, 0)] and world.back.carrier


def test_a_page_that_is_not_granted_is_an_error_for_its_slot_alone():
    with World() as world:
        more = layout.TX_MORE_DATA
        got = request(
            world, tx(world, flags=more, size=300), tx(world, number=1, size=100, flags=more, ref=77777), tx(world, number=2)
        )
        assert got == [(0, 0), (1, -1), (2, 0)] and not world.at_back and world.back.carrier


@pytest.mark.parametrize("where", ["first", "second"])
def test_a_slot_over_the_border_of_a_page_disables_the_vif_until_it_is_reopened(where):
    with World() as world:
        bad = tx(world, offset=4000, size=200, number=1)
        slots = [bad] if where == "first" else [tx(world, flags=layout.TX_MORE_DATA, size=400), bad]
        assert request(world, *slots) == []
        assert world.back.disabled and not world.back.carrier
        assert request(world, tx(world)) == []
        world.front.close()
        world.settle()
        world.front.reopen()
        world.settle()
        assert request(world, tx(world)) == [(0, 0)]


@pytest.mark.parametrize(
    ("slots", "answer"),
    [
        (18, [0] * 18),
        (19, [0] * 19),  # the first is not counted
        (20, [-1] * 20),
        (21, [-1] * 21),
        (22, []),
    ],
)
def test_packets_of_many_slots_are_taken_refused_or_fatal(slots, answer):
    with World() as world:
        sizes = [100] * (slots - 1)
        first = tx(world, flags=layout.TX_MORE_DATA, size=sum(sizes) + 100)
        rest = [
            tx(world, number=n + 1, size=size, flags=layout.TX_MORE_DATA if n < slots - 2 else 0) for n, size in enumerate(sizes)
        ]
        assert [status for _, status in request(world, first, *rest)] == answer
        assert world.back.disabled == (not answer)


def test_a_slot_that_is_larger_than_what_is_left_of_the_packet_is_an_error():
    with World() as world:
        got = request(world, tx(world, flags=layout.TX_MORE_DATA, size=100), tx(world, number=1, size=101))
        assert got == [(0, -1), (1, -1)] and world.back.carrier


@pytest.mark.parametrize(
    "slots",
    [
        lambda world: [tx(world, flags=layout.TX_MORE_DATA, size=200)],
        lambda world: [tx(world, flags=layout.TX_EXTRA_INFO)],
        lambda world: [tx(world, flags=layout.TX_EXTRA_INFO), layout.EXTRA.pack(0, 0, bytes(6))],
        lambda world: [tx(world, flags=layout.TX_EXTRA_INFO), layout.EXTRA.pack(5, 0, bytes(6))],
        lambda world: [tx(world, flags=layout.TX_EXTRA_INFO), layout.EXTRA.pack(1, 1, layout.GSO.pack(1400, 1, 0, 0))],
        lambda world: [tx(world, flags=layout.TX_EXTRA_INFO), layout.EXTRA.pack(1, 0, layout.GSO.pack(0, 1, 0, 0))],
        lambda world: [tx(world, flags=layout.TX_EXTRA_INFO), layout.EXTRA.pack(1, 0, layout.GSO.pack(1400, 3, 0, 0))],
    ],
)
def test_what_is_announced_and_not_there_or_of_no_known_kind_disables_the_vif(slots):
    with World() as world:
        assert request(world, *slots(world)) == [] and world.back.disabled


def test_a_producer_that_is_too_far_disables_the_vif():
    with World() as world:
        world.front.queues[0].tx.set(layout.REQ_PROD, 1000)
        world.back.poll(0)
        assert world.back.disabled and "Impossible number" in world.back.said[-1]


def test_a_blank_checksum_without_the_sum_of_the_pseudo_header_is_complained_of():
    with World() as world:
        world.front.send(Unit(filled_in(tcp_frame(b"wrong")), csum_blank=True))
        world.settle()
        assert world.back.complaints == ["a blank checksum that isn't the sum of the pseudo-header of TCP or UDP"]


def test_a_buffer_that_is_not_granted_is_answered_with_the_status_of_the_copy():
    with World() as world:
        queue = world.front.queues[0]
        at = queue.rx.at(0)
        queue.rx.memory[at : at + 8] = layout.RX_REQUEST.pack(0, 0, 99999)
        world.back.send(Unit(bytes(60)), 0)
        assert layout.RX_RESPONSE.unpack(queue.rx.take()[1]) == (0, 0, 0, -3)


def test_a_front_end_that_posts_no_buffers_for_a_minute_has_no_carrier_until_it_does():
    with World() as world:
        rx = world.front.queues[0].rx
        for _ in range(rx.size):
            world.back.send(Unit(bytes(60)), 0)
        assert world.back.carrier
        assert world.back.next_deadline() == STALL + 1
        world.back.poll(STALL + 1)
        assert not world.back.carrier and world.back.said == ["Guest Rx ready", "Guest Rx stalled"]
        world.front.poll(0)
        world.back.poll(STALL + 2)
        assert world.back.carrier and len(world.at_front) == rx.size


def test_frames_for_which_there_are_no_buffers_expire():
    with World() as world:
        rx = world.front.queues[0].rx
        for _ in range(rx.size + 3):
            world.back.send(Unit(bytes(60)), 5)
        assert world.back.next_deadline() == 5 + DRAIN
        world.back.poll(5 + DRAIN)
        assert world.back.counters["rx_expired"] == 3


def test_a_rate_stops_the_front_end_until_there_is_credit():
    with World(more={"rate": "1000,50000"}) as world:
        for n in range(6):
            world.front.send(Unit(bytes([n]) * 400))
        world.settle()
        assert len(world.at_back) == 2
        while len(world.at_back) < 6:
            assert world.now < world.back.next_deadline() <= world.now + 50_000_000
            world.now = world.back.next_deadline()
            world.settle()
        assert world.now == 100_000_000


# -- control, multicast ----------------------------------------------------------------------------------------------------------

KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")


def test_the_hash_of_flows_is_toeplitz():
    """The vectors of Microsoft's "Verifying the RSS Hash Calculation"."""
    words = bytes([66, 9, 149, 187, 161, 142, 100, 80]) + (2794).to_bytes(2, "big") + (1766).to_bytes(2, "big")
    assert toeplitz(KEY, words) == 0x51CCC178 and toeplitz(KEY, words[:8]) == 0x323E8FC2
    assert toeplitz(bytes(40), words) == 0


def test_the_control_ring_answers_as_linux_does():
    with World(control=True, queues=2) as world:
        front = world.front
        ref = front.control_pages.refs[1]
        asked = [
            (layout.GET_HASH_FLAGS, (), b"", (1, 0)),
            (layout.SET_HASH_FLAGS, (1,), b"", (2, 0)),
            (layout.SET_HASH_ALGORITHM, (2,), b"", (2, 0)),
            (layout.SET_HASH_ALGORITHM, (1,), b"", (0, 0)),
            (layout.GET_HASH_FLAGS, (), b"", (0, 15)),
            (layout.SET_HASH_FLAGS, (16,), b"", (2, 0)),
            (layout.SET_HASH_FLAGS, (15,), b"", (0, 0)),
            (layout.SET_HASH_KEY, (ref, 41), b"", (2, 0)),
            (layout.SET_HASH_KEY, (99999, 40), b"", (2, 0)),
            (layout.SET_HASH_KEY, (ref, 40), KEY, (0, 0)),
            (layout.GET_HASH_MAPPING_SIZE, (), b"", (0, 128)),
            (layout.SET_HASH_MAPPING_SIZE, (129,), b"", (2, 0)),
            (layout.SET_HASH_MAPPING_SIZE, (4,), b"", (0, 0)),
            (layout.SET_HASH_MAPPING, (ref, 5, 0), b"", (2, 0)),
            (layout.SET_HASH_MAPPING, (ref, 1, 0), b"\2\0\0\0", (2, 0)),
            (layout.SET_HASH_MAPPING, (ref, 4, 0), b"\1\0\0\0" * 4, (0, 0)),
            (layout.GET_GREF_MAPPING_SIZE, (0,), b"", (1, 0)),
            (0, (), b"", (1, 0)),
        ]
        for id_, (kind, data, page, answer) in enumerate(asked):
            front.ask(id_, kind, *data, page=page)
            world.settle()
            assert front.answers.pop() == (id_, kind, *answer), (kind, data)
        world.back.send(Unit(whole(b"hello")), 0)
        world.settle()
        assert world.back.queues[1].rx.rsp_prod == 2 and world.back.queues[0].rx.rsp_prod == 0
        words = whole()[26:34] + whole()[34:38]
        assert world.at_front[0].hash == 1 << 32 | toeplitz(KEY, words)


def test_multicast_is_filtered_by_a_list_when_that_is_asked_for():
    with World() as world:
        group, other, everybody = b"\x01\0\x5e\0\0\x01", b"\x01\0\x5e\0\0\x02", b"\xff" * 6
        world.front.listen(group)
        world.settle()
        for address in (group, other, everybody):
            world.back.send(Unit(address + bytes(50)), 0)
        world.settle()
        assert len(world.at_front) == 3  # the list is kept, the filter off
        world.guest.store.write("device/vif/0/request-multicast-control", "1")
        world.settle()
        for address in (group, other, everybody):
            world.back.send(Unit(address + bytes(50)), 0)
        world.settle()
        assert [unit.frame[:6] for unit in world.at_front[3:]] == [group, everybody]
        world.front.listen(group, wanted=False)
        world.settle()
        world.back.send(Unit(group + bytes(50)), 0)
        world.settle()
        assert len(world.at_front) == 5 and not world.front.complaints


def test_the_list_of_multicast_addresses_has_an_end():
    with World() as world:
        for n in range(65):
            world.front.listen(bytes([1, 0, 94, 0, 0, n]))
            world.settle()
        assert world.front.queues[0].statuses == [0] * 64 + [-1]


def test_segments_of_a_unit_carry_all_of_it_and_nothing_twice():
    payload = bytes(range(256)) * 10
    found = list(segments(Unit(tcp_frame(payload, seq=0xFFFFFF00), True, True, 1, 1000)))
    assert [int.from_bytes(frame[38:42], "big") for frame in found] == [0xFFFFFF00, 0x2E8, 0x6D0]
    assert b"".join(frame[54:] for frame in found) == payload
    assert [int.from_bytes(frame[18:20], "big") for frame in found] == [9, 10, 11]
