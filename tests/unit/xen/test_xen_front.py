"""Our front end and a back end as strict as Linux's: what is said of a frame arrives with it, and connections come and go."""

import random

import pytest
from front_world import SECOND, FrontWorld
from netstack_xen.front import Phase, queue
from netstack_xen.simulated import toolstack
from netstack_xen.simulated.strict import Offers
from netstack_xen.simulated.units import Unit, filled_in, headers, segments
from xen_world import blank, tcp_frame, whole

from netstack import const
from netstack.address import Mac
from netstack.errors import UsageError

TCP = const.TCP_CHECKSUM


def offers(**changed: str) -> Offers:
    """Linux's, but for these; `feature_x="0"`."""
    return Offers(features={**Offers().features, **{key.replace("_", "-"): text for key, text in changed.items()}})


def but_for_the_id(frames) -> list[bytes]:
    """A datagram that may not be fragmented needs no identification (RFC 6864 4.1): the oracle counts it up, we don't."""
    return [frame[:18] + frame[20:24] + frame[26:] for frame in frames]


# -- frames ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("queues", [1, 2])
def test_frames_go_both_ways(queues, split):
    with FrontWorld(queues=queues, split=split) as world:
        assert world.states() == ("4", "4")
        assert world.phase() is Phase.CONNECTED
        frames = [whole(bytes([i]) * i, source=1000 + i) for i in range(100)]
        for frame in frames:
            world.send(frame)
        world.settle()
        assert sorted(unit.frame for unit in world.at_back) == sorted(frames)
        for frame in frames:
            world.back.send(Unit(frame), world.now)
        world.settle()
        assert sorted(frame for frame, _, _ in world.got.frames) == sorted(frames)
        assert world.front.mib.InFrames == world.front.mib.OutFrames == 100
        assert not world.back.complaints
        world.machine.books.assert_clean()


def test_thousands_of_frames_go_through_the_pages_that_were_granted_once(seed):
    rng = random.Random(seed)
    with FrontWorld(queues=2) as world:
        sent, came = [], []
        for _ in range(60):
            some = [whole(rng.randbytes(rng.randrange(1400)), source=rng.randrange(1, 60000)) for _ in range(rng.randrange(1, 60))]
            for frame in some:
                world.send(frame)
                world.back.send(Unit(frame), world.now)
            sent += some
            world.settle()
        came = [frame for frame, _, _ in world.got.frames]
        assert sorted(came) == sorted(sent) == sorted(unit.frame for unit in world.at_back)
        world.machine.books.assert_clean()


def test_one_notification_tells_of_a_whole_batch():
    """What a poll brings about is told at its end: here sixty answers to sixty frames."""
    with FrontWorld() as world:
        on_input = world.got.on_input

        def answer(f):
            on_input(f)
            world.send(whole(b"answer"))

        world.got.on_input = answer
        for _ in range(60):
            world.back.send(Unit(whole(b"question")), world.now)
        before = world.front.mib.Notified
        assert not world.front.poll(world.now)
        assert len(world.got.frames) == 60
        assert world.got.flushes == 1
        assert world.front.mib.Notified - before <= 2, "one a ring"
        world.settle()
        assert len(world.at_back) == 60


def test_a_poll_hands_up_64_units_and_says_that_there_are_more():
    with FrontWorld(queues=2) as world:
        world.settle()
        for i in range(90):
            world.back.send(Unit(whole(b"x", source=i + 1)), world.now)
        assert world.front.poll(world.now)
        assert len(world.got.frames) == 64
        world.settle()
        assert len(world.got.frames) == 90


@pytest.mark.parametrize("size", [4096 - 54, 4097 - 54, 8192 - 54, 8193 - 54, 20000, 65415])
def test_a_super_segment_is_one_unit_up_and_down(size):
    with FrontWorld() as world:
        payload = random.Random(size).randbytes(size)
        frame = tcp_frame(payload)
        world.send(frame, csum=TCP, gso=1460, pieces=3)
        world.settle()
        (unit,) = world.at_back
        assert (unit.frame, unit.csum_blank, unit.gso_type, unit.gso_size) == (frame, True, 1, 1460)
        world.back.send(Unit(frame, csum_blank=True, validated=True, gso_type=1, gso_size=1460), world.now)
        world.settle()
        assert world.got.frames == [(frame, const.CSUM_PARTIAL, 1460)]
        world.machine.books.assert_clean()


def test_super_segments_of_ipv6_come_up_as_one_unit():
    with FrontWorld() as world:
        frame = tcp_frame(bytes(30000), version=6)
        world.back.send(Unit(frame, csum_blank=True, validated=True, gso_type=2, gso_size=1440), world.now)
        world.settle()
        assert world.got.frames == [(frame, const.CSUM_PARTIAL, 1440)]


