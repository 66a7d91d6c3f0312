"""Services that are started by a question: an appliance between a client and hosts that don't exist before, in virtual time.

What is started is a host of the world that comes to life: it is there from then on, takes connections after a while, and is gone
when it is stopped.
"""

import asyncio

import pytest

import netstack
from netstack.dns.client.errors import ServerFailure
from netstack.dns.client.resolver import Resolver
from netstack.errors import BrokenError, Refused, Unreachable, UsageError
from netstack.instant import MILLISECOND
from netstack.justintime.appliance import JustInTime
from netstack.justintime.service import Service, State
from netstack.runtime.doors.joint import StackEnd
from netstack.testing.net import World

pytestmark = pytest.mark.once
BOOT = 3.0  # seconds that a host of the world takes to come up


class Fleet:
    """A client, the appliance, and a host for each service, which listens only while it is started."""

    def __init__(self, seed, names=("www",), **said):
        self.world = World(seed=seed, delay=5 * MILLISECOND)
        self.client = self.world.host("client", "10.0.0.9/24")
        self.front = self.world.host("front", "10.0.0.1/24")
        self.hosts = {name: self.world.host(name, f"10.0.0.{50 + i}/24") for i, name in enumerate(names)}
        self.running = set()
        self.started = []
        self.stopped = []
        self.most = 0
        self.fails = False
        self.said = said

    def start(self, name):
        fleet, host = self, self.hosts[name]

        class Instance:
            ended = False

            async def reach(self, port):
                return StackEnd(await fleet.front.net.connect_stream(str(host.address.address), 80))

            async def stop(self):
                fleet.stopped.append(name)
                if self.server is not None:
                    self.server.close()
                fleet.running.discard(name)

        async def start():
            fleet.started.append(name)
            if fleet.fails:
                raise Unreachable("no kernel")
            fleet.running.add(name)
            fleet.most = max(fleet.most, len(fleet.running))
            instance = Instance()
            instance.server = None

            async def come_up():
                await asyncio.sleep(BOOT)
                instance.server = await host.net.start_server(fleet.serve(name), port=80)

            fleet.booting = asyncio.create_task(come_up())
            return instance

        return start

    def serve(self, name):
        async def serve(reader, writer):
            writer.write(f"{name}:".encode() + await reader.readline())
            await writer.drain()
            writer.close()

        return serve

    async def ask(self, port=80, address="10.0.0.1"):
        reader, writer = await self.client.net.open_connection(address, port)
        writer.write(b"hello\n")
        try:
            return await reader.read()
        finally:
            writer.close()

    async def resolve(self, name):
        net = self.client.net
        async with Resolver(net, net, ["10.0.0.1"]) as resolver:
            return (await resolver.resolve(name, "A")).addresses

    def run(self, story, **service):
        """`story(appliance)`, with every service behind 10.0.0.1, on ports 80, 81, …"""

        async def main():
            async with netstack.open_world(self.world):
                services = [
                    Service(f"{name}.test", "10.0.0.1", self.start(name), ports=(80,) if i == 0 else (80 + i,), **service)
                    for i, name in enumerate(self.hosts)
                ]
                appliance = JustInTime(self.front.net, services, **self.said)
                async with appliance:
                    await appliance.listen()
                    result = await story(appliance)
                assert not self.running
                return result

        return netstack.run_virtual(main())


def elapsed():
    return asyncio.get_running_loop().time()


