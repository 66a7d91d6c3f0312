"""Run in a namespace by test_cookie_kernel.py: an echo server that answers every SYN by a cookie, on a tap.

Prints its counters and ends when its standard input does.
"""

import asyncio
import sys

import netstack
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    config = StackConfig(tcp=TcpConfig(syn_cookies="always"))
    async with netstack.open("tap:tap0", addresses=["10.79.0.2/24"], config=config) as net:
        await net.start_server(echo, port=7)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        ext = net.stack.tcp.ext
        print(ext.SyncookiesSent, ext.SyncookiesRecv, ext.SyncookiesFailed, net.stack.tcp.mib.PassiveOpens, flush=True)


asyncio.run(main())