def test_what_is_known_of_a_checksum_comes_up_with_the_frame():
    with FrontWorld() as world:
        for unit in (blank(b"blank"), Unit(whole(b"verified"), validated=True), Unit(whole(b"unknown"))):
            world.back.send(unit, world.now)
        world.settle()
        assert [csum for _, csum, _ in world.got.frames] == [const.CSUM_PARTIAL, const.CSUM_GOOD, const.CSUM_UNKNOWN]
        world.send(tcp_frame(b"blank"), csum=TCP)
        world.send(whole(b"complete"))
        world.settle()
        assert [unit.csum_blank for unit in world.at_back] == [True, False]


def test_without_offload_the_back_end_gives_and_gets_single_frames_with_complete_checksums():
    with FrontWorld(offload="no") as world:
        frame = tcp_frame(random.Random(1).randbytes(5000))
        world.send(frame, csum=TCP, gso=1460)
        unit = Unit(frame, csum_blank=True, validated=True, gso_type=1, gso_size=1460)
        world.back.send(unit, world.now)
        world.settle()
        assert but_for_the_id(unit.frame for unit in world.at_back) == but_for_the_id(segments(unit))
        assert [unit for unit in world.at_back if unit.csum_blank or unit.gso_size] == []
        assert [frame for frame, _, _ in world.got.frames] == list(segments(unit))
        assert {(csum, gso) for _, csum, gso in world.got.frames} <= {(const.CSUM_UNKNOWN, 0), (const.CSUM_GOOD, 0)}
        assert world.front.mib.OutCut == 4


def test_what_the_back_end_does_not_cut_is_cut_here_and_its_sums_left_to_it():
    with FrontWorld(offers=offers(feature_gso_tcpv4="0")) as world:
        frame = tcp_frame(random.Random(1).randbytes(5000))
        world.send(frame, csum=TCP, gso=1460)
        world.settle()
        came = [filled_in(unit.frame) for unit in world.at_back]
        assert but_for_the_id(came) == but_for_the_id(segments(Unit(frame, gso_size=1460)))
        assert {unit.csum_blank for unit in world.at_back} == {True}


def test_a_super_segment_with_cwr_is_cut_here():
    """The first segment alone may keep it, and a GSO extra has no word for that."""
    with FrontWorld() as world:
        world.send(tcp_frame(bytes(4000), flags=0x90), csum=TCP, gso=1460)
        world.settle()
        assert [unit.frame[47] for unit in world.at_back] == [0x90, 0x10, 0x10]


def test_a_back_end_without_scatter_gather_gets_a_page_at_most():
    with FrontWorld(offers=offers(feature_sg="0"), mtu=9000) as world:
        world.send(whole(bytes(4096 - 54)))
        world.send(whole(bytes(4097 - 54)))
        world.send(tcp_frame(bytes(5000)), csum=TCP, gso=1460)
        world.settle()
        assert [len(unit.frame) for unit in world.at_back] == [4096, 1514, 1514, 1514, 5000 + 54 * 4 - 3 * 1514]
        assert world.front.mib.OutTooLong == 1
        assert world.front.mtu == 9000


def test_frames_wait_for_room_in_their_order_and_what_is_too_much_is_counted(monkeypatch):
    monkeypatch.setattr(queue, "WAIT_MOST", 1 << 20)
    with FrontWorld() as world:
        frames = [whole(b"%05d" % i + bytes(3000)) for i in range(700)]
        for frame in frames:
            world.send(frame)
        mib = world.front.mib
        assert mib.OutWaited == 700 - 256 - mib.OutNoRoom
        assert mib.OutNoRoom > 0
        world.settle()
        assert [unit.frame for unit in world.at_back] == frames[: 700 - mib.OutNoRoom]
        world.machine.books.assert_clean()


@pytest.mark.parametrize("pieces", [1, 5])
def test_a_super_segment_that_waits_is_the_one_that_goes(pieces, seed):
    """Bytes that nobody can change are held where they are; others are copied."""
    rng = random.Random(seed)
    with FrontWorld() as world:
        texts = [bytearray(tcp_frame(rng.randbytes(rng.randrange(40000, 60000)))) for _ in range(40)]
        frames = [bytes(text) for text in texts]
        for text, frame in zip(texts, frames, strict=True):
            world.send(frame if rng.random() < 0.5 else text, csum=TCP, gso=1460, pieces=pieces)
            text[54:] = bytes(len(text) - 54)
        assert world.front.mib.OutWaited >= 40 - 256 // 11
        world.settle()
        assert [unit.frame for unit in world.at_back] == frames


