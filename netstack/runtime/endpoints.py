"""How a datagram endpoint comes to be, for asyncio's programs.

`Net.create_datagram_endpoint` and the event loop's are this function. It does what asyncio's does, argument by argument.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..sockets import const as sc
from ..sockets.datagram import DatagramSocket
from .datagrams import UdpTransport
from .names import Resolve, resolved

if TYPE_CHECKING:
    from .net import Net

Pair = tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]  # local and remote address


async def create_datagram_endpoint(
    net: Net,
    resolve: Resolve,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    local_addr: Sequence[Any] | None = None,
    remote_addr: Sequence[Any] | None = None,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    reuse_port: bool | None = None,
    allow_broadcast: bool | None = None,
    sock: Any = None,
) -> tuple[UdpTransport, Any]:
    """As asyncio's; `sock` is a socket of the stack."""
    shown = None
    if sock is not None:
        if sock.type != socket.SOCK_DGRAM:
            raise ValueError(f"A UDP Socket was expected, got {sock!r}")
        said = {
            "local_addr": local_addr, "remote_addr": remote_addr, "family": family, "proto": proto, "flags": flags,
            "reuse_port": reuse_port, "allow_broadcast": allow_broadcast,
        }  # fmt: skip
        problems = ", ".join(f"{name}={value}" for name, value in said.items() if value)
        if problems:
            raise ValueError(f"socket modifier keyword arguments can not be used when sock is specified. ({problems})")
        core = getattr(sock, "core", sock)
        if not isinstance(core, DatagramSocket):
            raise TypeError(f"a datagram socket of the net was expected, got {sock!r}")
        shown = None if sock is core else sock
        remote = core.getpeername() if core.peer else None
    else:
        core, remote = await _opened(
            net, resolve, local_addr, remote_addr, family, proto, flags, bool(reuse_port), bool(allow_broadcast)
        )
    try:
        if core.port is None:
            core.settle(0, 0)
        protocol = protocol_factory()
        transport = net.new_datagrams(protocol)
    except BaseException:
        core.close()
        raise
    transport.bind(core, remote, shown)
    await asyncio.sleep(0)
    return transport, protocol


async def _opened(
    net: Net,
    resolve: Resolve,
    local_addr: Sequence[Any] | None,
    remote_addr: Sequence[Any] | None,
    family: int,
    proto: int,
    flags: int,
    reuse_port: bool,
    allow_broadcast: bool,
) -> tuple[DatagramSocket, tuple[Any, ...] | None]:
    """A socket between these addresses, on the first family where that can be, and the remote one."""
    if local_addr or remote_addr:
        places = await _paired(resolve, local_addr, remote_addr, family, proto, flags)
        if not places:
            raise ValueError("can not get address information")
    elif family == 0:
        raise ValueError("unexpected address family")
    else:
        places = {family: (None, None)}
    failures: list[OSError] = []
    for chosen, (local, remote) in places.items():
        core = net.sockets.datagram(chosen)
        try:
            if reuse_port:
                core.setsockopt(sc.SOL_SOCKET, sc.SO_REUSEPORT, 1)
            if allow_broadcast:
                core.setsockopt(sc.SOL_SOCKET, sc.SO_BROADCAST, 1)
            if local is not None:
                core.bind(local)
            if remote is not None and not allow_broadcast:
                core.connect(remote)
            return core, remote
        except OSError as error:
            core.close()
            failures.append(error)
        except BaseException:
            core.close()
            raise
    raise failures[0]


async def _paired(
    resolve: Resolve, local_addr: Sequence[Any] | None, remote_addr: Sequence[Any] | None, family: int, proto: int, flags: int
) -> dict[int, Pair]:
    """Local and remote address by family, where the family has all that was asked for."""
    found: list[dict[int, tuple[Any, ...]]] = []
    if local_addr and local_addr[0] == "":
        local_addr = ("0.0.0.0", *local_addr[1:])  # any, as a socket's bind has it
    for address in (local_addr, remote_addr):
        by_family: dict[int, tuple[Any, ...]] = {}
        if address is not None:
            if not isinstance(address, tuple) or len(address) != 2:
                raise TypeError("2-tuple is expected")
            for info in await resolved(resolve, address, family, socket.SOCK_DGRAM, proto, flags):
                by_family[info[0]] = info[4]
        found.append(by_family)
    locals_, remotes = found
    return {
        chosen: (locals_.get(chosen), remotes.get(chosen))
        for chosen in {**locals_, **remotes}
        if (local_addr is None or chosen in locals_) and (remote_addr is None or chosen in remotes)
    }
