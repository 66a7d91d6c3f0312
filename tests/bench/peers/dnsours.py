"""Our DNS server: `dnsours.py LOOP FOLDER PORT SPEC`. SPEC is a device of our stack; `socket`: our reader on a kernel's socket;
`transport`: a datagram transport of the loop's."""

import asyncio
import random
import socket
import sys
from pathlib import Path
from typing import Any

import netstack
from netstack.dns import name
from netstack.dns.authority.zone import Zone
from netstack.dns.serve.client import Client
from netstack.dns.serve.desk import Desk
from netstack.dns.serve.door import Door
from netstack.dns.serve.kerneldoor import KernelDoor
from netstack.dns.serve.quick import Quick
from netstack.dns.serve.socketdoor import SocketDoor
from tests.bench.peers.dnszone import ORIGIN
from tests.bench.peers.loop import run, serve


def read(path: Path) -> Zone:
    zone = Zone(name.parse(ORIGIN))
    for line in path.read_text().splitlines():
        if not line.startswith("$"):
            owner, type, value = line.split(maxsplit=2)
            zone.add(owner, type, 300, value)
    return zone


async def main(folder: str, port: int, spec: str) -> None:
    desk = Desk([read(Path(folder, "bench.zone"))], rng=random.SystemRandom())
    quick = Quick(desk, cookies=desk.cookies)

    def refuse(*_: Any) -> None:
        raise AssertionError("dnsperf asks nothing that takes the long way")

    if spec == "socket":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind(("0.0.0.0", port))
            asyncio.get_running_loop().add_reader(sock, SocketDoor(sock, quick, refuse).on_readable)
            await serve()
    elif spec == "transport":
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: KernelDoor(quick, refuse), ("0.0.0.0", port))
        await serve()
    async with netstack.open(spec) as net:

        def other(wire: bytes, address: int, sport: int, now: int) -> None:
            answers = desk.handle(wire, Client("0.0.0.0", sport), now)
            assert isinstance(answers, tuple)
            for each in answers:
                door.port.send(each, address, sport, now)

        door = Door(quick, other)
        door.port = net.stack.udp.bind(0, port, door)
        await serve()


run(main(sys.argv[2], int(sys.argv[3]), sys.argv[4]), sys.argv[1])
