"""What every test may use: the seed, a network namespace of its own, and an honest account of what did not run.

    seed            an int; from --seed, else different in each run; printed when a test that uses it fails
    netns           a network namespace with `ip` and /dev/net/tun working in it; the host's network is never touched
    needs_tap       mark: the test talks to a real kernel through a tap, in a namespace (`netns` implies it)
    needs("curl")   mark: the test runs these programs
"""

import functools
import gc
import itertools
import os
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
from netns import Namespace, namespace_command

import netstack

FINISHED = itertools.count(1)
INSTALL = {  # program: Debian package
    "ip": "iproute2",
    "ss": "iproute2",
    "ping": "iputils-ping",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "nsd": "nsd",
    "unbound": "unbound",
    "ldns-signzone": "ldnsutils",
    "dnssec-signzone": "bind9-utils",
}

# a shared machine may sleep in the middle of an example; what bounds an example is pytest-timeout
hypothesis.settings.register_profile("netstack", deadline=None, print_blob=True)
hypothesis.settings.load_profile("netstack")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if not pluginmanager.has_plugin("netsim"):  # a checkout that nobody installed has no entry points
        pluginmanager.import_plugin("netstack.netsim.plugin")
    parser.addoption("--seed", type=int, help="the seed of tests that roll dice; a failing run prints its own")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*programs): runs these programs")
    config.addinivalue_line("markers", "once: the build makes no difference to it, or its cost is real programs': see ONCE")
    config.addinivalue_line("markers", "needs_tap: talks to a real kernel through a tap device in a network namespace")
    if config.option.seed is None:
        config.option.seed = secrets.randbits(32)


def pytest_report_header(config: pytest.Config) -> list[str]:
    info = netstack.build_info()
    expected = os.environ.get("NETSTACK_EXPECT")
    return [
        f"netstack: the {info.build} build on Python {info.python}" + (f" (expected: {expected})" if expected else ""),
        f"seed: {config.option.seed} (--seed)",
    ]


# -- what this machine can do ------------------------------------------------------------------------------------------------


def missing_program(name: str) -> str:
    """Why `name` can't be run, and what to do; an empty string when it can."""
    if shutil.which(name):
        return ""
    return f"{name} is not installed: make tools, or install {INSTALL.get(name, name)}"


@functools.cache
def tap_problem() -> str:
    """Why no tap can be made in a namespace here, and what to do; an empty string when one can."""
    for program in ("unshare", "nsenter", "ip"):
        if problem := missing_program(program):
            return problem
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun can't be opened: modprobe tun; in a container pass --device /dev/net/tun"
    probe = [*namespace_command(), "ip", "tuntap", "add", "dev", "probe0", "mode", "tap"]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=20)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        return f"no tap in a network namespace ({said}): run as root, or allow unprivileged user namespaces"
    return ""


# Where both builds are tested, one leaves these to the other (tests/both.py): the rules of the house, which read the source,
# and long conversations with other people's programs. What they'd find in one build only, the tests of their rooms find in both
ONCE = os.environ.get("NETSTACK_ONCE") == "elsewhere"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if ONCE:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("once")])
        items[:] = [item for item in items if not item.get_closest_marker("once")]
    for item in items:
        problems = [missing_program(name) for mark in item.iter_markers("needs") for name in mark.args]
        if item.get_closest_marker("needs_tap") or "netns" in getattr(item, "fixturenames", ()):
            problems.append(tap_problem())
        for problem in dict.fromkeys(filter(None, problems)):
            item.add_marker(pytest.mark.skip(reason=problem))


def pytest_collection_finish() -> None:
    """Twelve thousand tests are a million objects that live to the end. Many ask the collector whether theirs are gone, and each
    would wait half a second for it to look at all of them: with this the suite takes half the time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    """What pytest keeps of each test that has run grows to as much again: now and then it is put with the rest."""
    if next(FINISHED) % 200 == 0:
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nothing is skipped in silence: how many, why, and how to get them."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("not run")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5}  {reason}")


# -- fixtures ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed for this test's `random.Random`."""
    return int(request.config.option.seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed and "seed" in getattr(item, "fixturenames", ()):
        report.sections.append(("seed", f"repeat this run with --seed {item.config.option.seed}"))
    return report


@pytest.fixture
def netns() -> Iterator[Namespace]:
    """A network namespace of the test's own, loopback up."""
    namespace = Namespace()
    yield namespace
    namespace.close()
