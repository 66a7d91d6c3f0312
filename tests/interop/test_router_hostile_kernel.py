"""Two namespaces on one router, one of them with raw sockets and no manners, as kernels' own taps carry it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from netns import Namespace
from test_router_guests import PYTHON, ended, guest, router

pytestmark = [pytest.mark.needs_tap, pytest.mark.needs("ip")]

ROOT = str(Path(__file__).parents[2])
# what the other guest works with: a stream without an end, and who answers each word; at the host's loopback
SERVE = """
import asyncio
BLOCK = bytes(range(251)) * 261
async def pour(reader, writer):
    while True:
        writer.write(BLOCK)
        await writer.drain()
async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
async def main():
    await asyncio.start_server(pour, "127.0.0.1", 8000)
    await asyncio.start_server(echo, "127.0.0.1", 8001)
    print("listening", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
WORK = """
import asyncio, time
BLOCK = bytes(range(251)) * 2000
async def main():
    got, slowest, words = 0, 0.0, 0
    async def take():
        nonlocal got
        reader, writer = await asyncio.open_connection("10.0.2.2", 8000)
        while True:
            piece = await reader.read(1 << 18)
            at = got % 251
            assert piece and piece == BLOCK[at : at + len(piece)], f"wrong bytes at {got}"
            got += len(piece)
    task = asyncio.create_task(take())
    reader, writer = await asyncio.open_connection("10.0.2.2", 8001)
    print("at work", flush=True)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        began = time.monotonic()
        writer.write(b"word")
        assert await reader.readexactly(4) == b"word"
        slowest = max(slowest, time.monotonic() - began)
        words += 1
        assert not task.done(), task.exception()
        await asyncio.sleep(0.005)
    print(got, words, slowest)
asyncio.run(main())
"""


def stats(path: str) -> dict[str, dict[str, int]]:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        s.sendall(b"GET /stats HTTP/1.0\r\nHost: tap\r\n\r\n")
        body = b"".join(iter(lambda: s.recv(65536), b"")).partition(b"\r\n\r\n")[2]
    found: dict[str, dict[str, int]] = json.loads(body)
    return found


def test_a_namespace_that_sends_what_it_likes_disturbs_no_other(netns: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    with (
        guest(netns) as (one, first),
        guest(netns) as (two, second),
        # of each connection that the hostile one leaves it complains, at length: a pipe that nobody reads would stop it
        ended(netns.start(sys.executable, "-c", SERVE, stderr=subprocess.DEVNULL)) as server,
        router(netns, "--netns", one, "--netns", two, "--config-net", "--map-host-loopback", "--control", path),
    ):
        assert server.stdout is not None and server.stdout.readline() == "listening\n"
        netns.run(*second, "ip", "link", "set", "tap0", "address", "02:ee:00:00:00:01", check=True)
        mac = json.loads(netns.run(*first, "ip", "-j", "link", "show", "tap0").stdout)[0]["address"]
        with ended(netns.start(*first, sys.executable, "-c", WORK)) as work:
            assert work.stdout is not None and work.stdout.readline() == "at work\n"
            environment = [*PYTHON[:1], f"PYTHONPATH={ROOT}", *PYTHON[2:]]
            evil = netns.run(*second, *environment, f"{ROOT}/tests/interop/hostile_guest.py", mac)
            assert evil.returncode == 0, evil.stderr
            out, errors = work.communicate(timeout=10)
            assert work.returncode == 0, errors
        rounds = int(evil.stdout)
        got, words, slowest = out.split()
        assert rounds > 20 and int(got) > 1 << 20 and int(words) > 3 and float(slowest) < 5  # the machine may be busy
        counted = stats(path)
    evils = next(group for name, group in counted.items() if name.startswith("Guest ") and group["InSpoofedIp"])
    for name in ("InSpoofedIp", "InSpoofedMac", "InRogueDhcp", "InSpoofedArp", "InOtherType"):
        assert evils[name] >= 20, (name, rounds, evils)  # the queue of a tap drops most of a flood before anybody sees it
    for group, name in (
        ("Policy", "DeniedGuarded"), ("Ip", "InMartians"), ("Ip", "ReasmLimit"), ("Ip", "ReasmTiny"), ("Ip", "InSourceRoute"),
        ("Icmp", "InForeignReports"), ("Icmp", "InRedirects"),
    ):  # fmt: skip
        assert counted[group][name] > 0, (group, name)
