"""`netstack serve`: the files of a folder over HTTP, on a stack of our own."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import add_net_options, port_number
from .service import run_service
from .web import http_server

if TYPE_CHECKING:
    from ..runtime.asyncio import Net


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="DIR", default=".", help="the folder (default: this one)")
    parser.add_argument("--port", metavar="N", type=port_number, default=80, help="(80)")
    parser.add_argument("--upload", action="store_true", help="let clients PUT files into the folder")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    root = Path(args.root)
    if not root.is_dir():
        raise UsageError(f"--root {args.root} is not a folder: name one that exists")

    @asynccontextmanager
    async def serving(net: "Net") -> AsyncIterator[str]:
        from ..http.serve.files import StaticFiles

        async with http_server(net, StaticFiles(root, upload=args.upload), args.port):
            host = net.addresses[0].partition("/")[0]
            port = "" if args.port == 80 else f":{args.port}"
            yield f"serving {root.resolve()} at http://{host}{port}/"

    return run_service(args, serving)
