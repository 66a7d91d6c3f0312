"""PostgreSQL on the host, and its own clients in a guest of `netstack-tap run`: large answers, COPY both ways, a cancelled query, a
server that goes away."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.compat import postgres

pytestmark = [pytest.mark.once, pytest.mark.needs_tap, pytest.mark.needs("psql", "pgbench"), pytest.mark.timeout(60)]

ROWS = 10_000  # 1 MB each way


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if os.geteuid() != 0:
        pytest.skip("PostgreSQL runs as a user of its own: run as root")
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        number: int = place.getsockname()[1]
    with postgres.database() as folder, postgres.serving(folder, "127.0.0.1", number):
        yield number


def in_guest(port: int, script: str, feed: str = "") -> "subprocess.CompletedProcess[str]":
    """A script of the shell, where `psql` means the host's database at the gateway's address."""
    path = os.pathsep.join(filter(None, sys.path))
    env = {**os.environ, "PYTHONPATH": path, "PGPASSWORD": postgres.PASSWORD, "PGUSER": postgres.USER, "PGDATABASE": "postgres"}
    env |= {"PGHOST": "10.0.2.2", "PGPORT": str(port), "PGCONNECT_TIMEOUT": "10"}
    tap = [sys.executable, "-m", "netstack.cli.tap", "run", "-q", "--map-host-loopback", "--", "sh", "-c", script]
    return subprocess.run(tap, env=env, input=feed, capture_output=True, text=True, timeout=50, check=False)


def test_a_guests_psql_finds_its_database_as_through_the_kernel(port: int) -> None:
    lines = "".join(f"{i}\t{i * i:050d}{'x' * 40}\n" for i in range(ROWS))
    script = """
        psql -qAtX -c 'CREATE TABLE t (id int PRIMARY KEY, word text)' &&
        psql -qAtX -c 'COPY t FROM STDIN' &&
        psql -qAtX -c 'SELECT count(*), sum(id) FROM t' &&
        psql -qAtX -c 'COPY (SELECT * FROM t ORDER BY id) TO STDOUT' | md5sum &&
        psql -qAtX -c "SELECT length(repeat('y', 30000000))" &&
        psql -qAtX -c "SELECT repeat('y', 3000000)" | wc -c
    """
    done = in_guest(port, script, lines)
    own = subprocess.run(["md5sum"], input=lines, capture_output=True, text=True, check=True).stdout
    count = f"{ROWS}|{ROWS * (ROWS - 1) // 2}\n"
    assert (done.stdout, done.returncode) == (f"{count}{own}30000000\n3000001\n", 0), done.stderr


def test_a_query_is_cancelled_an_ended_session_is_known_to_be_over_and_sessions_come_and_go(port: int) -> None:
    script = """
        psql -qAtX -c 'SELECT pg_sleep(40)' & asleep=$!
        until psql -qAtX -c "SELECT query FROM pg_stat_activity WHERE query LIKE '%sleep(40)' AND state = 'active'" | grep -q sleep
        do sleep 0.1; done
        kill -INT $asleep; wait $asleep
        psql -qAtX -c 'SELECT pg_terminate_backend(pg_backend_pid())'
        pgbench -n -C -c 4 -t 5 -f /dev/stdin
    """
    done = in_guest(port, script, "SELECT 1;\n")
    assert "number of transactions actually processed: 20/20" in done.stdout  # each on a connection of its own
    said = done.stderr
    assert "canceling statement due to user request" in said  # by a connection of its own, as psql asks for it
    assert "terminating connection due to administrator command" in said
