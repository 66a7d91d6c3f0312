"""A stack of vchans from text: the entry point `vchan` of the group `netstack.stack`."""

from collections.abc import Mapping

from netstack.errors import UsageError
from netstack.spec import check_options, read_int

from . import paths
from .stack import BUFFER, BUFFER_MOST, Vchan

OPTIONS = {"buffer": "16384", "clients": "3,5", "offers": "3", "connections": "512"}


def open_vchan(name: str, options: Mapping[str, str]) -> Vchan:
    """`vchan:`, or `vchan:?buffer=65536&clients=3,5`; see `Vchan`. To be entered with `async with`, on asyncio or trio.

    Raises UsageError, and OSError where there is no Xen."""
    check_options("vchan", options, OPTIONS)
    if name:
        raise UsageError(f"a stack of vchans has no device {name!r}: write vchan: and to which domain when you connect")
    more: dict[str, int] = {}
    if "connections" in options:
        more["connections"] = read_int("connections", options["connections"], 1, 1 << 20)
    buffer = read_int("buffer", options["buffer"], 1024, BUFFER_MOST) if "buffer" in options else BUFFER
    clients = _domains("clients", options["clients"]) if "clients" in options else None
    offers = _domains("offers", options.get("offers", ""))
    from ..libxen import LibXen  # a C extension, which is there where Xen's libraries were when this was built

    return Vchan(LibXen(), buffer=buffer, clients=clients, offers=offers, **more)


def _domains(key: str, text: str) -> list[int]:
    found = [paths.domain_in(each) for each in text.split(",")] if text else []
    if -1 in found:
        raise UsageError(f"{key}={text} are no domains: write their numbers with commas between them, like {key}=3,5")
    return found
