"""Our DNS server: `dnsours.py LOOP ZONE PORT SPEC`, on our stack, or with `kernel` for SPEC on the kernel's sockets."""

import asyncio
import random
import socket
import sys

import netstack
from netstack.dns import name
from netstack.dns.authority.zone import Zone
from netstack.dns.serve.client import Client
from netstack.dns.serve.desk import Desk
from netstack.dns.serve.door import Door
from netstack.dns.serve.kerneldoor import KernelDoor
from netstack.dns.serve.quick import Quick
from netstack.dns.serve.socketdoor import SocketDoor
from tests.bench.peers.loop import run, serve


def read(path: str) -> Zone:
    zone = Zone(name.parse("bench.test."))
    with open(path) as lines:
        for line in lines:
            if not line.startswith("$"):
                owner, type, value = line.split(maxsplit=2)
                zone.add(owner, type, 300, value.strip())
    return zone


async def main(path: str, port: int, spec: str) -> None:
    desk = Desk([read(path)], rng=random.SystemRandom())
    quick = Quick(desk)
    if spec == "socket":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("0.0.0.0", port))
        doors = SocketDoor(sock, quick, lambda *_: None)
        asyncio.get_running_loop().add_reader(sock, doors.on_readable)
        await serve()
    if spec == "kernel":
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: KernelDoor(quick, lambda *_: None), ("0.0.0.0", port))
        await serve()
    async with netstack.open(spec) as net:

        def other(wire: bytes, address: int, sport: int, now: int) -> None:
            answers = desk.handle(wire, Client("", sport), now)
            assert isinstance(answers, tuple)
            for each in answers:
                door.port.send(each, address, sport, now)

        door = Door(quick, other)
        door.port = net.stack.udp.bind(0, port, door)
        await serve()


run(main(sys.argv[2], int(sys.argv[3]), sys.argv[4]), sys.argv[1])
