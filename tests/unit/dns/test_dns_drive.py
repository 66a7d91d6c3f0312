"""The driver: jobs over real stacks in a world, on both runtimes; streams are shared, and nothing is left behind."""

import random

import pytest
from dns_world import MS, RUNTIMES, SECOND, Says, record, response, world

from netstack.dns import name
from netstack.dns.client.drive import Driver
from netstack.dns.client.pipes import IDLE
from netstack.dns.message import Question
from netstack.dns.resolve.job import Outcome, Settled
from netstack.dns.resolve.query import Answered, GaveUp, Query, QueryConfig
from netstack.dns.resolve.upstream import Upstream
from netstack.errors import ClosedError

pytestmark = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
WWW = name.parse("www.example.")
GOOD = record("www.example.", "A", "192.0.2.1")


class Asking:
    """One query as a job: the least that the driver can be given."""

    def __init__(self, *servers, seed=1, **config):
        self.query = Query(WWW, 1, servers or (Upstream("10.0.0.2"),), random.Random(seed), QueryConfig(**config))
        self.moves = []

    deadline = property(lambda self: self.query.deadline)

    def _made(self, did):
        if isinstance(did, Answered):
            return Settled(
                Outcome(question=Question(WWW, 1), rcode=did.message.rcode, answer=tuple(did.message.answer), rtt=did.rtt)
            )
        if isinstance(did, GaveUp):
            return Settled(Outcome(question=Question(WWW, 1), rcode=2, error=(22, did.reason)))
        return did

    def start(self, now):
        return self._made(self.query.start(now))

    def moved(self, source):
        self.moves.append(source)
        self.query.moved(source)

    def datagram(self, *said):
        return self._made(self.query.datagram(*said))

    def message(self, *said):
        return self._made(self.query.message(*said))

    def failed(self, *said):
        return self._made(self.query.failed(*said))

    def expired(self, *said):
        return self._made(self.query.expired(*said))

    def cancel(self):
        self.query.cancel()


def honest(q, over_stream):
    return response(q, GOOD)


def test_a_datagram_is_answered_and_its_port_is_closed(on):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            says = await Says(honest).start(server)
            driver = Driver(client, client)
            outcome = await driver.run(Asking())
            assert (outcome.rcode, outcome.answer, says.asked) == (0, (GOOD,), [("www.example.", 1, False)])
            assert outcome.rtt >= 10 * MS
            await driver.aclose()
            await says.aclose()
            assert not client.stack.udp.ports

    on.run(test)


def test_a_taken_port_is_replaced_and_the_job_is_told(on):
    async def test(on):
        async with world("client", "server") as (client, server):
            says = await Says(honest).start(server)
            job = Asking()
            other = Asking()
            taken = await client.bind_datagrams(other.start(0).source, remote=("10.0.0.2", 53))
            outcome = await Driver(client, client).run(job)
            assert outcome.answer == (GOOD,) and len(job.moves) == 1 and job.moves[0] != taken.local_address[1]
            await taken.aclose()
            await says.aclose()

    on.run(test)


def test_a_silent_server_is_left_at_the_deadline_and_a_refusing_one_at_once(on):
    async def test(on):
        async with world("client", "silent", "refusing", "server") as (client, silent, _, server):
            quiet = await Says(lambda q, over_stream: None).start(silent)
            says = await Says(honest).start(server)
            driver = Driver(client, client)
            start = on.now()
            job = Asking(Upstream("10.0.0.2"), Upstream("10.0.0.3"), Upstream("10.0.0.4"))
            outcome = await driver.run(job)
            assert outcome.answer == (GOOD,)
            assert 400 * MS <= on.now() - start < 420 * MS
            assert (job.query.mib.Timeouts, job.query.mib.Unreachable) == (1, 1)
            await says.aclose()
            await quiet.aclose()

    on.run(test)


def test_where_there_is_no_way_the_job_gives_up(on):
    async def test(on):
        async with world("client") as (client,):
            job = Asking(Upstream("192.0.2.53"))
            outcome = await Driver(client, client).run(job)
            assert outcome.rcode == 2 and job.query.mib.Unreachable >= 1

    on.run(test)


def test_queries_share_a_stream_and_answers_may_come_in_any_order(on):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            says = await Says(honest).start(server)
            driver = Driver(client, client)
            jobs = [Asking(seed=3, stream_only=True) for _ in range(8)]  # all with the same id
            outcomes = await on.together(*(lambda job=job: driver.run(job) for job in jobs))
            assert all(outcome.answer == (GOOD,) for outcome in outcomes)
            assert says.streams == 1 and len({m.id for m in says.messages}) == 8
            await driver.aclose()
            await says.aclose()

    on.run(test)


def test_an_idle_stream_is_closed(on):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            says = await Says(honest).start(server)
            driver = Driver(client, client)
            await driver.run(Asking(stream_only=True))
            await on.sleep(IDLE / SECOND - 1)
            await driver.run(Asking(stream_only=True, seed=2))
            assert says.streams == 1
            await on.sleep(IDLE / SECOND + 1)
            assert not any(row["state"] == "ESTABLISHED" for row in client.connections())
            await driver.run(Asking(stream_only=True, seed=3))
            assert says.streams == 2
            await driver.aclose()
            await says.aclose()

    on.run(test)


def test_a_stream_that_the_server_has_closed_is_opened_anew_without_a_failure(on):
    async def test(on):
        async with world("client", "server", delay=5 * MS) as (client, server):
            says = await Says(honest).start(server)
            says.close_after = 1
            driver = Driver(client, client)
            jobs = [Asking(stream_only=True, seed=i) for i in range(3)]
            for job in jobs:
                assert (await driver.run(job)).answer == (GOOD,)
            assert says.streams == 3 and all(job.query.mib.Unreachable == 0 for job in jobs)
            await driver.aclose()
            await says.aclose()

    on.run(test)


def test_a_stream_that_ends_before_its_first_answer_is_a_failure(on):
    async def test(on):
        async with world("client", "server") as (client, server):

            async def rude(stream):
                await stream.receive()

            listener = await server.serve_streams(rude, 53)
            job = Asking(stream_only=True, attempts=2)
            driver = Driver(client, client)
            outcome = await driver.run(job)
            assert outcome.rcode == 2 and job.query.mib.Unreachable == 2
            await driver.aclose()
            await listener.aclose()

    on.run(test)


def test_a_cancelled_run_cancels_its_job_and_leaves_nothing(on):
    async def test(on):
        async with world("client", "silent") as (client, silent):
            quiet = await Says(lambda q, over_stream: None).start(silent)
            driver = Driver(client, client)
            for job in (Asking(), Asking(stream_only=True)):
                await on.cancelled(lambda job=job: driver.run(job), 0.2)
                assert job.deadline is None
            assert not client.stack.udp.ports
            await driver.aclose()
            with pytest.raises(ClosedError):
                await driver.run(Asking())
            await quiet.aclose()

    on.run(test)
