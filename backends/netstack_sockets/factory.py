"""The kernel's sockets from text: the entry point `posix` of the group `netstack.stack`."""

from collections.abc import Mapping

from netstack.errors import UsageError
from netstack.spec import check_options

from .net import KernelNet

OPTIONS = {"address": "127.0.0.1"}


def open_posix(name: str, options: Mapping[str, str]) -> KernelNet:
    """`posix:`, or `posix:?address=127.0.0.1`; see `KernelNet`. To be entered with `async with`. Raises UsageError."""
    check_options("posix", options, OPTIONS)
    if name:
        raise UsageError(f"posix is the kernel itself and has no device {name!r}: write posix: or posix:?address=127.0.0.1")
    return KernelNet(options.get("address", ""))
