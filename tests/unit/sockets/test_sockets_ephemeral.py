"""Ports that are chosen for a connection to oneself."""

import errno
import random

import pytest

from netstack.address import Cidr
from netstack.cores import Turn
from netstack.instant import Instant
from netstack.sockets.table import Sockets
from netstack.stack import Stack
from netstack.tcp.demux import FIRST_EPHEMERAL
from netstack.testing.wire import Wire


class Unlucky(random.Random):
    """The first dynamic port that it would choose is always the same."""

    def getrandbits(self, k):
        return 5 if k == 32 else super().getrandbits(k)


class Still(Turn):
    def now(self):
        return 0

    def rearm(self):
        pass


def test_a_connection_to_a_closed_dynamic_port_of_oneself_doesnt_begin_at_that_port():
    stack = Stack(Wire().port("a"), now=Instant(0), rng=Unlucky(1), addresses=[Cidr.parse_whole("10.0.0.1/24")])
    sock = Sockets(stack, Still()).open()
    with pytest.raises(BlockingIOError) as caught:
        sock.connect(("10.0.0.1", FIRST_EPHEMERAL + 5))
    assert caught.value.errno == errno.EINPROGRESS
    assert sock.getsockname() == ("10.0.0.1", FIRST_EPHEMERAL + 6)
    sock.close()
