"""User and network namespaces: a place where an unprivileged process may make devices, seen by nobody else.

`python -m netstack.cli.namespace` is the probe that `netstack doctor` runs in a process of its own: it enters a throw-away
namespace, makes a tap there, and prints what came of it as JSON.
"""

import ctypes
import json
import os
import sys

from ..errors import UsageError

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CAP_NET_ADMIN = 12


def may_configure_network() -> bool:
    """Does this process have CAP_NET_ADMIN in its network namespace?"""
    try:
        with open("/proc/self/status") as status:
            effective = next(line for line in status if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(effective.split()[1], 16) >> CAP_NET_ADMIN & 1)


def unshare(flags: int) -> None:
    """unshare(2); in Python's `os` only since 3.12. Raises OSError."""
    if sys.version_info >= (3, 12):
        os.unshare(flags)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter_rootless() -> None:
    """Move this process, which must have one thread, into a user and a network namespace of its own, as root there.

    Raises OSError where the system does not allow it.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
    write("/proc/self/uid_map", f"0 {uid} 1")
    # without this an unprivileged process could use a group mapping to shed a group that denies it something
    write("/proc/self/setgroups", "deny")
    write("/proc/self/gid_map", f"0 {gid} 1")


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def probe() -> dict[str, str]:
    """Enter a throw-away namespace and make a tap. Keys "namespace", "tap", "offload": an empty value is "works"."""
    from .. import const
    from ..plugins import open_netif

    result = {"namespace": "not tried", "tap": "not tried", "offload": "not tried"}
    try:
        if may_configure_network() and "--user" not in sys.argv:
            unshare(CLONE_NEWNET)
        else:
            enter_rootless()
        result["namespace"] = ""
        netif = open_netif("tap:probe0?host=10.79.0.1/24")
        result["tap"] = ""
        wanted = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4
        takes = getattr(netif, "takes", 0)  # not `offload`: that counts what is done here in the device's stead
        result["offload"] = "" if takes & wanted == wanted else f"the kernel takes only {takes:#x} of {wanted:#x}"
        netif.close()
    except (OSError, UsageError) as error:
        first = next(key for key, value in result.items() if value == "not tried")
        result[first] = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return result


if __name__ == "__main__":
    print(json.dumps(probe()))
