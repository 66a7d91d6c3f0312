"""What befalls each of the five programs, and what must have come of it. In all of them half a minute of 20 % loss, a partition of
40 seconds, half a minute more, a crash of the server that lasts ten seconds; who is done earlier is not asked enough.

The programs (programs/) know nothing of this: they are what people write, with the patience that networks ask for.
"""

import asyncio

import asyncssh
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from netstack.netsim import run
from tests.worlds.programs import chat, counters, jobs, shop, terminal

WEATHER = {"loss": 0.2, "delay": "40ms"}


async def hard_times(netsim, server, others, sleep=asyncio.sleep):
    await sleep(30)
    netsim.partition(server, others)
    await sleep(40)
    netsim.heal()
    await sleep(30)
    netsim.crash(server)
    await sleep(10)
    netsim.restart(server)


async def sells_tea(netsim, folder):
    """aiohttp: what was ordered is ordered once, and in the books."""
    server, till = netsim.host("shop"), netsim.host("till")
    server.start(shop.serve, folder / "orders")
    day = till.start(shop.day, "http://shop:8080", 40)
    await hard_times(netsim, server, [till])
    assert not day.done
    receipts, books, retries = await day
    assert books == receipts
    assert [order["what"] for order in books] == [f"tea for customer {n}" for n in range(40)]
    assert retries >= 3


async def counts_visitors(netsim, folder):
    """redis: nobody is lost, nobody counts twice."""
    server = netsim.host("redis")
    server.start(counters.serve, folder / "appendonly")
    webs = [netsim.host(f"web{n}") for n in range(3)]
    visits = [web.start(counters.visits, "redis", web.name, 80) for web in webs]
    await hard_times(netsim, server, webs)
    assert not any(each.done for each in visits)
    for each in visits:
        assert await each == (80, "visitor-79")


def key(number):
    private = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))
    return asyncssh.import_private_key(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))


async def follows_a_log(netsim, folder):
    """asyncssh: a log without a gap, and a sum, in as many sessions as it takes."""
    server, laptop = netsim.host("server"), netsim.host("laptop")
    host_key, own_key = key(1), key(2)
    server.start(terminal.serve, host_key, own_key.convert_to_public())
    log = laptop.start(terminal.follow, "server", own_key, host_key)
    total = laptop.start(terminal.add, "server", own_key, host_key, range(2000))
    await hard_times(netsim, server, [laptop])
    assert not log.done
    lines, sessions = await log
    assert lines == [f"line {n}" for n in range(60)]
    assert sessions >= 3
    assert await total == sum(range(2000))


async def chats(netsim, folder):
    """websockets: ten guests hear all the same in the same order."""
    server = netsim.host("room")
    server.start(chat.serve, folder / "minutes")
    guests = [chat.Guest(f"guest{n}", 8, 80) for n in range(10)]
    hosts = [netsim.host(guest.name) for guest in guests]
    visits = [host.start(guest.attend, "ws://room:8765") for host, guest in zip(hosts, guests, strict=True)]
    await hard_times(netsim, server, hosts[5:])
    for each in visits:
        await each
    assert all(guest.heard == guests[0].heard for guest in guests)
    assert sorted(line["text"] for line in guests[0].heard) == sorted(f"guest{n} says {m}" for n in range(10) for m in range(8))
    assert all(guest.visits >= 2 for guest in guests)


async def shares_work(netsim, folder):
    """trio: each job done, whoever was given it."""
    server = netsim.host("queue")
    results = folder / "results"
    server.start(jobs.serve, results, 100)
    workers = [netsim.host(f"worker{n}") for n in range(4)]
    works = [worker.start(jobs.work, "queue", worker.name) for worker in workers]
    await hard_times(netsim, server, workers, trio.sleep)
    assert not any(each.done for each in works)
    done = [await each for each in works]
    assert sum(done) >= 100
    assert jobs.Queue(results, 100).results == {str(n): n**2 for n in range(100)}


STORIES = {"aiohttp": sells_tea, "redis": counts_visitors, "asyncssh": follows_a_log, "websockets": chats, "trio": shares_work}


def told(name, folder, seed):
    """One story from its beginning to its end: an Outcome, of a world that began in an empty folder."""
    for file in folder.iterdir():
        file.unlink()
    runtime = "trio" if name == "trio" else "asyncio"
    outcome = run(lambda netsim: STORIES[name](netsim, folder), seed=seed, faults=WEATHER, runtime=runtime)
    assert outcome.ok, outcome.traceback
    return outcome
