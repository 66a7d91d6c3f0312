"""Finds back ends: `"tap:tap0?mtu=9000"` becomes a Netif, made by code that this package does not know.

A back end is a function `factory(name, options) -> Netif`. Whoever ships one registers it as an entry point of the group
`netstack.netif`; whoever is writing one names it in full, `my.package:factory:name` (see `spec.py`). It gets the options
that the stack has not taken off, each a text, and refuses those that it does not know: `spec.check_options`.

Nothing is loaded before it is asked for: reading the metadata of all installed distributions takes longer than importing
this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import UsageError
from .signatures import Netif
from .spec import Spec as Spec

GROUP = "netstack.netif"
Factory = Callable[[str, Mapping[str, str]], Netif]

# Ours come first: the metadata need not be read for them, a checkout works without installation, and no other
# distribution can put itself in their place.
BUILT_IN = {
    "tap": "netstack_tuntap:open_tap",
    "tun": "netstack_tuntap:open_tun",
    "pcap": "netstack_pcap:open_pcap",
    "loopback": "netstack.loopback:open_loopback",
}


def open_netif(spec: Spec | str) -> Netif:
    """The device that `spec` describes. Raises UsageError, and what the factory raises: OSErrors when the world says no."""
    if isinstance(spec, str):
        spec = Spec.parse(spec)
    options: dict[str, str] = {}
    for key, value in spec.options:
        if key in options:
            raise UsageError(f"{key} stands twice in the options of {spec.kind}:{spec.name}: write it once")
        options[key] = value
    return find(spec.kind)(spec.name, options)


def find(kind: str) -> Factory:
    """The factory called `kind`: built in, registered, or written in full as `my.package:factory`. Raises UsageError."""
    if ":" in kind:
        return _factory(kind, kind)
    if kind in BUILT_IN:
        _find_checkout(BUILT_IN[kind].partition(":")[0])
        return _factory(kind, BUILT_IN[kind])
    others = registered(GROUP)
    if kind in others:
        return _factory(kind, others[kind])
    there = ", ".join(sorted({*BUILT_IN, *others}))
    raise UsageError(f"there is no kind of device called {kind!r}: there are {there}, or write my.package:factory:{kind}")


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


def _factory(kind: str, where: str) -> Factory:
    factory: Factory = load(kind, where)
    return factory


def _find_checkout(module: str) -> None:
    """In a checkout that was never installed, the back ends lie in a folder beside this package: put it on the path."""
    import sys
    from importlib.machinery import PathFinder

    if module in sys.modules or PathFinder.find_spec(module) is not None:
        return
    from pathlib import Path  # takes five times as long to import as the rest to do

    backends = Path(__file__).resolve().parent.parent / "backends"
    if (backends / module).is_dir():
        sys.path.append(str(backends))