@pytest.mark.parametrize("queues", [2, 4])
def test_a_flow_comes_back_by_the_queue_by_which_it_goes(queues):
    with FrontWorld(queues=queues, offers=Offers(queues=4)) as world:
        assert world.front.steered
        assert "steering" in world.events()
        used = set()
        for source in range(1000, 1040):
            back = tcp_frame(b"x", source=source)
            there = back[:26] + back[30:34] + back[26:30] + back[36:38] + back[34:36] + back[38:]
            for queue in world.front.queues:
                assert queue.tx.pushed - queue.tx.rsp_cons >= 0
            before = [queue.tx.pushed for queue in world.front.queues]
            world.send(there, csum=TCP)
            out = [i for i, queue in enumerate(world.front.queues) if queue.tx.pushed != before[i]]
            before = [queue.rx.rsp_cons for queue in world.front.queues]
            world.back.send(Unit(back, csum_blank=True), world.now)
            world.settle()
            came = [i for i, queue in enumerate(world.front.queues) if queue.rx.rsp_cons != before[i]]
            assert out == came
            used.update(out)
        assert len(used) == queues


# -- the connection --------------------------------------------------------------------------------------------------------------


def test_a_back_end_with_fewer_queues_gets_as_many_as_it_has():
    with FrontWorld(queues=8) as world:
        assert len(world.front.queues) == 2
        assert world.events() == ["short", "connected", "steering"]


def test_what_is_sent_while_there_is_no_connection_is_counted():
    with FrontWorld(hotplug=False) as world:
        assert world.states() == ("4", "2")
        world.send(whole(b"too early"))
        assert world.front.mib.OutDown == 1
        world.later(11 * SECOND)
        (event,) = world.front.events
        assert "hotplug" in event.sentence
        toolstack.hotplug(world.tools.store, world.vif)
        world.settle()
        world.send(whole(b"in time"))
        world.settle()
        assert [unit.frame for unit in world.at_back] == [whole(b"in time")]
        assert world.front.mib.OutDown == 1


def test_a_back_end_that_comes_later_is_waited_for():
    with FrontWorld(back=False, start=False) as world:
        world.start_front()
        world.settle()
        assert world.phase() is Phase.WAITING
        world.start_back()
        world.settle()
        assert world.states() == ("4", "4")


def test_closing_is_in_order_and_gives_everything_back():
    with FrontWorld(queues=2) as world:
        world.front._frontend.close(world.now)
        with pytest.raises(OSError, match="removed"):
            world.settle()
        assert world.states() == ("6", "6")
        world.machine.books.assert_clean()


@pytest.mark.parametrize("queues", [1, 2])
def test_after_our_own_crash_the_vif_is_closed_and_opened_again(queues):
    with FrontWorld(queues=2) as world:
        world.machine.kill(world.guest)
        world.guest = world.machine.domain(1)
        assert world.states() == ("4", "4")
        world.start_front(queues=queues)
        world.settle()
        assert world.states() == ("4", "4")
        assert world.events()[0] == "found"
        assert (world.tools.store.read(f"{world.vif.frontend}/multi-queue-num-queues") is None) == (queues == 1)
        world.send(whole(b"again"))
        world.settle()
        assert [unit.frame for unit in world.at_back] == [whole(b"again")]


@pytest.mark.parametrize("state", ["5", "6"])
def test_a_vif_that_somebody_has_left_half_closed_is_taken_up(state):
    with FrontWorld(start=False) as world:
        world.settle()
        world.guest.store.write("device/vif/0/state", state)
        world.settle()
        world.start_front()
        world.settle()
        assert world.states() == ("4", "4")


def test_a_crash_before_the_hotplug_script_has_run_costs_a_time_limit():
    with FrontWorld(hotplug=False) as world:
        world.machine.kill(world.guest)
        world.guest = world.machine.domain(1)
        world.start_front()
        world.settle()
        assert world.phase() is Phase.CLOSING, "the back end shows nothing until its script has run"
        world.later(6 * SECOND)
        toolstack.hotplug(world.tools.store, world.vif)
        world.later(20 * SECOND)
        assert world.states() == ("4", "4")


def test_a_back_end_that_closes_and_comes_again_is_connected_again():
    with FrontWorld() as world:
        world.back.close()
        world.host.close()
        world.back = world.host = None
        world.settle()
        assert world.front.mib.Losses == 1
        assert world.phase() is not Phase.CONNECTED
        world.start_back()
        world.later(10 * SECOND)
        assert world.states() == ("4", "4")
        assert world.events() == ["connected", "lost", "connected"]
        world.send(whole(b"again"))
        world.settle()
        assert [unit.frame for unit in world.at_back] == [whole(b"again")]


