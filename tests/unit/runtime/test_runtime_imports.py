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
import netstack.runtime.automatic, netstack_tuntap.factory, netstack_packet.factory
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr
