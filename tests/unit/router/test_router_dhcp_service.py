"""Leases that outlive the router."""

import json
import random

import pytest

from netstack.address import Cidr, Ip4
from netstack.dhcp.onstack import ClientOnStack
from netstack.dhcp.server import FOR_EVER, DhcpConfig
from netstack.errors import UsageError
from netstack.instant import SECOND, Duration
from netstack.router.services.dhcp import DhcpService, load
from netstack.stack import Stack
from netstack.testing.net import World, WorldTurn

OWN = Cidr.parse("10.0.2.2/24")


class Net:
    """What the service needs of one."""

    def __init__(self, world, stack):
        self.stack = stack
        self.turn = WorldTurn(world.clock)
        self.now = lambda: world.now


def a_router(path="", seed=1, wall=lambda: 1_000_000.0, **said):
    world = World(seed=seed)
    host = world.host("router", str(OWN))
    said = {"first": Ip4.parse("10.0.2.100"), "last": Ip4.parse("10.0.2.110"), "lease": Duration(600 * SECOND)} | said
    service = DhcpService(Net(world, host.stack), DhcpConfig(own=OWN, **said), path=str(path), wall=wall)
    service.start()
    return world, service


def a_guest(world, name):
    stack = Stack(world.wire.port(name), now=world.now, rng=random.Random(name))
    world.clock.add(stack, name)
    client = ClientOnStack(stack, WorldTurn(world.clock), random.Random(name), hostname=name)
    client.start(world.now)
    return client


def test_leases_are_in_the_file_a_second_later_and_known_after_a_restart(tmp_path):
    path = tmp_path / "leases.json"
    world, _ = a_router(path)
    a_guest(world, "web")
    world.run(world.now + SECOND // 2)
    assert load(str(path), 0) == []
    world.run(world.now + SECOND)
    assert [each.hostname for each in load(str(path), 1_000_000.0)] == ["web"]
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    # no farewell: the process died
    _, again = a_router(path, 2, wall=lambda: 1_000_100.0)
    (row,) = again.table()
    assert (row["address"], row["hostname"]) == ("10.0.2.100", "web")
    assert 498 <= row["left"] <= 500
    assert again.address_of("web") == Ip4.parse("10.0.2.100")
    assert again.hostname_of(Ip4.parse("10.0.2.100")) == "web"
    assert again.hostname_of(Ip4.parse("10.0.2.101")) == ""
    _, later = a_router(path, 3, wall=lambda: 1_009_000.0)
    assert later.table() == []


def test_closing_writes_what_has_not_been_written(tmp_path):
    path = tmp_path / "leases.json"
    world, service = a_router(path, lease=FOR_EVER)
    a_guest(world, "web")
    world.run(world.now + SECOND // 10)
    service.close()
    assert json.loads(path.read_text())["leases"][0]["ends"] == "never"
    _, again = a_router(path, 2, lease=FOR_EVER)
    assert again.table()[0]["left"] is None


ROW = '{"version":1,"leases":[{"address":%s,"client":%s,"guest":"","mac":"","hostname":"","ends":9e9}]}'
FILES = [
    "x",
    "[]",
    "{}",
    '{"version": 2, "leases": []}',
    '{"version": 1, "leases": [{}]}',
    '{"version": 1, "leases": 3}',
    "[" * 100_000,
    "\xff",
    ROW % ('"10.0.2.100"', '"zz"'),
    ROW % ('"10.0.2"', '"01"'),
    ROW % ("1", '"01"'),
]


@pytest.mark.parametrize("text", FILES)
def test_another_file_is_left_alone(tmp_path, text):
    path = tmp_path / "leases.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError):
        a_router(path)
    assert path.read_text(encoding="latin-1") == text


def test_a_file_that_can_not_be_written_is_said_at_the_start_and_logged_once_later(tmp_path, caplog):
    with pytest.raises(OSError):
        a_router(tmp_path / "nowhere" / "leases.json")
    folder = tmp_path / "there"
    folder.mkdir()
    world, service = a_router(folder / "leases.json")
    (folder / "leases.json").unlink()
    folder.rmdir()
    a_guest(world, "one")
    world.run(world.now + 2 * SECOND)
    a_guest(world, "two")
    world.run(world.now + 2 * SECOND)
    assert caplog.text.count("leases can't be written") == 1
    assert len(service.table()) == 2
