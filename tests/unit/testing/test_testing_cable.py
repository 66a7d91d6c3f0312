"""A bad cable between two devices, on a virtual clock."""

import io
import random

import pytest

from netstack.errors import UsageError
from netstack.instant import MILLISECOND
from netstack.netif import FrameNetif
from netstack.pcap import Decoder
from netstack.testing.cable import HELD_LIMIT, Cable
from netstack.testing.capture import CaptureFile
from netstack.testing.clock import VirtualClock
from netstack.testing.faults import Faults
from netstack.testing.netifs import Probe
from netstack.testing.wire import Wire


class World:
    """Two hosts without a stack, each at the far end of a device; the cable joins the near ends."""

    def __init__(self, faults="", back=None, capture=None):
        self.clock = VirtualClock()
        self.probes = []
        near = []
        for name in ("a", "b"):
            segment = Wire()
            near.append(segment.port(f"near {name}", promiscuous=True))
            self.probes.append(Probe(segment.port(f"host {name}", promiscuous=True)))
            self.clock.add(self.probes[-1], name)
        self.a, self.b = self.probes
        back = None if back is None else Faults.parse(back)
        self.cable = Cable(*near, Faults.parse(faults), back, capture)
        self.clock.add(self.cable, "cable")


def frame(n, size=60):
    return n.to_bytes(4, "big").rjust(14, b"\2") + bytes(size - 14)


def test_frames_cross_unchanged_in_both_directions_and_no_broadcast_returns():
    world = World()
    world.a.send(b"\xff" * 6 + b"\2" * 54, 0)
    world.b.send(frame(1), 0)
    world.clock.advance(0)
    assert world.b.take() == [b"\xff" * 6 + b"\2" * 54]
    assert world.a.take() == [frame(1)]


def test_each_direction_has_its_own_delay():
    world = World("delay=20ms", back="delay=5ms")
    world.a.send(frame(1), 0)
    world.b.send(frame(2), 0)
    world.clock.advance(50 * MILLISECOND)
    assert world.b.frames == [(20 * MILLISECOND, frame(1))]
    assert world.a.frames == [(5 * MILLISECOND, frame(2))]
    assert world.cable.late == 0


def test_each_direction_draws_its_own_losses_and_the_seed_repeats_them(seed):
    def arrivals():
        world = World(f"loss=30%,seed={seed}")
        for n in range(300):
            world.a.send(frame(n), 0)
            world.b.send(frame(n), 0)
        world.clock.advance(0)
        return world.b.take(), world.a.take(), world.cable

    there, back, cable = arrivals()
    assert 120 < len(there) < 290 and 120 < len(back) < 290
    assert there != back
    assert cable.there.line.mib.Lost == 300 - len(there)
    assert (there, back) == arrivals()[:2]


def test_a_frame_held_back_is_overtaken():
    world = World("reorder=50%,reorder_by=3ms,delay=10ms,seed=2")
    for n in range(20):
        world.a.send(frame(n), 0)
    world.clock.advance(100 * MILLISECOND)
    held = world.cable.there.line.mib.Reordered
    assert 0 < held < 20
    assert [when for when, _ in world.b.frames] == [10 * MILLISECOND] * (20 - held) + [13 * MILLISECOND] * held
    assert sorted(world.b.take()) == [frame(n) for n in range(20)]


def test_a_batch_longer_than_the_crank_takes_at_once_crosses_whole():
    world = World("delay=1ms")
    frames = [frame(n) for n in range(1000)]
    random.Random(1).shuffle(frames)
    for one in frames:
        world.a.send(one, 0)
    world.clock.advance(MILLISECOND)
    assert world.b.take() == frames


def test_a_late_turn_is_remembered():
    world = World("delay=1ms")
    world.a.send(frame(1), 0)
    world.cable.run(0)
    world.cable.run(5 * MILLISECOND)
    assert world.cable.late == 4 * MILLISECOND


def test_an_endless_delay_holds_a_bounded_number_of_frames():
    world = World("delay=1000s")
    for n in range(HELD_LIMIT + 10):
        world.cable.there.on_frame(frame(n), 0)
    assert world.cable.there.line.mib.InboxFull == 10


def test_the_capture_says_what_befell_a_frame():
    file = io.BytesIO()
    world = World("loss=100%", capture=CaptureFile(file))
    world.a.send(frame(1), 0)
    world.clock.advance(0)
    (packet,) = Decoder().feed(file.getvalue())
    assert packet.data == frame(1)
    assert packet.comment == "dropped: lost on the way"


def test_devices_that_speak_differently_are_not_joined():
    point_to_point = Wire(ethernet=False).port("tun")
    with pytest.raises(UsageError, match="join two taps, or two tuns"):
        Cable(Wire().port("tap"), point_to_point, Faults())


def test_devices_with_offloads_are_not_joined():
    class Offloading(FrameNetif):
        offload = 1

    with pytest.raises(UsageError, match="open it without offload"):
        Cable(Offloading("tap0", None, 1500), FrameNetif("tap1", None, 1500), Faults())
