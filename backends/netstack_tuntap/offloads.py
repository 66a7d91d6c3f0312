"""Which offloads a tap or tun device shall have: what a user says, what the kernel is asked, what it takes.

Kernels have had bugs here, and other things stand in for one: so each can be had or left out by name. Without a word, a device
gets all that the kernel takes; what it refuses is left out, and nothing fails.
"""

from collections.abc import Callable
from typing import NamedTuple

from netstack import const
from netstack.errors import UsageError

# linux/if_tun.h
TUN_F_CSUM = 0x01
TUN_F_TSO4 = 0x02
TUN_F_TSO6 = 0x04
TUN_F_TSO_ECN = 0x08
TUN_F_USO4 = 0x20
TUN_F_USO6 = 0x40  # the kernel takes the two together or neither

NAMES = {
    "csum": const.OFFLOAD_CSUM,
    "tso4": const.OFFLOAD_TSO4,
    "tso6": const.OFFLOAD_TSO6,
    "tso-ecn": const.OFFLOAD_TSO_ECN,
    "uso": const.OFFLOAD_USO,
}
KERNEL = {
    const.OFFLOAD_CSUM: TUN_F_CSUM,
    const.OFFLOAD_TSO4: TUN_F_TSO4,
    const.OFFLOAD_TSO6: TUN_F_TSO6,
    const.OFFLOAD_TSO_ECN: TUN_F_TSO_ECN,
    const.OFFLOAD_USO: TUN_F_USO4 | TUN_F_USO6,
}
TSO = const.OFFLOAD_TSO4 | const.OFFLOAD_TSO6
ALL = sum(KERNEL)


class Wanted(NamedTuple):
    """OFFLOAD_* flags, and whether the user named them: then nothing may quietly do without."""

    flags: int
    demanded: bool


NONE = Wanted(0, False)


def read(said: "bool | str | None") -> Wanted:
    """`None` for whatever is there; a bool, or what stands behind `offload=` in a SPEC. Raises UsageError."""
    if said is None:
        return Wanted(ALL, False)
    word = str(said).lower()
    if word in ("yes", "on", "true", "1"):
        return Wanted(ALL, True)
    if word in ("no", "off", "false", "0"):
        return NONE
    flags = 0
    for name in word.split(","):
        if name not in NAMES:
            raise UsageError(f"offload={said} is not possible: write yes, no, or some of {','.join(NAMES)}")
        flags |= NAMES[name]
    if not flags & const.OFFLOAD_CSUM:
        raise UsageError(f"offload={said} is not possible: a cut segment needs its checksum, so write offload=csum,{word}")
    if flags & const.OFFLOAD_TSO_ECN and not flags & TSO:
        raise UsageError(f"offload={said} is not possible: tso-ecn is a kind of tso4 and tso6, so name one of them as well")
    return Wanted(flags, True)


def show(flags: int) -> str:
    """In the form that `read` takes: "csum,tso4", or "no"."""
    return ",".join(name for name, flag in NAMES.items() if flags & flag) or "no"


def of_kernel(flags: int) -> int:
    """TUN_F_* flags."""
    return sum(theirs for ours, theirs in KERNEL.items() if flags & ours)


def negotiate(wanted: int, takes: Callable[[int], bool]) -> int:
    """Those of `wanted` that the kernel takes: all at once, or else one after another. `takes` sets what it is given."""
    if wanted and takes(wanted):
        return wanted
    have = 0
    for flag in KERNEL:
        if flag & wanted and (flag != const.OFFLOAD_TSO_ECN or have & TSO) and takes(have | flag):
            have |= flag
    takes(have)  # a refused question may have left anything
    return have
