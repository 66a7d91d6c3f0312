"""Our netfront and our netback over the simulated machine, each below a stack of its own: what TCP makes of all that goes wrong."""

import random

import pytest
from netstack_xen.back import XenBack
from netstack_xen.front import Xen
from netstack_xen.simulated import Machine, toolstack

from netstack.address import Cidr
from netstack.stack import Stack
from netstack.testing.load import Echo, Sink, Source

BACK, FRONT = 0, 3
HOST, GUEST = Cidr.parse("10.0.0.1/24"), Cidr.parse("10.0.0.2/24")
STEP = 1_000_000  # ns that a turn takes
ENOUGH = 60_000  # turns: a minute


class World:
    """A guest on `front`, and a driver domain on `back`; `turn` is a turn of both, in virtual time. A netif is polled in each turn;
    or, with `strictly`, only when it was woken or its own deadline has come, and every `strictly`th turn."""

    strictly = 0

    def __init__(self, back=None, front=None):
        self.woken = {}
        self.turns = 0
        self.machine = Machine()
        self.tools = self.machine.domain(0)
        self.vif = toolstack.add_vif(self.tools.store, FRONT, hotplug=False)
        self.now = 1_000_000_000
        self.wishes = (back or {}, front or {})
        self.start_back()
        self.start_front()
        self.connect()

    def start_back(self):
        self.driver = self.machine.domain(BACK)
        self.back = XenBack(self.driver, FRONT, now=self.now, own=True, **self.wishes[0])
        self.host = Stack(self.back, now=self.now, rng=random.Random(1), addresses=[HOST])

    def start_front(self):
        self.program = self.machine.domain(FRONT)
        self.front = Xen(self.program, now=self.now, own=True, **self.wishes[1])
        self.guest = Stack(self.front, now=self.now, rng=random.Random(2), addresses=[GUEST])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.front.close()
            self.back.close()
            self.tools.close()
            self.machine.books.assert_even()
        self.machine.close()

    def turn(self):
        self.now += STEP
        self.turns += 1
        self.machine.books.now = self.now
        for netif, stack in ((self.front, self.guest), (self.back, self.host)):
            if netif is not None:
                if self.is_due(netif):
                    self.woken[netif] = netif.poll(self.now)
                stack.timers.run(self.now)

    def is_due(self, netif):
        if not self.strictly or self.turns % self.strictly == 0 or self.woken.get(netif):
            return True
        deadline = netif.next_deadline()
        return deadline is not None and deadline <= self.now

    def be_strict(self, every):
        self.strictly = every
        for netif in (self.front, self.back):
            self.woken[netif] = True
            netif.set_waker(lambda netif=netif: self.woken.__setitem__(netif, True))

    def until(self, goal, turns=ENOUGH):
        for _ in range(turns):
            if goal():
                return
            self.turn()
        raise AssertionError(
            f"not in {turns} turns: {self.front} {self.front.mib.snapshot()} {self.back} {self.back.mib.snapshot()}"
        )

    def rest(self):
        """What is on its way arrives."""
        for _ in range(50):
            self.turn()

    def connect(self):
        self.until(lambda: self.front.up and self.back.lanes, 200)

    def accept(self, stack, port, make):
        users = []

        def accepted(conn):
            users.append(make())
            users[-1].bind(conn)
            return users[-1]

        stack.tcp.listen(0, port, accepted, 10)
        return users

    def send(self, stack, to, size):
        """Bytes from `stack` to the sink of the other one, by a connection of its own."""
        user = Source(bytes(50_000), size)
        user.bind(stack.tcp.connect(0, 0, int(to.address), 9, user, self.now))
        return user

    def transfer(self, size):
        """So many bytes both ways at once, by new connections."""
        before = [sum(user.received for user in users) for users in self.sinks]
        for stack, to in ((self.guest, HOST), (self.host, GUEST)):
            self.send(stack, to, size)
        self.until(lambda: all(sum(u.received for u in users) - b >= size for users, b in zip(self.sinks, before, strict=True)))

    def listen(self):
        self.sinks = [self.accept(stack, 9, lambda: Sink(False)) for stack in (self.guest, self.host)]


