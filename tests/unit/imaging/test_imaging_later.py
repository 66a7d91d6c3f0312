"""Modules that are put off, in an image."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

BEGIN = """
import sys
from netstack.imaging.guest.later import PUT_OFF, _Waiting, put_off
put_off()
for name in PUT_OFF: sys.modules.pop(name, None)
"""


def said(text: str) -> str:
    path = ":".join(filter(None, sys.path))
    done = subprocess.run([sys.executable, "-c", BEGIN + text], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_asyncio_and_the_stack_look_into_none_of_them() -> None:
    text = (
        "import asyncio, netstack.runtime.loop, netstack.runtime.loops.mix, netstack.runtime.automatic, netstack.runtime.asyncio\n"
    )
    used = {"inspect"} if sys.version_info >= (3, 14) else set()  # by asyncio.graph
    waiting = "sorted(n for n, m in sys.modules.items() if type(m) is _Waiting)"
    assert said(text + f"print('_ssl' in sys.modules, {waiting} == sorted(PUT_OFF - {used or 'set()'}))") == "False True"


def test_a_module_is_filled_by_the_first_look_and_is_one_like_others() -> None:
    for text, words in (
        (
            "import ssl\nprint(ssl.TLSVersion.TLSv1_3.name, type(ssl).__name__, ssl.__loader__ is ssl.__spec__.loader)",
            "TLSv1_3 module True",
        ),
        ("from ipaddress import IPv4Address as A\nimport ipaddress\nprint(A(1), ipaddress.IPv4Address is A)", "0.0.0.1 True"),
        ("import inspect, asyncio\nprint(hasattr(inspect, 'nothing'), asyncio.iscoroutinefunction(print))", "False False"),
        ("from asyncio import sslproto\nprint(sslproto.SSLProtocol.__name__)", "SSLProtocol"),
    ):
        assert said(text) == words


def test_threads_that_look_at_once_see_all_of_it() -> None:
    text = """
import ssl, threading
seen = []
threads = [threading.Thread(target=lambda: seen.append(ssl.SSLContext.__name__)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(seen == ['SSLContext'] * 8)
"""
    assert said(text) == "True"


def test_one_that_can_not_be_loaded_says_so_at_each_look() -> None:
    text = """
sys.modules['_ssl'] = None
import ssl
for _ in range(2):
    try: ssl.SSLContext
    except ImportError as error: print('_ssl' in str(error))
"""
    assert said(text).split() == ["True", "True"]


def test_the_stack_runs_where_ssl_was_left_out() -> None:
    """`netstack image --without ssl`."""
    text = """
for name in list(sys.modules):
    assert not name.startswith(("asyncio", "ssl"))
sys.modules['ssl'] = sys.modules['_ssl'] = None
import asyncio
import netstack.runtime.asyncio, netstack.runtime.automatic
from netstack.runtime.loop import new_event_loop
async def main():
    async def hello(reader, writer):
        writer.write(await reader.read(5)); writer.close()
    server = await asyncio.start_server(hello, "0.0.0.0", 80)
    reader, writer = await asyncio.open_connection("10.0.0.1", 80)
    writer.write(b"hello")
    print(await reader.read())
    writer.close(); server.close()
    await server.wait_closed()
loop = new_event_loop("loopback:?address=10.0.0.1/24")
loop.run_until_complete(main())
loop.close()
"""
    assert said(text) == "b'hello'"
