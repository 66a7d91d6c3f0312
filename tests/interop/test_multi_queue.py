"""Several processes, one device, one address: each stack has a queue of its own, and the kernel keeps every flow on one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lab import KERNEL, STACK, Failed, Lab, laboratory

pytestmark = [pytest.mark.needs_tap, pytest.mark.timeout(200)]

SERVER = """
import asyncio, sys
import netstack

async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()

async def main(netif, address):
    async with netstack.open(netif, addresses=[address + "/24"]) as net:
        await net.start_server(echo, port=7)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        counters = net.counters()
        print(counters["Tcp"]["PassiveOpens"], counters["Tcp"]["OutRsts"], counters["Tcp"]["InErrs"], flush=True)

asyncio.run(main(*sys.argv[1:]))
"""

CLIENT = """
import socket, sys
connections = [socket.create_connection((sys.argv[1], 7), timeout=10) for _ in range(int(sys.argv[2]))]
files = [c.makefile("rwb") for c in connections]
for turn in range(20):
    for i, f in enumerate(files):
        f.write(b"%d of turn %d\\n" % (i, turn))
        f.flush()
    for i, f in enumerate(files):
        assert f.readline() == b"%d of turn %d\\n" % (i, turn)
for c, f in zip(connections, files):
    c.shutdown(socket.SHUT_WR)
    assert f.read() == b""
print("all served")
"""


def start(lab: Lab, netif: str) -> "subprocess.Popen[str]":
    command = [*lab.inside, sys.executable, "-c", SERVER, netif, STACK]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=lab.environment()
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.kill()
        raise Failed(process.communicate()[1])
    return process


@pytest.mark.parametrize("kind", ["tun", "tap"])
@pytest.mark.parametrize("offload", ["", "&offload=no"], ids=["offload", "plain"])
def test_two_stacks_share_an_address_and_serve_all_that_come(kind: str, offload: str) -> None:
    with laboratory() as lab:
        lab.run("ip", "link", "del", "tap0")
        netif = f"{kind}:mq0?multi_queue=yes&host={KERNEL}/24{offload}"
        stacks: list[subprocess.Popen[str]] = []
        try:
            stacks += [start(lab, netif)]
            stacks += [start(lab, netif)]
            assert lab.python(CLIENT, STACK, "100", timeout=60).strip() == "all served"
        finally:
            said = [process.communicate("end\n", timeout=20) for process in stacks]
        assert all(not err for _, err in said), said
        served, resets, errors = zip(*(map(int, out.split()) for out, _ in said), strict=True)
        assert sum(served) == 100 and min(served) >= 10, served
        assert (set(resets), set(errors)) == ({0}, {0})


def test_a_device_of_one_queue_and_one_of_many_are_refused_in_a_sentence() -> None:
    with laboratory() as lab:
        words = ("-m", "netstack", "ping", KERNEL, "-c", "1", "--address", f"{STACK}/24", "--netif")
        with pytest.raises(Failed, match="tap0 is there and is no tap device of many queues: make it one with: sudo ip tuntap del"):
            lab.run(sys.executable, *words, "tap:tap0?multi_queue=yes")
        lab.run("ip", "tuntap", "add", "dev", "mq0", "mode", "tap", "multi_queue")
        with pytest.raises(Failed, match=r"mq0 is there and is no tap device with one queue: .* say multi_queue=yes"):
            lab.run(sys.executable, *words, "tap:mq0")