@pytest.mark.parametrize(
    ("back", "front"),
    [
        ({}, {}),
        ({}, {"queues": 2}),
        ({"split": False}, {"split": False}),
        ({"gso": False, "control": False}, {}),
        ({}, {"offload": False}),
    ],
    ids=["as it comes", "two queues", "one port", "no super-segments in", "nothing undone"],
)
def test_tcp_goes_through_both_ways(back, front):
    with World(back, front) as world:
        world.listen()
        world.transfer(3_000_000)
        world.rest()
        taken, given = world.back.mib, world.front.mib
        assert taken.InFrames == given.OutFrames and taken.OutFrames == given.InFrames
        undone = front.get("offload") is not False
        assert bool(taken.InBlank) == bool(taken.OutBlank) == undone
        assert bool(taken.InGso) == (undone and back.get("gso") is not False)
        assert bool(taken.OutGso) == undone
        assert not any(value for name, value in taken.snapshot().items() if name.startswith(("Fatal", "InBad", "OutBad")))


def test_two_queues_carry_what_the_frontend_steered():
    with World(front={"queues": 2}) as world:
        world.listen()
        world.until(lambda: world.front.steered, 50)
        assert world.back.mib.ControlRequests
        for _ in range(8):
            world.transfer(20_000)
        assert all(lane.rx.rsp_prod > 8 and lane.tx.rsp_prod > 8 for lane in world.back.lanes)


def test_who_is_polled_only_when_he_was_told_misses_nothing():
    with World() as world:
        world.listen()
        world.be_strict(10**9)
        for size in (100, 2_000_000, 5_000, 2_000_000):
            begin = world.turns
            world.transfer(size)
            assert world.turns - begin < 250  # less than any time-out of TCP


def test_every_second_notification_is_lost_and_that_costs_time_and_nothing_else():
    with World() as world:
        world.listen()
        world.be_strict(20)
        told = [0, 0]
        for n, program in enumerate((world.program, world.driver)):

            def notify(port, tell=program.notify, n=n):
                told[n] += 1
                if told[n] % 2:
                    tell(port)

            program.notify = notify
        for _ in range(8):
            world.transfer(100_000)
        assert min(told) > 1


def test_a_backend_that_is_restarted_is_found_again():
    with World() as world:
        world.listen()
        world.transfer(500_000)
        for how in ("closed", "killed"):
            if how == "closed":
                world.back.close()
            else:
                world.machine.kill(world.driver)
            world.start_back()
            world.until(lambda: world.front.up and world.back.lanes, 5000)
            world.sinks[1] = world.accept(world.host, 9, lambda: Sink(False))
            world.transfer(500_000)


def test_a_frontend_that_is_killed_has_a_successor():
    with World() as world:
        world.listen()
        for _ in range(3):
            world.transfer(300_000)
            world.machine.kill(world.program)
            world.start_front()
            world.until(lambda: world.front.up and world.back.lanes, 5000)
            world.sinks[0] = world.accept(world.guest, 9, lambda: Sink(False))
        assert world.back.mib.Connects == 4


def test_a_frontend_that_closes_and_opens_again():
    with World() as world:
        world.listen()
        for _ in range(3):
            world.transfer(300_000)
            front = world.front
            world.front = None
            front.close()
            world.rest()
            assert not world.back.lanes
            world.machine.books.assert_even(FRONT)
            world.start_front()
            world.connect()
            world.sinks[0] = world.accept(world.guest, 9, lambda: Sink(False))


def test_a_guest_that_is_suspended_and_resumed_goes_on():
    with World() as world:
        world.listen()
        sink = world.sinks[1]
        world.send(world.guest, HOST, 2_000_000)
        world.until(lambda: sink and sink[0].received > 300_000)
        world.machine.suspend(FRONT)
        world.machine.resume(FRONT)
        toolstack.add_vif(world.tools.store, FRONT, hotplug=False)
        world.until(lambda: sum(user.received for user in sink) >= 2_000_000)
        assert world.back.mib.Connects == 2


def test_a_connection_outlives_a_vif_that_is_disabled_and_connected_anew():
    """The stacks above notice no more than loss: what was in the rings is gone, and TCP sends it again."""
    with World() as world:
        world.listen()
        echo = world.accept(world.host, 7, Echo)
        user = Sink(False)
        user.bind(world.guest.tcp.connect(0, 0, int(HOST.address), 7, user, world.now))
        world.until(lambda: user.opened)
        for n in range(3):
            user.conn.write(b"x" * 100_000, world.now)
            world.turn()
            toolstack.add_vif(world.tools.store, FRONT, hotplug=False)
            world.until(lambda n=n: user.received == 100_000 * (n + 1))
        assert len(echo) == 1 and world.back.mib.Connects == 4
