"""What a guest hears of a world that refuses, keeps silent, resets, or isn't there: `world_failures.py WORLD`, as JSON: for each
case what came of it, and after how many seconds."""

import concurrent.futures
import errno
import json
import socket
import sys
import time
from collections.abc import Callable

WORLD = sys.argv[1]
IP_TTL = 2


def connect(host: str, port: int, limit: float = 6, ttl: int = 64) -> str:
    with socket.socket() as sock:
        sock.settimeout(limit)
        sock.setsockopt(socket.IPPROTO_IP, IP_TTL, ttl)
        sock.connect((host, port))
        return "connected"


def talk(port: int, sends: tuple[bytes, ...] = (b"hello\n",), reads: int = 2) -> str:
    """Whether it is the connect that fails or what comes after it is a race on both sides: errors of both are one."""
    heard = []
    with socket.socket() as sock:
        sock.settimeout(3)
        sock.connect((WORLD, port))
        for data in sends:
            time.sleep(0.3 if len(sends) > 1 else 0)
            sock.send(data)
        for _ in range(reads):
            heard.append(sock.recv(100).decode())
    return repr(heard)


def ask(host: str, port: int, limit: float = 2, ttl: int = 64) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(limit)
        sock.setsockopt(socket.IPPROTO_IP, IP_TTL, ttl)
        sock.connect((host, port))
        sock.send(b"question")
        return sock.recv(100).decode()


def told(host: str, port: int, ttl: int = 64) -> str:
    """The ICMP error about a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        sock.setsockopt(socket.IPPROTO_IP, IP_TTL, ttl)
        sock.connect((host, port))
        sock.send(b"question")
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                control = sock.recvmsg(100, 512, socket.MSG_ERRQUEUE)[1]
            except BlockingIOError:
                time.sleep(0.01)
                continue
            return " ".join(str(byte) for byte in control[0][2][4:7])  # origin, type, code
        return "silence"


CASES: dict[str, Callable[[], str]] = {
    "tcp nobody listens": lambda: connect(WORLD, 9),
    "tcp dropped": lambda: connect(WORLD, 7, 3),
    "tcp port unreachable": lambda: connect(WORLD, 8),
    "tcp host prohibited": lambda: connect(WORLD, 10),
    "tcp admin prohibited": lambda: connect(WORLD, 11),
    "tcp net prohibited": lambda: connect(WORLD, 12),
    "tcp backlog full": lambda: connect(WORLD, 8010, 3),
    "tcp no such neighbour": lambda: connect("203.0.113.77", 80),
    "tcp no route": lambda: connect("192.88.77.1", 80),
    "tcp route unreachable": lambda: connect("192.88.78.1", 80),
    "tcp route prohibit": lambda: connect("192.88.79.1", 80),
    "tcp route blackhole": lambda: connect("192.88.80.1", 80, 3),
    "tcp time to live": lambda: connect("192.88.81.1", 80, 3, ttl=2),
    "tcp never answers": lambda: talk(8001),
    "tcp reset after the question": lambda: talk(8003),
    "tcp reset at once": lambda: talk(8004),
    "tcp reset after the answer": lambda: talk(8005),
    "tcp ends after the answer": lambda: talk(8006),
    "tcp ends at once, and is written to": lambda: talk(8007, (b"x", b"y", b"z")),
    "udp echo": lambda: ask(WORLD, 8002),
    "udp nobody listens": lambda: ask(WORLD, 9),
    "udp dropped": lambda: ask(WORLD, 7),
    "udp host prohibited": lambda: ask(WORLD, 10),
    "udp admin prohibited": lambda: ask(WORLD, 11),
    "udp no such neighbour, told": lambda: told("203.0.113.78", 53),
    "udp no route, told": lambda: told("192.88.77.1", 53),
    "udp route unreachable, told": lambda: told("192.88.78.1", 53),
    "udp time to live, told": lambda: told("192.88.81.1", 53, ttl=2),
    "udp first hop, told": lambda: told(WORLD, 9, ttl=1),
}


def outcome(case: Callable[[], str]) -> tuple[str, float]:
    begin = time.monotonic()
    try:
        said = case()
    except TimeoutError as error:
        said = "silence" if error.errno is None else "ETIMEDOUT"
    except OSError as error:
        said = errno.errorcode[error.errno or 0]
    return said, round(time.monotonic() - begin, 2)


with concurrent.futures.ThreadPoolExecutor(len(CASES)) as pool:
    found = {name: pool.submit(outcome, case) for name, case in CASES.items()}
    print(json.dumps({name: future.result() for name, future in found.items()}))
