"""The kernel is the oracle: random programs run on its sockets and on ours, over loopback, and must see the same.

A program is a list of calls on a few sockets. What it sees of each is the answer or the error's number, and what poll(2) says of
all sockets afterwards. Ports differ from run to run, so of a name is only told whether there is one.

Left out is what nobody means: a connection to oneself, which Linux makes and we refuse; and the shutdown of a socket that is not
connected, an error which Linux remembers for whatever the socket becomes later, even for the connections of a listener.
"""

import errno
import random
import select
import socket
import struct

import pytest

from netstack.sockets import const as c
from netstack.testing.net import World

SOCKETS = 4
CALLS = 30
LINGER = struct.pack("ii", 1, 0)


class Kernel:
    def open(self, kind):
        sock = socket.socket(type=kind)
        sock.setblocking(False)
        return sock

    def events(self, sock):
        poller = select.poll()
        poller.register(sock, c.POLLIN | c.POLLOUT | c.POLLRDHUP)
        return dict(poller.poll(0)).get(sock.fileno(), 0)

    def settle(self):
        """Its loopback delivers within the call."""

    def close(self):
        pass


class Ours:
    def __init__(self):
        self.world = World(seed=1)
        self.host = self.world.host("host")

    def open(self, kind):
        return self.host.sockets.open(c.AF_INET, kind)

    def events(self, sock):
        return sock.events()

    def settle(self):
        self.world.rest(300_000_000)  # with Nagle and delayed acknowledgements; Linux acknowledges the first segments at once

    def close(self):
        self.world.close()


class Play:
    """One program on one system. `seen` is what it saw."""

    def __init__(self, system, kind):
        self.system = system
        self.kind = kind
        self.socks = []
        self.seen = []

    def told(self, value):
        """An answer without what differs from run to run."""
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int) and isinstance(value[0], str):
            return "a name" if value[1] else "no name"
        if isinstance(value, tuple):
            return tuple(map(self.told, value))
        return value if isinstance(value, int | bytes | None.__class__) else type(value).__name__

    def call(self, step):
        what, *arguments = step
        if what == "open":
            self.socks.append(self.system.open(self.kind))
            return None
        sock = self.socks[arguments[0] % len(self.socks)]
        other = self.socks[arguments[1] % len(self.socks)] if len(arguments) > 1 else None
        if what == "bind":
            return sock.bind(("127.0.0.1", 0))
        if what == "listen":
            return sock.listen(5)
        if what == "connect":
            if sock is other:
                return None
            port = other.getsockname()[1]
            if self.kind == c.SOCK_STREAM and not other.getsockopt(c.SOL_SOCKET, c.SO_ACCEPTCONN):
                port = 1  # a free port could become Linux's own choice for this very socket, and be connected to itself
            return sock.connect(("127.0.0.1", port or 1))
        if what == "accept":
            new, peer = sock.accept()
            if isinstance(new, socket.socket):
                new.setblocking(False)
            self.socks.append(new)
            return peer
        if what == "send":
            return sock.send(b"0123456789"[: arguments[1] % 11])
        if what == "sendto":
            return sock.sendto(b"datagram", ("127.0.0.1", other.getsockname()[1] or 1))
        if what == "recv":
            return sock.recv(1 + arguments[1] % 20)
        if what == "peek":
            return sock.recv(1 + arguments[1] % 20, c.MSG_PEEK)
        if what == "recvfrom":
            return sock.recvfrom(100)
        if what == "shutdown" and self.kind == c.SOCK_STREAM and not sock.getsockopt(c.SOL_SOCKET, c.SO_ACCEPTCONN):
            sock.getpeername()
        if what == "shutdown":
            return sock.shutdown(arguments[1] % 3 if self.kind == c.SOCK_STREAM else c.SHUT_WR)
        if what == "error":
            return sock.getsockopt(c.SOL_SOCKET, c.SO_ERROR)
        if what == "linger":
            return sock.setsockopt(c.SOL_SOCKET, c.SO_LINGER, LINGER)
        if what == "reuse":
            return sock.setsockopt(c.SOL_SOCKET, c.SO_REUSEADDR, 1)
        if what == "option":
            return sock.getsockopt(*((c.SOL_SOCKET, c.SO_ACCEPTCONN), (c.SOL_SOCKET, c.SO_REUSEADDR))[arguments[1] % 2])
        if what == "getpeername":
            return sock.getpeername()
        if what == "getsockname":
            return sock.getsockname()
        assert what == "close"
        sock.close()
        return None

    def step(self, step):
        if step[0] != "open" and not self.socks:
            return
        try:
            answer = self.told(self.call(step))
        except OSError as error:
            answer = errno.errorcode[error.errno]
        self.system.settle()
        events = [self.system.events(sock) if not is_closed(sock) else "closed" for sock in self.socks]
        self.seen.append((step, answer, events))


def is_closed(sock):
    return sock.fileno() < 0 if isinstance(sock, socket.socket) else sock.closed


def program(dice, kind):
    if kind == c.SOCK_STREAM:
        calls = (
            "bind listen connect connect accept accept send send recv recv peek shutdown error linger option getpeername"
            " getsockname close"
        )
    else:
        calls = "bind bind connect send send sendto sendto recv recvfrom peek shutdown error reuse getpeername getsockname close"
    steps = [("open",)] * 2
    for _ in range(CALLS):
        what = "open" if dice.random() < 0.1 and steps.count(("open",)) < SOCKETS else dice.choice(calls.split())
        steps.append((what,) if what == "open" else (what, dice.randrange(12), dice.randrange(60)))
    return steps


def compare(steps, kind):
    plays = [Play(Kernel(), kind), Play(Ours(), kind)]
    try:
        for step in steps:
            for play in plays:
                play.step(step)
            kernel, ours = (play.seen[-1:] for play in plays)
            if kernel != ours:
                return f"kernel {kernel}\nours   {ours}\nafter\n" + "\n".join(map(str, plays[0].seen[:-1]))
    finally:
        for play in plays:
            for sock in play.socks:
                sock.close()
            play.system.close()
    return ""


@pytest.mark.parametrize("kind", [c.SOCK_STREAM, c.SOCK_DGRAM], ids=["stream", "datagram"])
def test_random_programs_see_the_same(seed, kind):
    dice = random.Random(f"{seed} {kind}")
    for _ in range(300):
        steps = program(dice, kind)
        difference = compare(steps, kind)
        assert not difference, difference