def test_the_first_client_waits_for_the_start_and_the_second_does_not(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        began = elapsed()
        assert await fleet.resolve("www.test") == ["10.0.0.1"]
        answered = elapsed() - began
        assert await fleet.ask() == b"www:hello\n"
        first = elapsed() - began
        assert await fleet.ask() == b"www:hello\n"
        second = elapsed() - began - first
        assert answered < 0.1 and BOOT < first < BOOT + 0.3 and second < 0.1
        counts = appliance.counts
        assert (counts.answered, counts.held, counts.handed, counts.refused) == (1, 2, 2, 0)
        assert appliance.lives["www.test"].counts.took == pytest.approx(BOOT, abs=0.2)

    fleet.run(story)
    assert fleet.started == ["www"] and fleet.stopped == ["www"]


def test_a_held_syn_is_answered_without_waiting_for_its_repetition(seed):
    """It is repeated after 1 s, then 3 s, then 7 s: the service is up after 3 s and the client talks to it at once."""
    fleet = Fleet(seed)

    async def story(appliance):
        began = elapsed()
        await fleet.ask()
        return elapsed() - began

    assert fleet.run(story) < BOOT + 0.3  # the next repetition would come at 7 s


def test_those_who_come_at_once_start_it_once(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        names = [fleet.resolve("WWW.test") for _ in range(5)]
        asked = await asyncio.gather(*names, *(fleet.ask() for _ in range(20)))
        assert asked == [["10.0.0.1"]] * 5 + [b"www:hello\n"] * 20

    fleet.run(story)
    assert fleet.started == ["www"]


def test_it_stops_when_it_is_idle_and_starts_again(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        await fleet.ask()
        await asyncio.sleep(9)
        await fleet.ask()  # it is used: another ten seconds
        await asyncio.sleep(9)
        assert fleet.running == {"www"}
        await asyncio.sleep(2)
        assert fleet.running == set() and appliance.lives["www.test"].state is State.DOWN
        assert await fleet.ask() == b"www:hello\n"

    fleet.run(story, idle=10)
    assert fleet.started == ["www"] * 2


def test_a_connection_that_is_open_keeps_it_up(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        reader, writer = await fleet.client.net.open_connection("10.0.0.1", 80)
        await asyncio.sleep(100)
        assert fleet.running == {"www"}
        writer.write(b"still there\n")
        assert await reader.read() == b"www:still there\n"
        writer.close()
        await asyncio.sleep(30)
        assert fleet.running == set()

    fleet.run(story, idle=10)


def test_a_start_that_fails_is_answered_honestly_and_not_tried_for_each_packet(seed):
    fleet = Fleet(seed)
    fleet.fails = True

    async def story(appliance):
        assert await fleet.resolve("www.test") == ["10.0.0.1"]  # nobody could know yet
        for _ in range(3):
            with pytest.raises((Refused, BrokenError)):
                await fleet.ask()
        assert fleet.started == ["www"]
        with pytest.raises(ServerFailure):
            await fleet.resolve("www.test")
        fleet.fails = False
        await asyncio.sleep(6)
        assert await fleet.ask() == b"www:hello\n"
        assert appliance.lives["www.test"].counts.failures == 1

    fleet.run(story)


def test_one_that_never_comes_up_is_ended_and_its_clients_are_refused(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        began = elapsed()
        with pytest.raises((Refused, BrokenError)):
            await fleet.ask()
        assert 2 <= elapsed() - began < 2.5
        assert fleet.stopped == ["www"] and not fleet.running
        fleet.booting.cancel()

    fleet.run(story, patience=2)


def test_no_more_than_so_many_exist_and_an_idle_one_makes_way(seed):
    fleet = Fleet(seed, ("a", "b", "c"), places=2)

    async def story(appliance):
        _, writer = await fleet.client.net.open_connection("10.0.0.1", 80)
        assert await fleet.ask(81) == b"b:hello\n"
        await asyncio.sleep(1)  # until that connection is over for the appliance, too
        assert await fleet.ask(82) == b"c:hello\n"  # b makes way, a is in use
        assert fleet.running == {"a", "c"} and fleet.stopped == ["b"]
        other = await fleet.client.net.open_connection("10.0.0.1", 82)
        with pytest.raises((Refused, BrokenError)):
            await fleet.ask(81)
        with pytest.raises(ServerFailure):
            await fleet.resolve("b.test")
        for each in (writer, other[1]):
            each.close()

    fleet.run(story)
    assert fleet.most == 2


def test_no_more_syns_are_held_than_it_is_said(seed):
    fleet = Fleet(seed, waiting=3)

    async def story(appliance):
        asked = await asyncio.gather(*(fleet.ask() for _ in range(8)), return_exceptions=True)
        assert sum(each == b"www:hello\n" for each in asked) == 3
        assert sum(isinstance(each, Refused | BrokenError) for each in asked) == 5
        assert appliance.counts.refused == 5
        assert await fleet.ask() == b"www:hello\n"

    fleet.run(story)


def test_a_client_that_gives_up_is_forgotten_and_the_service_comes_up(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await fleet.ask()
        await asyncio.sleep(BOOT)
        assert appliance.counts.handed == 0 and appliance.counts.gone == 1
        assert appliance.lives["www.test"].callers == 0 and fleet.running == {"www"}

    fleet.run(story)


def test_an_appliance_that_is_closed_refuses_who_waits_and_leaves_nothing_running(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        asking = asyncio.create_task(fleet.ask())
        await asyncio.sleep(1)
        await appliance.aclose()
        with pytest.raises((Refused, BrokenError)):
            await asking
        fleet.booting.cancel()

    fleet.run(story)


def test_what_is_not_an_address_is_no_visit(seed):
    fleet = Fleet(seed)

    async def story(appliance):
        net = fleet.client.net
        async with Resolver(net, net, ["10.0.0.1"]) as resolver:
            for kind in ("AAAA", "MX"):
                with pytest.raises(OSError):
                    await resolver.resolve("www.test", kind)

    fleet.run(story)
    assert fleet.started == []


def test_services_that_can_not_be_told_apart_are_refused():
    async def start():
        raise AssertionError

    one = Service("a.test", "10.0.0.1", start)
    for other in (Service("A.test", "10.0.0.2", start), Service("b.test", "10.0.0.1", start)):
        with pytest.raises(UsageError):
            JustInTime(None, [one, other])
    with pytest.raises(UsageError):
        Service("a.test", "10.0.0.1", start, ports=())
    with pytest.raises(UsageError):
        JustInTime(None, [one], places=0)


def test_a_service_at_an_address_that_the_net_has_not_got_is_refused_in_words():
    async def start():
        raise AssertionError

    async def main():
        async with (
            netstack.open("loopback:", addresses=["10.0.0.1/24"]) as net,
            JustInTime(net, [Service("a.test", "10.0.0.9", start)]) as appliance,
        ):
            with pytest.raises(UsageError, match=r"a\.test is at 10\.0\.0\.9.*give the net that address.*it has .*10\.0\.0\.1"):
                await appliance.listen()

    netstack.run(main())
