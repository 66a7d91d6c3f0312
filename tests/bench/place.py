"""A place to measure in: network namespaces that have no name, and the processes that run in them.

A namespace is an open descriptor of this process, and every process started here is killed by the kernel when this one dies: so
nothing stays behind, after Ctrl-C or worse. A namespace is made by leaving for a new one and coming back, which a process
with one thread may do.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_MS_BIND, _MNT_DETACH = 4096, 2
_LIBC = ctypes.CDLL(None, use_errno=True)

READY = 20.0  # seconds until a server has to listen
STOP = 2.0  # seconds until a server that was asked to end is killed

# The peer must not pace itself, as model-based congestion control does, and its buffers must not be what limits it
BUFFERS = {"net/ipv4/tcp_rmem": "4096 131072 33554432", "net/ipv4/tcp_wmem": "4096 131072 33554432"}
SYSCTLS = {
    "net/ipv4/tcp_congestion_control": "reno",
    "net/ipv4/ip_local_port_range": "10000 65000",
    "net/ipv4/tcp_tw_reuse": "1",
    # a client that opens twenty thousand connections a second to one who has no timestamps would soon wait for its own ports
    "net/ipv4/tcp_max_tw_buckets": "2000",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}


class Absent(Exception):
    """Something that this machine lacks; says what, in a sentence without a full stop."""


class Failed(Exception):
    """A program ended early, or said something else than it should."""


def _succeed(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A network namespace. `buffers`: generous ones for TCP, instead of the machine's own."""

    def __init__(self, buffers: bool = True) -> None:
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _succeed(_LIBC.unshare(_CLONE_NEWNET))
            try:
                self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                _tune(SYSCTLS | BUFFERS if buffers else SYSCTLS)
            finally:
                _succeed(_LIBC.setns(home, _CLONE_NEWNET))
        finally:
            os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"  # for who may look into our /proc
        self.ip("link", "set", "lo", "up")

    def close(self) -> None:
        os.close(self.fd)

    def enter(self) -> None:
        """Of a child, before it becomes the program."""
        _succeed(_LIBC.setns(self.fd, _CLONE_NEWNET))

    def has_address(self) -> bool:
        """Whether a device beside the loopback has one."""
        words = ["ip", "-4", "-o", "address", "show", "scope", "global"]
        return bool(subprocess.run(words, preexec_fn=self.enter, capture_output=True).stdout)

    def ip(self, *words: str) -> None:
        done = subprocess.run(["ip", *words], preexec_fn=self.enter, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _tune(settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        try:
            Path("/proc/sys", name).write_text(value)
        except OSError:  # not there (no IPv6), or not ours to set in a user namespace
            if "congestion" in name:
                raise Absent(f"the congestion control {value}: this kernel doesn't allow it in a network namespace") from None


class Process:
    """A program at work. What it writes to standard error is kept, for when it fails."""

    def __init__(
        self, words: Sequence[str], namespace: Namespace, cpu: int | None, environment: Mapping[str, str] | None = None
    ) -> None:
        """`cpu`: the one that it may use; None: any."""

        def prepare() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            namespace.enter()
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        self.words = words
        self.errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in `stop`)
        pythonpath = os.pathsep.join((str(ROOT), str(ROOT / "backends")))
        # without its caches Python compiles what it imports, which is no part of any figure
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.popen = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            preexec_fn=prepare,
            start_new_session=True,  # Ctrl-C is for us, who end the rest in order
            env={**inherited, "PYTHONPATH": pythonpath, **(environment or {})},
        )
        # a session is a group of the scheduler's, and shares the processor evenly with all others, however nice their processes are
        with suppress(OSError):
            Path(f"/proc/{self.popen.pid}/autogroup").write_text("-20")

    def line(self, timeout: float) -> str:
        """The next line that it prints. Raises Failed."""
        assert self.popen.stdout is not None
        if not select.select([self.popen.stdout], [], [], timeout)[0]:
            raise Failed(f"{self}: silent for {timeout:g} s{self._complaint()}")
        if line := self.popen.stdout.readline():
            return line
        self.popen.wait()
        raise Failed(f"{self}: ended{self._complaint()}")

    def ask(self, question: str, timeout: float) -> dict[str, Any]:
        """Write a line, and give the JSON object that it prints. Raises Failed."""
        assert self.popen.stdin is not None
        with suppress(BrokenPipeError):  # then it has ended, and `line` knows more
            print(question, file=self.popen.stdin, flush=True)
        return self.answer(timeout)

    def answer(self, timeout: float) -> dict[str, Any]:
        """The JSON object on the next line. Raises Failed."""
        line = self.line(timeout)
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise Failed(f"{self}: said {line.strip()!r} instead of a JSON object") from None
        return answer

    def _complaint(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        try:
            tasks = os.listdir(f"/proc/{self.popen.pid}/task")
            return sum(_ran(f"/proc/{self.popen.pid}/task/{task}") for task in tasks)
        except OSError:
            return 0.0

    def pause(self) -> None:
        """It and its children stand still until `resume`."""
        self._tell(signal.SIGSTOP)

    def resume(self) -> None:
        self._tell(signal.SIGCONT)

    def _tell(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has ended, which the next who asks it will notice
            os.killpg(self.popen.pid, number)

    def stop(self) -> None:
        self.popen.terminate()
        self.resume()
        try:
            self.popen.wait(STOP)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.errors):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()

    def __str__(self) -> str:
        return " ".join(Path(word).name for word in self.words if word not in (sys.executable, "-m"))


def _ran(task: str) -> float:
    """Seconds: from the scheduler, in nanoseconds, since ticks of 10 ms are too coarse for a second's run."""
    with open(f"{task}/schedstat") as stat:
        return int(stat.read().split()[0]) / 1e9


@contextmanager
def awake(processes: Sequence[Process]) -> Iterator[None]:
    """Their turn: outside of it they stand still. pmd-pytcp turns in a loop when it has once sent much, and would take half of the
    processor from everybody who is measured after it."""
    for process in processes:
        process.resume()
    try:
        yield
    finally:
        for process in processes:
            process.pause()


class Lab:
    """What one row of the table needs, ended together."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        cpus = sorted(os.sched_getaffinity(0))
        self.server_cpu, self.client_cpu = cpus[0], cpus[-1]
        self.processes: list[Process] = []
        self._ends = ExitStack()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ends.close()
        self.processes.clear()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Ends at once what was begun in a block that fails, and leaves the rest."""
        before, self._ends = self._ends, ExitStack()
        known = len(self.processes)
        try:
            yield
        except BaseException:
            self._ends.close()
            del self.processes[known:]
            self._ends = before
            raise
        before.push(self._ends.pop_all())
        self._ends = before

    def namespace(self, buffers: bool = True) -> Namespace:
        namespace = Namespace(buffers)
        self._ends.callback(namespace.close)
        return namespace

    def mounted(self, namespace: Namespace) -> str:
        """A path for programs that have given up the right to look into our /proc."""
        handle, path = tempfile.mkstemp(prefix="netns-")
        os.close(handle)
        self._ends.callback(os.unlink, path)
        _succeed(_LIBC.mount(namespace.path.encode(), path.encode(), None, _MS_BIND, None))
        self._ends.callback(_LIBC.umount2, path.encode(), _MNT_DETACH)
        return path

    def pair(self, buffers: bool = True) -> tuple[Namespace, Namespace]:
        """Two kernels on a veth: 10.78.0.1 and 10.78.0.2."""
        left, right = self.namespace(buffers), self.namespace(buffers)
        left.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", right.path)
        for side, address in ((left, "10.78.0.1/24"), (right, "10.78.0.2/24")):
            side.ip("address", "add", address, "dev", "veth0")
            side.ip("link", "set", "veth0", "up")
        return left, right

    def start(
        self,
        words: Sequence[str],
        namespace: Namespace,
        *,
        cpu: int | None = None,
        environment: Mapping[str, str] | None = None,
        ready: str | None = "ready",
        timeout: float = READY,
    ) -> Process:
        """A server; returns when it says that it is `ready` (None: it never says so)."""
        process = Process(words, namespace, self.server_cpu if cpu is None else cpu, environment)
        self._ends.callback(process.stop)
        self.processes.append(process)
        if ready is not None and (said := process.line(timeout).strip()) != ready:
            raise Failed(f"{process}: said {said!r} instead of {ready!r}")
        return process

    def call(
        self,
        words: Sequence[str],
        namespace: Namespace,
        *,
        cpu: int | None,
        timeout: float,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run a program that prints a JSON object."""
        process = Process(words, namespace, cpu, environment)
        try:
            return process.answer(timeout)
        finally:
            process.stop()

    def used(self) -> float:
        """Seconds of processor time that this program and all that it started have used."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(use.ru_utime + use.ru_stime for use in (own, ended)) + sum(process.cpu() for process in self.processes)


def busy() -> float:
    """Seconds of processor time that the machine has spent on anything, since it runs."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


class Watch:
    """How much processor time others used meanwhile, in cores: what makes a figure doubtful."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._start = time.monotonic(), busy(), lab.used()

    def others(self) -> float:
        then, was_busy, had_used = self._start
        lasted = time.monotonic() - then
        return max(0.0, busy() - was_busy - (self._lab.used() - had_used)) / lasted if lasted else 0.0
