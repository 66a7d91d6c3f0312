"""Event loops that know stacks, and can have one for their network.

    netstack.run(main())                                             as asyncio.run, on a loop that turns stacks itself
    netstack.run(main(), net="tap:tap0?address=10.79.0.2/24")        unchanged asyncio programs on a stack of their own
    asyncio.Runner(loop_factory=netstack.new_event_loop)             for who wants more
    NETSTACK='tap:tap0?address=10.79.0.2/24' uvicorn --loop netstack.runtime.loop:new_event_loop app:app

Any loop will do for `netstack.open`; this one spares it asyncio's way from a descriptor to a callback. There is no event-loop
policy: those go away in Python 3.16.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError

if TYPE_CHECKING:
    from ..address import Cidr
    from ..signatures import Netif
    from .loops.mix import NetLoop

T = TypeVar("T")

KERNEL = ("posix", "posix:")  # a net that is none: the kernel's sockets
OPTIONS = ("gateway", "pcap", "fault", "seed", "config", "hosts", "names", "dns")


def run(
    main: Coroutine[Any, Any, T],
    *,
    net: str | Netif | None = None,
    base: str | type[asyncio.AbstractEventLoop] | None = None,
    debug: bool | None = None,
    **options: Any,
) -> T:
    """As `asyncio.run`, on a loop of `new_event_loop(net, base=base, **options)`."""
    try:
        loop = new_event_loop(net, base=base, **options)
    except BaseException:
        main.close()  # it was never to run: Python need not complain of that
        raise
    with asyncio.Runner(debug=debug, loop_factory=lambda: loop) as runner:
        return runner.run(main)


def new_event_loop(
    net: str | Netif | None = None, *, base: str | type[asyncio.AbstractEventLoop] | None = None, **options: Any
) -> asyncio.AbstractEventLoop:
    """A loop whose network is `net`: a SPEC or a device, or else what the environment's NETSTACK says; with neither, or "posix",
    the kernel's. The loop has it as `loop.net`, and closes it.

    base      "asyncio", "uvloop" or a class of loops; or else what NETSTACK_LOOP says, or asyncio's
    options   those of `netstack.open`: addresses, gateway, pcap, fault, seed, config, hosts, names, dns

    Raises UsageError for what can't be, OSError where the device can't be had.
    """
    if net is None:
        net = os.environ.get("NETSTACK") or None
    of_kernel = net is None or net in KERNEL
    if of_kernel and options:
        raise UsageError(f"{', '.join(options)} can't be said of the kernel's network: name a device in net=")
    loop = _bare(base or os.environ.get("NETSTACK_LOOP") or "asyncio")
    if net is None or of_kernel:
        return loop
    try:
        _attach(loop, net, options)
    except BaseException:
        loop.close()
        raise
    return loop


def _attach(loop: NetLoop, net: str | Netif, options: dict[str, Any]) -> None:
    from .asyncio import build

    addresses: Sequence[str | Cidr] = options.pop("addresses", ())
    for name in options:
        if name not in OPTIONS:
            raise TypeError(f"{name!r} is not an option of a net: there are addresses, {', '.join(OPTIONS)}")
    loop.attach(build(net, addresses, options, loop))
    assert loop.net is not None
    if loop.net.stack.tentative:
        loop.run_until_complete(loop.net.wait_addresses())


def _bare(base: str | type[asyncio.AbstractEventLoop]) -> NetLoop:
    """A loop without a net. asyncio's own gets a selector that turns stacks itself, where there is epoll."""
    from .loops.mix import over

    if base == "asyncio":
        if not sys.platform.startswith("linux"):
            return over(asyncio.SelectorEventLoop)()
        from .selector import StackSelector

        selector = StackSelector()
        loop = over(asyncio.SelectorEventLoop)(selector)
        selector.look_into(loop)
        loop.stack_selector = selector  # for the reactors of stacks on this loop
        return loop
    if base == "uvloop":
        try:
            import uvloop
        except ImportError as error:
            raise UsageError("uvloop is not installed: pip install uvloop, or say base='asyncio'") from error
        base = uvloop.Loop
    if isinstance(base, str):
        raise UsageError(f"{base!r} is no loop that is known here: say asyncio or uvloop, or give a class")
    return over(base)()  # type: ignore[arg-type]  # a class can be hashed, whatever its instances say
