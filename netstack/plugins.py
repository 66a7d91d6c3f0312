"""Finds back ends: `"tap:tap0?mtu=9000"` becomes a Netif, `"posix:"` a stack, made by code that this package does not know.

A device is a function `factory(name, options) -> Netif`. Whoever ships one registers it as an entry point of the group
`netstack.netif`; whoever is writing one names it in full, `my.package:factory:name` (see `spec.py`). It gets the options
that the stack has not taken off, each a text, and refuses those that it does not know: `spec.check_options`.

A stack is not made of our layers and has no device: a function `factory(name, options)` in the group `netstack.stack`. What it
gives is entered with `async with`, and is a StreamStack or a DatagramStack, or both, with more of the verbs of a `Net` where it
can; leaving it ends all that was started through it. It gets all the options. Named in full, it is a class with `__aenter__`:
that is how it is told from a device.

Nothing is loaded before it is asked for: reading the metadata of all installed distributions takes longer than importing
this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from .errors import UsageError
from .signatures import Netif
from .spec import Spec as Spec

GROUP = "netstack.netif"
STACK_GROUP = "netstack.stack"
Factory = Callable[[str, Mapping[str, str]], Netif]
StackFactory = Callable[[str, Mapping[str, str]], AbstractAsyncContextManager[Any]]

# Ours come first: the metadata need not be read for them, a checkout works without installation, and no other
# distribution can put itself in their place.
BUILT_IN = {
    "tap": "netstack_tuntap:open_tap",
    "tun": "netstack_tuntap:open_tun",
    "pcap": "netstack_pcap:open_pcap",
    "qemu": "netstack_qemu:open_qemu",
    "packet": "netstack_packet:open_packet",
    "xen": "netstack_xen:open_xen",
    "xenback": "netstack_xen:open_xenback",
    "loopback": "netstack.loopback:open_loopback",
}
BUILT_IN_STACKS = {
    "posix": "netstack_sockets:open_posix",
    "vchan": "netstack_xen.vchan:open_vchan",
}


def open_netif(spec: Spec | str) -> Netif:
    """The device that `spec` describes. Raises UsageError, and what the factory raises: OSErrors when the world says no."""
    if isinstance(spec, str):
        spec = Spec.parse(spec)
    return find(spec.kind)(spec.name, _once(spec))


def open_stack(spec: Spec) -> AbstractAsyncContextManager[Any] | None:
    """The stack that `spec` describes, to be entered; None where it describes a device, or nothing that is known. Raises
    UsageError, and what the factory raises."""
    factory = find_stack(spec.kind)
    return None if factory is None else factory(spec.name, _once(spec))


def _once(spec: Spec) -> dict[str, str]:
    """The options of `spec` for a factory."""
    options: dict[str, str] = {}
    for key, value in spec.options:
        if key in options:
            raise UsageError(f"{key} stands twice in the options of {spec.kind}:{spec.name}: write it once")
        options[key] = value
    return options


def find(kind: str) -> Factory:
    """The device's factory called `kind`: built in, registered, or written in full as `my.package:factory`. Raises UsageError."""
    factory: Factory | None = _find(kind, GROUP, BUILT_IN)
    if factory is None:
        if find_stack(kind) is not None:
            raise UsageError(f"{kind} is a stack of its own and no device, so it carries no frames: netstack.open takes it")
        devices = ", ".join(sorted({*BUILT_IN, *registered(GROUP)}))
        stacks = ", ".join(sorted({*BUILT_IN_STACKS, *registered(STACK_GROUP)}))
        sentence = f"there is no kind of device called {kind!r}: there are {devices}, and without a device {stacks}"
        raise UsageError(f"{sentence}, or write my.package:factory:{kind}")
    return factory


def find_stack(kind: str) -> StackFactory | None:
    """The stack's factory called `kind`, as `find`; None where there is none, or what is there makes devices."""
    factory: StackFactory | None
    if kind in BUILT_IN:
        return None
    factory = _find(kind, STACK_GROUP, BUILT_IN_STACKS)
    return None if ":" in kind and not hasattr(factory, "__aenter__") else factory


def _find(kind: str, group: str, built_in: Mapping[str, str]) -> Any:
    if ":" in kind:
        return load(kind, kind)
    if kind in built_in:
        _find_checkout(built_in[kind].partition(":")[0].partition(".")[0])
        return load(kind, built_in[kind])
    others = registered(group)
    return load(kind, others[kind]) if kind in others else None


def registered(group: str) -> dict[str, str]:
    """Name and `module:object` of every entry point of a group."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=group)}


def load(kind: str, where: str) -> Any:
    """The object `module:name`; `kind` is what the user called it. Raises UsageError."""
    from importlib import import_module

    module, _, name = where.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:  # ValueError: no module's name at all
        raise UsageError(f"{kind} can't be loaded from {where}: {error}") from error


def _find_checkout(module: str) -> None:
    """In a checkout that was never installed, the back ends lie in a folder beside this package: put it on the path, at its end.
    Only that folder is looked into: the whole path is searched by whoever imports `module`, and once is enough of a start."""
    import sys
    from importlib.machinery import PathFinder

    backends = __file__.rpartition("/netstack/")[0] + "/backends"
    if module not in sys.modules and backends not in sys.path and PathFinder.find_spec(module, [backends]) is not None:
        sys.path.append(backends)
