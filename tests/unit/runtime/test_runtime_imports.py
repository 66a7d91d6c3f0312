"""What a host imports before anything is asked of it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.once


def test_opening_a_host_starts_no_openssl_of_its_own() -> None:
    """asyncio asks for `ssl`, and can do without; nothing of ours does, until somebody speaks TLS."""
    text = """
import sys
sys.modules['_ssl'] = sys.modules['ssl'] = sys.modules['_hashlib'] = sys.modules['hashlib'] = None
import asyncio, netstack
netstack.open, netstack.Net, netstack.run
import netstack.runtime.automatic, netstack_tuntap, netstack_packet.factory
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr


def test_who_accepts_by_hand_gets_a_socket_like_the_listening_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """`mix` knows the class that threads use only by what such a socket says itself."""
    program = tmp_path / "program.py"
    program.write_text("""
import asyncio, socket
async def main():
    loop = asyncio.get_running_loop()
    listening, asking = socket.socket(), socket.socket()
    for each in (listening, asking): each.setblocking(False)
    listening.bind(("10.0.0.1", 80))
    listening.listen()
    accepting = asyncio.create_task(loop.sock_accept(listening))
    await loop.sock_connect(asking, ("10.0.0.1", 80))
    accepted, peer = await accepting
    await loop.sock_sendall(asking, b"hello")
    print(type(listening).__name__, type(accepted) is type(listening), await loop.sock_recv(accepted, 9), accepted.gettimeout())
asyncio.run(main())
""")
    words = [sys.executable, "-m", "netstack", "run", "--patch", "--net", "loopback:?address=10.0.0.1/24", str(program)]
    done = subprocess.run(words, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout == "StackSocket True b'hello' 0.0\n", done.stderr
