"""`netstack socks`: a proxy on the host, SOCKS5 and HTTP CONNECT, into a stack of our own."""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import add_net_options, count, port_number
from .service import run_service

if TYPE_CHECKING:
    from ..runtime.asyncio import Net


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="HOST", default="127.0.0.1", help="the host's address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=port_number, default=1080, help="and its port (1080)")
    parser.add_argument("--user", metavar="NAME", help="ask for this user, and for the password in $NETSTACK_PASSWORD")
    parser.add_argument("--limit", metavar="N", type=count, default=1024, help="clients at a time (1024)")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    password = os.environ.get("NETSTACK_PASSWORD")  # not an option: everybody on a machine can read its command lines
    if args.user is not None and not password:
        raise UsageError("--user needs a password: set NETSTACK_PASSWORD")

    @asynccontextmanager
    async def proxying(net: "Net") -> AsyncIterator[str]:
        secret = {} if args.user is None else {"user": args.user, "password": password}
        async with await net.socks5(args.host, args.port, limit=args.limit, **secret) as proxy:
            host, port = proxy.address[:2]
            yield f"proxy, SOCKS5 and HTTP CONNECT, at {host}:{port}"

    return run_service(args, proxying)
