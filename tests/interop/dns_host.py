"""Run in a namespace: our DNS server, as a JSON object says, with `net`, `port`, `zones` (files by their origin), `forward`
(addresses), and any other words of `DnsConfig`. Prints "ready", ends when its standard input does."""

import asyncio
import json
import random
import sys

import netstack
from netstack.dns import name
from netstack.dns.authority.load import read
from netstack.dns.message import Question
from netstack.dns.numbers import Rcode
from netstack.dns.resolve.forward import Forwarder
from netstack.dns.serve.client import Client
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.handlers import Answer
from netstack.dns.serve.server import DnsServer


async def main(said: dict) -> None:
    zones = [read(path, origin) for origin, path in said.pop("zones", {}).items()]
    forward = said.pop("forward", [])
    said["nsid"] = bytes.fromhex(said.get("nsid", ""))
    net, port = said.pop("net"), said.pop("port", 53)
    finder = Forwarder(forward, random.SystemRandom()) if forward else None
    async with netstack.open(net) as stack, DnsServer(stack, stack, zones, finder=finder, config=DnsConfig(**said)) as server:

        @server.answer("*.called.example.")
        async def call(question: Question, client: Client) -> object:
            await asyncio.sleep(0.01)
            if question.type != 16:
                return int(Rcode.NXDOMAIN)
            text = f"{name.text(question.name)} from {client.address}".encode()
            return Answer.of(question, 5, bytes((len(text),)) + text)

        await server.listen(port)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


netstack.run(main(json.loads(sys.argv[1])))
