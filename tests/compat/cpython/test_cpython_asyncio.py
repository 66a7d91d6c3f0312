"""CPython's own test_asyncio, as installed with the interpreter, on loops that have a net.

`asyncio.txt` has the tests that pass both on asyncio's selector loop and on uvloop, with the kernel's sockets. Run it by itself
with `python -m pytest tests/compat/cpython`; what a single test says, with
`python -m tests.compat.cpython.run_asyncio asyncio NAME -v`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

HERE = Path(__file__).parent
NAMES = [line for line in (HERE / "asyncio.txt").read_text().splitlines() if line and not line.startswith("#")]

# What doesn't pass, and why. Everything else must.
EXCEPTIONS = {
    "test_events.SelectEventLoopTests.test_create_server_dual_stack": "skipped: it wants ::1, and the stack has no IPv6 yet",
}

# The loop's thread waits, inside the loop, for a thread whose TLS socket has a descriptor that the loop carries: it passes when the
# last bytes were on their way before.
EITHER = {"test_ssl.TestSSL.test_start_tls_server_1": "the loop waits for a thread that waits for the loop"}

# On uvloop these depend on which callbacks of the last turn are still to come when `run_until_complete` stops.
EITHER_ON_UVLOOP = {
    "test_ssl.TestSSL.test_handshake_timeout_handler_leak": "connection_lost may come a turn later, and the context goes then",
    "test_ssl.TestSSL.test_shutdown_timeout_handler_leak": "the same",
    "test_sslproto.SelectorStartTLSTests.test_handshake_timeout": "the same",
    "test_events.SelectEventLoopTests.test_subprocess_shell": "uvloop's own: on a busy machine the end comes before the pipes'",
}


def outcomes(base: str, names: list[str]) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.compat.cpython.run_asyncio", base, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=HERE.parents[2], check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {name.removeprefix("test.test_asyncio."): outcome for name, outcome in found.items()}


@pytest.mark.skipif(importlib.util.find_spec("test.test_asyncio") is None, reason="this interpreter came without its test package")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the list is of CPython 3.11's tests")
@pytest.mark.timeout(150)
@pytest.mark.parametrize("base", ["asyncio", "uvloop"])
def test_all_but_the_exceptions_pass(base: str) -> None:
    if base == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    assert len(NAMES) == 157
    found = outcomes(base, NAMES)
    either = EITHER | (EITHER_ON_UVLOOP if base == "uvloop" else {})
    failed = {name: outcome for name, outcome in found.items() if outcome != "pass" and name not in either}
    assert set(failed) == set(EXCEPTIONS), failed
