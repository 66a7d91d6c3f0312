"""`netstack forward`: ports of the stack that go on to the host's, and the other way round."""

import argparse
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import add_net_options, count
from .service import run_service

if TYPE_CHECKING:
    from ..runtime.asyncio import Net


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ends", metavar="LISTEN TARGET", nargs="+", help="pairs of tcp:PORT, host:PORT, udp:PORT, unix:PATH …")
    parser.add_argument("--limit", metavar="N", type=count, default=1024, help="connections of each at a time (1024)")
    parser.epilog = (
        "An end is tcp:[HOST:]PORT or udp:[HOST:]PORT of the stack, host:[tcp:|udp:][HOST:]PORT of the host, or unix:PATH;"
        " as in: netstack forward --netif tap:tap0 --address 10.79.0.2/24 tcp:5432 unix:/run/postgresql/.s.PGSQL.5432"
    )
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    from ..runtime.ends import route

    if len(args.ends) % 2:
        raise UsageError(f"{args.ends[-1]} goes nowhere: give a target after it, like unix:/run/x.sock")
    pairs = list(zip(args.ends[::2], args.ends[1::2], strict=True))
    for pair in pairs:
        route(*pair)  # what can't be is said before the device is opened

    @asynccontextmanager
    async def forwarding(net: "Net") -> AsyncIterator[str]:
        async with AsyncExitStack() as stack:
            forwards = [await stack.enter_async_context(await net.forward(*pair, limit=args.limit)) for pair in pairs]
            yield "forwarding " + ", ".join(f"{one.here} ({_text(one.address)}) to {one.there}" for one in forwards)

    return run_service(args, forwarding)


def _text(address: object) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
