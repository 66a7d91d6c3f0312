"""A question of a client starts a process, and, where there is QEMU, a machine: both real. The client's stack and the appliance's
are joined by a unix socket, so nothing of the host's network is touched."""

import asyncio
import sys
import time
from pathlib import Path

import imagelab as lab
import pytest

import netstack
from netstack.dns.client.resolver import Resolver
from netstack.justintime.appliance import JustInTime
from netstack.justintime.instances import image, process
from netstack.justintime.service import Service

pytestmark = [pytest.mark.once]
CLIENT, FRONT = "10.90.0.9/24", "10.90.0.1"


async def story(folder: Path, service: Service, patience: float) -> "list[float]":
    """Seconds until the name was answered, the first page was there, and the second; then it is waited for its end."""
    path = folder / "cable"
    times = []
    ours = f"qemu:{path},server?address={FRONT}/24&mac=02:00:00:00:00:01"
    theirs = f"qemu:{path},client?address={CLIENT}&mac=02:00:00:00:00:02"
    async with netstack.open(ours) as front, netstack.open(theirs) as client, JustInTime(front, [service]) as appliance:
        await appliance.listen()
        began = time.monotonic()
        async with Resolver(client, client, [FRONT]) as resolver:
            assert (await resolver.resolve("appliance.test", "A")).addresses == [FRONT]
        times.append(time.monotonic() - began)
        for _ in range(2):
            asked = time.monotonic()
            page = await lab.page(client, patience, FRONT)
            assert page.startswith(b"HTTP/1.1 200 OK") and page.endswith(b"machine of its own</h1>\n"), page
            times.append(time.monotonic() - asked)
        life = appliance.lives["appliance.test"]
        assert life.counts.starts == 1 and appliance.counts.refused == 0
        async with asyncio.timeout(20):
            while life.counts.stops == 0:
                await asyncio.sleep(0.05)
    print(f"name {times[0]:.3f} s, first page {times[1]:.3f} s, second {times[2]:.3f} s")
    return times


@pytest.mark.timeout(60)
def test_a_process_is_started_by_a_question_and_ended_when_it_is_idle(tmp_path, free_port):
    words = [sys.executable, str(lab.APPLIANCE), str(free_port), str(free_port)]
    service = Service("appliance.test", FRONT, process(*words, port=free_port), idle=0.3)
    times = asyncio.run(story(tmp_path, service, 30))
    assert times[0] < times[1] and times[2] < times[1]


@pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "all is there")
@pytest.mark.timeout(180)
def test_a_machine_is_started_by_a_question_and_switched_off_when_it_is_idle(tmp_path):
    kernel, why = lab.kernel()
    if kernel is None:
        pytest.skip(why)
    made = lab.image(tmp_path, kernel, packed=False)
    start = image(made, extra=("-accel", "tcg"))
    times = asyncio.run(story(tmp_path, Service("appliance.test", FRONT, start, idle=0.3, patience=120), 120))
    assert times[2] < times[1]


@pytest.fixture
def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
