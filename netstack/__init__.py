"""netstack: a TCP/IP stack that you import.

The map of the house, from the top:

    open, Net                  a host of one's own on a device, for asyncio and trio  runtime/
    open_blocking, patch       the same for threads, and under programs that use the module `socket`
    open_router                a host on several devices, that forwards and translates between them   routing/
    open_world, run_virtual    hosts of a test's world under a loop, in virtual time
    run, new_event_loop        asyncio's loop, with a selector that turns stacks itself
    splice                     two streams joined, without a program in between     tcp/splice.py
    http                       an HTTP/1.1 server, files, pages
    Router                     guests on one side, the host's sockets on the other  router/
    Tls                        TLS over any stack of streams                        tls/
    DnsServer, Zone, serve_dns a server of names, and what it serves                dns/
    testing                    wires in memory, faults, virtual clocks, captures
    netsim                     programs on the hosts of a test, and the pytest plug-in
    stack                      the wiring: the only file that names every layer
    tcp  udp  ipv4  ethif      the layers
    signatures  cores          what a layer needs of the one below: for mypy, and for C
    errors  address  instant   the small values
    build_info                 is this the compiled build?

Names come lazily: `import netstack` reads this file and one more.
"""

from typing import TYPE_CHECKING

from . import _build

_build.install()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ._build import BuildInfo as BuildInfo
    from ._build import build_info as build_info
    from .address import Cidr as Cidr
    from .address import Ip4 as Ip4
    from .address import Mac as Mac
    from .dns.authority.zone import Zone as Zone
    from .dns.serve.server import DnsServer as DnsServer
    from .dns.serve.server import serve_dns as serve_dns
    from .errors import Aborted as Aborted
    from .errors import AddressInUse as AddressInUse
    from .errors import BrokenError as BrokenError
    from .errors import BusyError as BusyError
    from .errors import ClosedError as ClosedError
    from .errors import MessageTooLong as MessageTooLong
    from .errors import NetstackError as NetstackError
    from .errors import NoBuffers as NoBuffers
    from .errors import PeerReset as PeerReset
    from .errors import Refused as Refused
    from .errors import TimedOut as TimedOut
    from .errors import Unreachable as Unreachable
    from .errors import UsageError as UsageError
    from .errors import WireError as WireError
    from .errors import WouldBlock as WouldBlock
    from .router.router import Router as Router
    from .runtime.asyncio import open as open
    from .runtime.loop import new_event_loop as new_event_loop
    from .runtime.loop import run as run
    from .runtime.net import Net as Net
    from .runtime.routing import open_router as open_router
    from .runtime.splice import splice as splice
    from .runtime.threads.blocking import open_blocking as open_blocking
    from .runtime.threads.patch import patch as patch
    from .runtime.virtual import VirtualLoop as VirtualLoop
    from .runtime.virtual import run_virtual as run_virtual
    from .runtime.worlds import open_world as open_world
    from .tls.stack import Tls as Tls

_ERRORS = (
    "Aborted",
    "AddressInUse",
    "BrokenError",
    "BusyError",
    "ClosedError",
    "MessageTooLong",
    "NetstackError",
    "NoBuffers",
    "PeerReset",
    "Refused",
    "TimedOut",
    "Unreachable",
    "UsageError",
    "WireError",
    "WouldBlock",
)
_WHERE = {
    "open": "runtime.asyncio",
    "open_blocking": "runtime.threads.blocking",
    "patch": "runtime.threads.patch",
    "Net": "runtime.net",
    "splice": "runtime.splice",
    "Router": "router.router",
    "Tls": "tls.stack",
    **dict.fromkeys(("DnsServer", "serve_dns"), "dns.serve.server"),
    "Zone": "dns.authority.zone",
    "new_event_loop": "runtime.loop",
    "run": "runtime.loop",
    "open_router": "runtime.routing",
    "open_world": "runtime.worlds",
    **dict.fromkeys(("VirtualLoop", "run_virtual"), "runtime.virtual"),
    "BuildInfo": "_build",
    "build_info": "_build",
    **dict.fromkeys(("Cidr", "Ip4", "Mac"), "address"),
    **dict.fromkeys(_ERRORS, "errors"),
}
__all__ = ["__version__", *_WHERE]

if not TYPE_CHECKING:  # or every misspelt name would be an `object` to the checker

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'netstack' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"netstack.{_WHERE[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
