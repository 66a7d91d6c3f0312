"""CPython's own tests of the module `socket`, as installed with the interpreter, on the blocking face.

`socket.socket` is substituted (netstack.patch) on a host that has its loopback and nobody else. What doesn't pass stands in
socket_exceptions.txt, with its reason; what stands there and passes is a failure too.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

WITH_TESTS = importlib.util.find_spec("test.test_socket") is not None
pytestmark = [pytest.mark.once, pytest.mark.skipif(not WITH_TESTS, reason="this interpreter came without its test package")]

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent

# in each group the classes of one process; the slow ones, which wait for real time-outs, are spread
GROUPS = {
    "tcp": "BasicTCPTest BasicTCPTest2 TCPTimeoutTest TCPCloserTest NonBlockingTCPTests ContextManagersTest BufferIOTest"
    " InheritanceTest NetworkConnectionNoServer NetworkConnectionAttributesTest NetworkConnectionBehaviourTest"
    " NonblockConstantTest TestExceptions"
    " BasicSocketPairTest",
    "udp": "BasicUDPTest UDPTimeoutTest SendmsgUDPTest RecvmsgUDPTest RecvmsgIntoUDPTest"
    " SendmsgUDP6Test RecvmsgUDP6Test RecvmsgIntoUDP6Test",
    "makefile": "FileObjectClassTestCase UnbufferedFileObjectClassTestCase LineBufferedFileObjectClassTestCase"
    " SmallBufferedFileObjectClassTestCase UnicodeReadFileObjectClassTestCase UnicodeWriteFileObjectClassTestCase"
    " UnicodeReadWriteFileObjectClassTestCase",
    "create_server": "CreateServerTest CreateServerFunctionalTest",
    "messages": "SendmsgTCPTest RecvmsgTCPTest RecvmsgIntoTCPTest",
    "interrupted": "InterruptedRecvTimeoutTest InterruptedSendTimeoutTest",
    "sendfile": "SendfileUsingSendTest SendfileUsingSendfileTest",
}


def exceptions() -> dict[str, str]:
    """`Class.test` or `Class.*`, and why."""
    found = {}
    for line in (HERE / "socket_exceptions.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition("  ")
            assert reason.strip(), f"{name} has no reason"
            found[name] = reason.strip()
    return found


@pytest.fixture(scope="module")
def outcomes():
    """Of all groups, run at the same time."""
    command = [sys.executable, "-m", "tests.compat.cpython.run_socket", "stack"]
    running = {
        group: subprocess.Popen([*command, *names.split()], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for group, names in GROUPS.items()
    }
    results = {}
    for group, process in running.items():
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        assert process.returncode == 0, f"{group}: {err[-3000:]}"
        results[group] = json.loads(out)
    return results


@pytest.mark.timeout(180)
@pytest.mark.parametrize("group", GROUPS)
def test_cpythons_tests_pass_but_for_those_that_say_why_not(outcomes, group):
    excused = exceptions()
    wrong = {}
    for name, outcome in outcomes[group]["outcomes"].items():
        listed = name in excused or f"{name.partition('.')[0]}.*" in excused
        if listed == (outcome == "pass"):
            wrong[name] = outcome
    assert wrong == {}


def test_no_kernel_socket_carried_any_of_it(outcomes):
    assert {group: result["kernel_sockets"] for group, result in outcomes.items() if result["kernel_sockets"]} == {}


def test_every_class_was_there_and_no_exception_is_left_over(outcomes):
    names = [name for result in outcomes.values() for name in result["outcomes"]]
    classes = {name.partition(".")[0] for name in names}
    assert classes == set(" ".join(GROUPS.values()).split())
    assert len(names) >= 290
    left_over = [name for name in exceptions() if name not in names and name.removesuffix(".*") not in classes]
    assert left_over == []
