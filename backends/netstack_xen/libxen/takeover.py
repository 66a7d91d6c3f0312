"""Taking a virtual interface over from the kernel's own netfront, through /sys.

A kernel that has xen-netfront connects each vif of its domain before any program runs. It lets go of one when its driver is unbound
from that device, and does not come back by itself. The vif is then as after a close, and is connected like one found in any state.
"""

import errno
import os
from pathlib import Path

DEVICES = Path("/sys/bus/xen/devices")


def held_by(handle: int, devices: Path = DEVICES) -> "str | None":
    """The kernel's driver that has vif `handle` of this domain, None where none has."""
    try:
        return os.path.basename(os.readlink(devices / f"vif-{handle}" / "driver"))
    except FileNotFoundError:
        return None


def let_go(handle: int, devices: Path = DEVICES) -> bool:
    """Make the kernel's driver let go of vif `handle`, which takes it a round trip with the backend. False where none has it.

    Raises OSError: EACCES for who isn't root."""
    try:
        (devices / f"vif-{handle}" / "driver" / "unbind").write_text(f"vif-{handle}")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return False
        raise
    return True
