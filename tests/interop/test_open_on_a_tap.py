"""`netstack.open` on a real device: usable on entering, nothing left on leaving."""

from __future__ import annotations

import pytest
from lab import KERNEL, STACK, laboratory

pytestmark = pytest.mark.needs_tap

OPEN_AND_LEAVE = """
import asyncio, gc, os, socket, sys, warnings
import netstack

warnings.simplefilter("error")

async def answer(reader, writer):
    writer.write(await reader.readline())
    writer.close()

def ask(address):
    with socket.create_connection((address, 7000), timeout=5) as s:
        s.sendall(b"hello\\n")
        return s.makefile("rb").read()

async def main():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, len, "")
    before = None
    for _ in range(5):
        async with netstack.open("tap:tap0", addresses=[sys.argv[1] + "/24"], gateway=sys.argv[2]) as net:
            await net.start_server(answer, port=7000)
            assert await loop.run_in_executor(None, ask, sys.argv[1]) == b"hello\\n"
            await net.udp(5000)
            await net.ping(sys.argv[2])
            waiting = asyncio.ensure_future(net.open_connection(sys.argv[2], 9))
            assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], ConnectionRefusedError)
        gc.collect()
        left = (set(os.listdir("/proc/self/fd")), asyncio.all_tasks() - {asyncio.current_task()})
        assert before is None or left == before, (before, left)
        assert not [handle for handle in loop._scheduled if not handle.cancelled()], loop._scheduled
        before = left
    print("nothing left")

asyncio.run(main())
"""


def test_a_net_on_a_tap_works_at_once_and_leaves_no_descriptor_task_or_timer() -> None:
    with laboratory() as lab:
        assert lab.python(OPEN_AND_LEAVE, STACK, KERNEL).strip() == "nothing left"
