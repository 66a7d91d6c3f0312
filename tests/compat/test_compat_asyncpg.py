"""asyncpg on our side of a tap, a real PostgreSQL on the kernel's."""

import asyncio
import contextlib
import shutil

import pytest

from tests.compat import postgres
from tests.compat.harness import KERNELS, LOCAL, NATIVE, cells, certificate, client_tls, program

asyncpg = program("asyncpg")

PORT = 5432  # a namespace of our own has no other


@pytest.fixture(scope="module")
def cluster(namespace):
    if not namespace:
        pytest.skip("PostgreSQL needs a network namespace of this process: run as root")
    with postgres.database() as folder:
        yield folder


@pytest.fixture(scope="module")
def keys(cluster):
    (cluster / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in certificate().cert_chain_pems))
    key = cluster / "key.pem"
    certificate().private_key_pem.write_to_path(key)
    key.chmod(0o600)  # PostgreSQL reads no key that others may read
    shutil.chown(key, postgres.USER)
    return cluster


def serve(cluster, keys=None):
    """PostgreSQL knows the kernel only: it serves as the far half of a tap, or as both halves' kernel."""

    @contextlib.asynccontextmanager
    async def serve(host):
        assert host in (KERNELS, LOCAL)
        with postgres.serving(cluster, host, PORT, keys):
            yield PORT

    return serve


async def ask(host, port, tls=False):
    login = {"host": host, "port": port, "user": postgres.USER, "password": postgres.PASSWORD, "database": "postgres"}
    connection = await asyncpg.connect(**login, ssl=tls, direct_tls=False)
    try:
        assert await connection.fetchval("select current_setting('server_version_num')::int") > 100_000
        assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()") is bool(tls)
        await connection.execute("create temporary table tea (n int, name text)")
        await connection.copy_records_to_table("tea", records=[(n, f"leaf {n}" * 20) for n in range(5000)])
        assert await connection.fetchval("select sum(n) from tea") == 4999 * 5000 // 2
        rows = await connection.fetch("select * from tea order by n")
        assert rows[4999]["name"] == "leaf 4999" * 20
        async with connection.transaction():
            assert len([row async for row in connection.cursor("select n from tea where n < $1", 100)]) == 100
        with pytest.raises(asyncio.TimeoutError):  # the cancellation is a connection of its own
            await connection.execute("select pg_sleep(10)", timeout=0.1)
        assert await connection.fetchval("select 1") == 1
        heard = asyncio.get_running_loop().create_future()
        await connection.add_listener("news", lambda *said: heard.set_result(said[-1]))
        await connection.execute("notify news, 'tea is ready'")
        assert await heard == "tea is ready"
    finally:
        await connection.close()


async def ask_pool(host, port):
    login = {"host": host, "port": port, "user": postgres.USER, "password": postgres.PASSWORD, "database": "postgres"}
    async with asyncpg.create_pool(**login, ssl=False, min_size=2, max_size=4) as pool:
        assert await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(40))) == list(range(40))


@cells(
    "asyncpg",
    "queries",
    "queries, COPY, a cursor in a transaction, a cancelled statement, LISTEN",
    way=NATIVE,
    stack=False,
    taps=("client",),
)
def test_queries(where, cluster):
    where.run(serve(cluster), ask)


@cells("asyncpg", "tls", "the same over TLS", way=NATIVE, stack=False, taps=("client",))
def test_tls(where, cluster, keys):
    where.run(serve(cluster, keys), lambda host, port: ask(host, port, client_tls()))


@cells("asyncpg", "pool", "forty queries over a pool", way=NATIVE, stack=False, taps=("client",))
def test_pool(where, cluster):
    where.run(serve(cluster), ask_pool)
