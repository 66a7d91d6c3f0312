"""Two hosts on a wire, and their sockets: nothing waits, `world.run` lets things happen."""

import pytest

from netstack.testing.net import World


class Lab:
    def __init__(self, **faults):
        self.world = World(**{"seed": 7, **faults})
        self.a, self.b = self.world.host("a"), self.world.host("b")
        self.ip_a, self.ip_b = str(self.a.address.address), str(self.b.address.address)

    def rest(self):
        """Until nothing moves any more, time-waits and the like apart."""
        self.world.rest(1_000_000_000)

    def listener(self, host=None, port=0, backlog=128, **options):
        sock = (host or self.b).sockets.stream()
        for (level, number), value in options.get("set", {}).items():
            sock.setsockopt(level, number, value)
        sock.bind(("", port))
        sock.listen(backlog)
        return sock

    def begin(self, sock, address):
        with pytest.raises(BlockingIOError):
            sock.connect(address)
        return sock

    def pair(self, client_host=None, server_host=None):
        """(client, server), connected."""
        client_host, server_host = client_host or self.a, server_host or self.b
        listener = self.listener(server_host)
        where = self.ip_of(client_host, server_host), listener.getsockname()[1]
        client = self.begin(client_host.sockets.stream(), where)
        self.rest()
        server, _ = listener.accept()
        listener.close()
        return client, server

    def ip_of(self, client_host, server_host):
        return "127.0.0.1" if client_host is server_host else str(server_host.address.address)


@pytest.fixture(params=["wire", "loopback"])
def lab(request):
    lab = Lab()
    if request.param == "loopback":
        lab.a = lab.b
        lab.ip_a = lab.ip_b = "127.0.0.1"
    yield lab
    lab.world.close()


@pytest.fixture
def wire():
    lab = Lab()
    yield lab
    lab.world.close()