def test_a_back_end_that_is_killed_and_restarted_is_connected_again():
    with FrontWorld() as world:
        world.machine.kill(world.host)
        world.back = world.host = None
        world.tools.store.write(f"{world.vif.backend}/state", "1")  # as its driver does when it finds the vif
        world.settle()
        world.start_back()
        world.later(10 * SECOND)
        assert world.states() == ("4", "4")
        assert world.front.mib.Losses == 1


def test_folders_that_disappear_and_return_are_another_beginning():
    with FrontWorld() as world:
        toolstack.remove_vif(world.tools.store, world.vif)
        world.settle()
        assert world.phase() is Phase.ABSENT
        assert not list(world.machine.books.of(1, "grant"))
        assert not list(world.machine.books.of(1, "port"))
        world.host.close()
        world.back = world.host = None
        toolstack.add_vif(world.tools.store, 1)
        world.start_back()
        world.later(SECOND)
        assert world.states() == ("4", "4")


def test_what_the_toolstack_removes_is_gone_for_good():
    with FrontWorld() as world:
        toolstack.unplug(world.tools.store, world.vif)
        with pytest.raises(OSError, match="was removed"):
            world.later(10 * SECOND)
        assert world.phase() is Phase.GONE
        assert world.events() == ["connected", "removed"]
        assert not list(world.machine.books.of(1))


def test_no_carrier_is_said_and_frames_sent_meanwhile_are_counted():
    with FrontWorld() as world:
        for up in (False, True, False):
            world.back.set_carrier(up=up)
            world.settle()
            assert world.front.up is up
        world.send(whole(b"x"))
        assert world.front.mib.OutDown == 1
        assert world.front.mib.CarrierLost == 2
        assert world.events() == ["connected", "carrier", "carrier", "carrier"]


def test_a_machine_with_few_pages_is_gone_on_with_and_says_so_once():
    with FrontWorld(page_limit=2 + 64 + 17 + 5) as world:
        assert world.states() == ("4", "4")
        frames = [whole(b"%d" % i) for i in range(60)]
        for frame in frames:
            world.send(frame)
        world.settle()
        assert [unit.frame for unit in world.at_back] == frames
        assert world.events().count("short") == 1
        assert world.front.mib.PagesRefused >= 1


def test_a_machine_with_no_pages_is_a_sentence_and_nothing_is_kept():
    with FrontWorld(page_limit=20) as world:
        assert "refused" in world.events()
        assert "/sys/module/xen_gntalloc/parameters/limit" in world.front.events[0].sentence
        assert not list(world.machine.books.of(1, "grant"))
        world.machine.page_limit = 1024
        world.later(20 * SECOND)
        assert world.states() == ("4", "4")


def test_an_interface_that_is_not_there_is_an_error_that_says_which_are():
    with FrontWorld(start=False) as world:
        from netstack_xen.front import NoVif, Xen

        with pytest.raises(NoVif, match=r"no network interface 3 .* there is xen:0"):
            Xen(world.guest, 3)


def test_headers_of_the_oracle_are_sane():
    assert headers(tcp_frame(b"abc")).transport == 34


# -- multicast groups ------------------------------------------------------------------------------------------------------------

MDNS, ALL = Mac.parse("01:00:5e:00:00:fb"), Mac.parse("01:00:5e:00:00:01")


def multicast(group: Mac) -> Unit:
    return Unit(bytes(group) + bytes(6) + b"\x08\x00" + bytes(46))


def test_all_multicasts_come_unless_groups_are_chosen():
    with FrontWorld() as world:
        world.back.send(multicast(MDNS), world.now)
        world.settle()
        assert len(world.got.frames) == 1
        with pytest.raises(UsageError, match="all multicasts"):
            world.front.join(MDNS)


def test_chosen_groups_are_told_to_the_back_end_and_to_each_next_one():
    with FrontWorld(groups=[ALL]) as world:
        world.front.join(MDNS)
        world.settle()
        assert set(world.back.multicast) == {bytes(ALL), bytes(MDNS)}
        for group in (ALL, MDNS, Mac.parse("01:00:5e:00:00:05")):
            world.back.send(multicast(group), world.now)
        world.settle()
        assert [frame[:6] for frame, _, _ in world.got.frames] == [bytes(ALL), bytes(MDNS)]
        world.front.leave(ALL)
        world.settle()
        assert world.back.multicast == [bytes(MDNS)]
        world.back.close()
        world.host.close()
        world.start_back()
        world.later(10 * SECOND)
        assert world.back.multicast == [bytes(MDNS)]
        assert not world.front.mib.OutErrors
        for i in range(63):
            world.front.join(Mac(0x01005E000100 + i))
        world.settle()
        assert len(world.back.multicast) == 64
        with pytest.raises(UsageError, match="too many"):
            world.front.join(Mac(0x01005E000200))
        with pytest.raises(UsageError, match="no group"):
            world.front.join(Mac(0x020000000001))
