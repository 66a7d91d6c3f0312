"""The offloads of tap and tun: what the kernel is asked, what it takes."""

from collections.abc import Callable

from netstack import const
from netstack.device.offloads import TSO

# linux/if_tun.h
TUN_F_CSUM = 0x01
TUN_F_TSO4 = 0x02
TUN_F_TSO6 = 0x04
TUN_F_TSO_ECN = 0x08
TUN_F_USO4 = 0x20
TUN_F_USO6 = 0x40  # the kernel takes the two together or neither

KERNEL = {
    const.OFFLOAD_CSUM: TUN_F_CSUM,
    const.OFFLOAD_TSO4: TUN_F_TSO4,
    const.OFFLOAD_TSO6: TUN_F_TSO6,
    const.OFFLOAD_TSO_ECN: TUN_F_TSO_ECN,
    const.OFFLOAD_USO: TUN_F_USO4 | TUN_F_USO6,
}


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
