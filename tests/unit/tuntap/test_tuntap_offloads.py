"""Which offloads a device gets, and how one does without them again."""

import os
import socket
from collections.abc import Iterator

import pytest
from netstack_tuntap import Tap
from netstack_tuntap import device as kernels
from netstack_tuntap.device import Handle

from netstack import const
from netstack.device.face import ALL, SOFTWARE, Wanted, read_offload, show_offload
from netstack.errors import UsageError
from netstack.netif import carry_plain
from netstack.testing.cable import Cable
from netstack.testing.faults import Faults
from netstack.testing.netifs import Capture, FaultInjector, Probe, Trace
from netstack.testing.wire import Wire

CSUM, TSO4, TSO6, ECN, USO = (getattr(const, f"OFFLOAD_{name}") for name in ("CSUM", "TSO4", "TSO6", "TSO_ECN", "USO"))


@pytest.mark.parametrize(
    ("said", "flags", "demanded"),
    [
        (None, ALL, False),
        (True, ALL, True),
        ("yes", ALL, True),
        (False, 0, False),
        ("no", 0, False),
        ("csum", CSUM, True),
        ("csum,tso4", CSUM | TSO4, True),
        ("uso,CSUM", CSUM | USO, True),
        ("csum,tso6,tso-ecn", CSUM | TSO6 | ECN, True),
    ],
)
def test_what_a_user_says(said: "bool | str | None", flags: int, demanded: bool) -> None:
    assert read_offload(said) == Wanted(flags, demanded)


def test_what_is_shown_can_be_said() -> None:
    assert show_offload(ALL) == "csum,tso4,tso6,tso-ecn,uso"
    assert show_offload(0) == "no"
    assert read_offload(show_offload(CSUM | USO)).flags == CSUM | USO


def test_the_numbers_are_those_of_linux_if_tun_h() -> None:
    assert kernels.of_kernel(ALL) == 0x6F
    assert kernels.of_kernel(CSUM | TSO4) == 3


class Kernel:
    """Takes what it knows, or nothing of it: and TSO only with checksums, ECN only with TSO, as Linux does."""

    def __init__(self, knows: int) -> None:
        self.knows = knows
        self.set = 0
        self.asked = 0

    def takes(self, flags: int) -> bool:
        self.asked += 1
        if flags & ~self.knows or (flags and not flags & CSUM) or (flags & ECN and not flags & (TSO4 | TSO6)):
            return False
        self.set = flags
        return True


KNOWN = [0, TSO4, CSUM, CSUM | TSO4, CSUM | TSO4 | TSO6 | ECN, CSUM | ECN, CSUM | TSO6 | USO, ALL]


@pytest.mark.parametrize("knows", KNOWN)
def test_what_the_kernel_refuses_is_left_out(knows: int) -> None:
    kernel = Kernel(knows)
    have = kernels.negotiate(ALL, kernel.takes)
    assert have == kernel.set
    usable = knows & ALL if knows & CSUM else 0
    assert have == (usable if usable & (TSO4 | TSO6) else usable & ~ECN)


def test_one_question_is_enough_where_all_is_taken() -> None:
    kernel = Kernel(ALL)
    assert kernels.negotiate(CSUM | TSO4, kernel.takes) == CSUM | TSO4
    assert kernel.asked == 1


# -- and without ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def near() -> Iterator[int]:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield a.fileno()
    a.close()
    b.close()


def tap(near: int, takes: int, said: "bool | str | None" = None, gso: bool = True) -> Tap:
    device = Tap.__new__(Tap)
    device._take(Handle(os.dup(near), "tap7", 1500, b"", 12 if takes else 0, takes, None), read_offload(said), True, gso)
    device._address(None)
    return device


@pytest.mark.parametrize("takes", [0, CSUM, CSUM | TSO4])
def test_what_the_device_does_not_do_is_done_here(near: int, takes: int) -> None:
    with tap(near, takes) as device:
        gathers = const.OFFLOAD_GATHER if takes == CSUM | TSO4 else 0  # what is cut here must be in one piece
        assert device.offload == takes | SOFTWARE | gathers
        assert (device.gatherer is None) == bool(takes)
    with tap(near, takes, gso=False) as device:
        assert device.offload == takes | gathers


@pytest.mark.parametrize("takes", [0, CSUM | TSO4])
def test_whoever_needs_single_frames_gets_them(near: int, takes: int) -> None:
    wire = Wire()
    for sit in (
        lambda device: FaultInjector(device, Faults()),
        lambda device: FaultInjector(Trace(device), Faults()),
        lambda device: Probe(device),
        lambda device: Cable(device, wire.port("far"), Faults()),
    ):
        with tap(near, takes) as device:
            sit(device)
            assert (device.offload, device.takes, device.gatherer) == (0, 0, None)


def test_a_capture_leaves_offloads_as_they_are(near: int, tmp_path: object) -> None:
    with tap(near, CSUM) as device:
        capture = Capture(device, f"{tmp_path}/all.pcapng")
        assert capture.offload == CSUM | SOFTWARE
        capture.close()


def test_who_demands_both_is_told(near: int) -> None:
    sentence = r"tap7 was opened with offload=csum,tso4, .* leave offload out"
    with tap(near, CSUM | TSO4, "csum,tso4") as device, pytest.raises(UsageError, match=sentence):
        FaultInjector(device, Faults())
    with tap(near, 0, "csum,tso4") as device:  # the kernel took none of it, so there is nothing to give up
        carry_plain(device)
        assert device.offload == 0
