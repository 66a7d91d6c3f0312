"""Programs that do anything, to any of their connections, from inside any callback, over a bad wire: nothing is raised but what is
promised, each is told of its end once and of nothing after it, and nothing is left behind."""

from __future__ import annotations

import random

import pytest

from netstack.adapters import PyStreamUser
from netstack.cores import StreamUser
from netstack.errors import AddressInUse, BrokenError, ClosedError, Unreachable
from netstack.instant import MILLISECOND, SECOND
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.testing.net import Host, World

QUICK = TcpConfig(
    retries=5, orphan_retries=3, syn_retries=3, synack_retries=2, fin_timeout=5 * SECOND, time_wait=2 * SECOND, rcv_buf=8192
)


class Program:
    """One connection's user; `others` are all programs of its host."""

    def __init__(self, rng: random.Random, world: World, others: list[Program]) -> None:
        self.rng = rng
        self.world = world
        self.others = others
        self.conn: Connection | None = None
        self.events: list[str] = []
        self.user: StreamUser = PyStreamUser(self)
        self.calm = False
        others.append(self)

    def saw(self, event: str) -> None:
        assert "closed" not in self.events, f"{event} after {self.events}"
        self.events.append(event)
        if not self.calm and self.rng.random() < 0.5:
            self.act()

    def act(self) -> None:
        rng, now = self.rng, self.world.now
        conn = self.conn if rng.random() < 0.8 else rng.choice(self.others).conn
        if conn is None:
            return
        what = rng.random()
        try:
            if what < 0.5:
                conn.write(bytes(rng.choice((0, 1, 100, 5000, 30_000))), now)
            elif what < 0.7:
                conn.pause(now)
                self.world.clock.call_later(rng.randrange(300) * MILLISECOND, lambda: conn.resume(self.world.now))
            elif what < 0.8:
                conn.resume(now)
            elif what < 0.9:
                conn.shutdown(now)
            elif what < 0.95:
                conn.close(now)
            elif what < 0.97:
                conn.abort(now)
            else:
                conn.set_nodelay(True, now)
                conn.set_keepalive(SECOND, SECOND, 2, now)
        except (ClosedError, BrokenError):
            pass

    def on_connected(self, now: int) -> None:
        self.saw("connected")

    def on_data(self, data: bytes, now: int) -> None:
        assert data
        self.saw("data")

    def on_eof(self, now: int) -> None:
        self.saw("eof")

    def on_writable(self, now: int) -> None:
        self.saw("writable")

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.saw("closed")


@pytest.mark.parametrize("case", range(10))
def test_programs_may_do_anything_from_any_callback(case: int, seed: int) -> None:
    rng = random.Random(f"{seed} {case}")
    world = World(seed=seed + case, loss=rng.choice((0, 0.05, 0.2)), delay=rng.choice((0, MILLISECOND, 20 * MILLISECOND)))
    hosts = [world.host(name, config=StackConfig(tcp=QUICK)) for name in ("a", "b")]
    programs: dict[str, list[Program]] = {"a": [], "b": []}

    def listen(host: Host) -> None:
        def accept(conn: Connection) -> StreamUser | None:
            if rng.random() < 0.05:
                return None
            program = Program(rng, world, programs[host.name])
            program.conn = conn
            if rng.random() < 0.1:
                program.act()
            return program.user

        host.stack.tcp.listen(0, 80, accept)

    for host in hosts:
        listen(host)
    for _ in range(60):
        host = rng.choice(hosts)
        to = rng.choice((*hosts, host))  # to itself, too
        program = Program(rng, world, programs[host.name])
        try:
            program.conn = host.stack.tcp.connect(0, 0, int(to.address.address), 80, program.user, world.now)
        except (AddressInUse, Unreachable):
            programs[host.name].remove(program)
        for _ in range(rng.randrange(6)):
            rng.choice(programs[host.name]).act()
        world.rest(rng.choice((0, MILLISECOND, 50 * MILLISECOND, SECOND)))
    for _ in range(2):  # a handshake may have lost its last segment and end with the first round
        everybody = [program for some in programs.values() for program in some]
        for program in everybody:
            program.calm = True
            if program.conn is not None:
                program.conn.resume(world.now)
                program.conn.close(world.now)
        world.rest(600 * SECOND)
    for host in hosts:
        hub = host.stack.tcp.hub
        assert not hub.tables and not hub.half and not hub.waits and not hub.todo and not hub.unread and hub.count == 0
        assert host.stack.tcp.mib.CurrEstab == 0
        assert host.stack.timers.count == 0 and host.stack.idle()
    # accepted, and gone before `accept` returned: nobody was there to be told
    untold = [program for program in everybody if "closed" not in program.events]
    assert all(not program.events for program in untold) and len(untold) <= len(everybody) // 5
