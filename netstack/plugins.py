"""Finds back ends: `"tap:tap0?mtu=9000"` becomes a Netif, made by code that this package does not know.

A back end is a function `factory(name, options) -> Netif`. Whoever ships one registers it as an entry point of the group
`netstack.netif`; whoever is writing one names it in full, `my.package:factory:name` (see `spec.py`). It gets the options
that the stack has not taken off, each a text, and refuses those that it does not know: `spec.check_options`.

Nothing is loaded before it is asked for: reading the metadata of all installed distributions takes longer than importing
this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
        return _load(kind, kind)
    if kind in BUILT_IN:
        return _load(kind, BUILT_IN[kind])
    registered = _registered()
    if kind in registered:
        return _load(kind, registered[kind])
    there = ", ".join(sorted({*BUILT_IN, *registered}))
    raise UsageError(f"there is no kind of device called {kind!r}: there are {there}, or write my.package:factory:{kind}")


def _registered() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def _load(kind: str, where: str) -> Factory:
    from importlib import import_module

    module, _, name = where.partition(":")
    try:
        if kind in BUILT_IN:
            _find_checkout(module)
        factory: Factory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{kind} can't be loaded from {where}: {error}") from error
    return factory


def _find_checkout(module: str) -> None:
    """In a checkout that was never installed, the back ends lie in a folder beside this package: put it on the path."""
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    backends = Path(__file__).resolve().parent.parent / "backends"
    if find_spec(module) is None and (backends / module).is_dir():
        sys.path.append(str(backends))
