"""A guest without manners: `hostile_guest.py OTHER'S_MAC`, in its namespace, on tap0. Sends what a card can send, for a second, and
says how often it went around."""

import itertools
import socket
import sys
import time

from tests.net.attacker import MF, arp, eth, icmp, ip4, tcp, udp

ROUTER, EVIL, GOOD = 0x52550A000202, 0x02EE00000001, int(sys.argv[1].replace(":", ""), 16)
E, G, GATEWAY, DNS, FAR, ALL = 0x0A000265, 0x0A000264, 0x0A000202, 0x0A000203, 0xC6336407, 0xFFFFFFFF
EVERYBODY = 0xFFFFFFFFFFFF

def round_of(n: int) -> list[bytes]:
    port = 1024 + n % 60000
    packets = [
        (ROUTER, EVIL, udp(G, FAR, port, 53, b"in the other's name")),
        (ROUTER, EVIL, udp(GATEWAY, FAR, port, 53, b"in the router's")),
        (ROUTER, GOOD, udp(G, FAR, port, 53, b"with the other's card")),
        (ROUTER, EVIL, tcp(G, GATEWAY, port, 8000, "R")),
        (GOOD, EVIL, tcp(GATEWAY, G, 8000, port, "R")),
        (GOOD, EVIL, udp(DNS, G, 53, port, b"a lie")),
        (GOOD, EVIL, udp(E, G, 67, 68, bytes(300))),
        (ROUTER, EVIL, tcp(E, 0xA9FEA9FE, port, 80, "S")),
        (ROUTER, EVIL, tcp(E, 0x7F000001, port, 8000, "S")),
        (ROUTER, EVIL, tcp(E, G, port, 8000, "S")),
        (ROUTER, EVIL, ip4(E, GATEWAY, 17, bytes(1400), ident=n & 0xFFFF, frag=MF)),
        (ROUTER, EVIL, ip4(E, GATEWAY, 6, bytes(8), ident=n & 0xFFFF, frag=MF)),
        (ROUTER, EVIL, icmp(E, GATEWAY, 3, 4, 576, ip4(GATEWAY, G, 6, bytes(1460))[:28])),
        (ROUTER, EVIL, icmp(E, GATEWAY, 5, 1, GATEWAY, udp(GATEWAY, E, 1, 2, b"")[:28])),
        (ROUTER, EVIL, ip4(E, FAR, 17, bytes(8), options=b"\x83\x07\x04\x0a\0\x02\x64\0")),
        (ROUTER, EVIL, udp(E, GATEWAY, port, 7001, b"a flow more")),
        (ROUTER, EVIL, icmp(E, FAR, 8, 0, n << 16 & ALL)),
        (ROUTER, EVIL, tcp(E, GATEWAY, port, 8000, "S")),
    ]
    frames = [eth(dst, src, 0x0800, packet) for dst, src, packet in packets]
    frames.append(eth(GOOD, EVIL, 0x0806, arp(2, EVIL, GATEWAY, GOOD, G)))
    frames.append(eth(EVERYBODY, EVIL, 0x0806, arp(1, EVIL, E, 0, G + n % 50)))
    frames += [eth(GOOD, EVIL, 0x86DD, bytes(60)), eth(GOOD, EVIL, 0x8100, b"\0\1\x08\0" + packets[5][2]), bytes(9)]
    return frames


with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as card:
    card.bind(("tap0", 0))
    end = time.monotonic() + 0.7
    for n in itertools.count():
        for frame in round_of(n):
            try:
                card.send(frame)
            except OSError:  # too short for the kernel, or its queue is full
                continue
        if time.monotonic() > end:
            break
print(n)
