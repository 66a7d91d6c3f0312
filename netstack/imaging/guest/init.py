"""Process 1 of an image: the machine is made ready, the program runs on a stack of ours, the machine is switched off.

There is one process and one program. The kernel's own network is never configured: the card is switched on, for a packet socket or
for Xen's rings, and has no address. All that is said goes to the console. The last line says how it ended:

    netstack: app.py has ended with status 0 after 12.3 s; good night

`-- --help` and everything else behind two dashes on the kernel's command line is the program's.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import marshal
import os
import signal
import sys
import time
from types import CodeType, ModuleType
from typing import Any, NoReturn

from . import machine, settings

SETTINGS = "/etc/netstack.json"
CONSOLE_MARK = "netstack:"
PATIENCE = 5.0  # seconds until a card must be there: the drivers of virtio find theirs at once
OLDEST = 1_700_000_000  # a clock before this has not been set (2023)


class Log:
    """Lines with the time since the kernel began, when they were asked for."""

    def __init__(self) -> None:
        self.timed = False
        self._kept: list[str] = []

    def mark(self, what: str) -> None:
        self._kept.append(f"{CONSOLE_MARK} {uptime():.2f} {what}")
        if self.timed:
            self.show()

    def show(self) -> None:
        for line in self._kept:
            print(line, file=sys.stderr, flush=True)
        self._kept = []


log = Log()


def main() -> NoReturn:
    """All of it. Does not come back."""
    status, how = 1, "has not begun"
    name = "the image"
    try:
        log.mark("python")
        prepare()
        with open("/proc/cmdline") as line, open(SETTINGS) as file:
            said = settings.read(file.read(), line.read().strip())
        name = os.path.basename(said.program)
        log.timed = said.timed
        start(said)
        status, how = run(said)
    except BaseException as error:
        status, how = 1, f"could not be started: {type(error).__name__}: {error}"
    finally:
        end(name, status, how)


def prepare() -> None:
    """File systems, and what a program expects of its surroundings."""
    for kind, target in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")):
        with contextlib.suppress(OSError):  # one that is there already
            machine.mount(kind, target)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # who is process 1 doesn't die of it otherwise
    os.environ.update(PATH="/bin", HOME="/tmp", LANG="C.UTF-8")


def start(said: settings.Settings) -> None:
    """Drivers, the card, and the rest of the world."""
    for word in said.unknown:
        print(f"{CONSOLE_MARK} {word} means nothing here: see docs/image.md", file=sys.stderr)
    for driver in said.drivers:
        try:
            machine.insert(f"/modules/{driver}.ko")
        except OSError as error:
            print(f"{CONSOLE_MARK} the driver {driver} could not be loaded: {error.strerror}", file=sys.stderr)
    log.mark("drivers")
    os.environ.update(said.environment)
    kind, _, rest = said.net.partition(":")
    if kind == "packet":
        bring_up(rest.partition("?")[0])
    if time.time() < OLDEST:
        print(f"{CONSOLE_MARK} the clock of this machine is not set: certificates will not be believed", file=sys.stderr)


def bring_up(name: str) -> None:
    """Switch a card on, and give it nothing else. Raises OSError where there is none."""
    import fcntl
    import socket
    import struct

    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(f"/sys/class/net/{name}"):
        if time.monotonic() > deadline:
            raise OSError(f"there is no card {name}: give the machine one, as in -device virtio-net-pci,netdev=n")
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        request = fcntl.ioctl(s, 0x8913, name.encode().ljust(40, b"\0"))  # SIOCGIFFLAGS
        flags = struct.unpack_from("=16xH", request)[0] | 1  # IFF_UP
        fcntl.ioctl(s, 0x8914, struct.pack("=16sH22x", name.encode(), flags))  # SIOCSIFFLAGS
    log.mark(name)


def run(said: settings.Settings) -> tuple[int, str]:
    """The program, as `netstack run` would: its status, and in words how it ended."""
    from ...runtime.loop import new_event_loop
    from ...runtime.loops.substitute import loops

    log.mark("stack")
    sys.argv = [said.program, *said.arguments]

    def make(base: Any) -> Any:
        loop = new_event_loop(said.net, base=base)
        net: Any = getattr(loop, "net", None)
        if net is not None:
            print(f"{CONSOLE_MARK} {', '.join(net.addresses)} on {net.name}", flush=True)
        log.mark("network")
        return loop

    os.environ["NETSTACK"] = said.net  # for programs that open their own
    gc.freeze()  # what was imported until now stays: nobody need look through it again
    gc.enable()
    with loops(make):
        try:
            if said.module:
                import runpy

                runpy.run_module(said.program, run_name="__main__", alter_sys=True)
            else:
                run_file(said.program)
        except SystemExit as error:
            code = error.code
            if code is not None and not isinstance(code, int):
                print(code, file=sys.stderr)
                code = 1
            return code or 0, f"has ended with status {code or 0}"
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            return 1, f"was ended by {type(error).__name__}: {' '.join(str(error).split())}"
    return 0, "has ended with status 0"


def run_file(path: str) -> None:
    """As `runpy.run_path` would, from what was compiled when the image was made."""
    sys.path.insert(0, os.path.dirname(path))
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __cached__=None, __builtins__=__builtins__)
    sys.modules["__main__"] = main
    exec(code_of(path), main.__dict__)


def code_of(path: str) -> CodeType:
    """Of the program's file: from the one beside it, or compiled now."""
    try:
        with open(f"{path}c", "rb") as file:
            data = file.read()
    except FileNotFoundError:
        data = b""
    if data.startswith(importlib.util.MAGIC_NUMBER):
        made: CodeType = marshal.loads(memoryview(data)[settings.CODE_HEADER :])
        return made
    with open(path, "rb") as file:
        source = file.read()
    return compile(source, path, "exec", dont_inherit=True)


def end(name: str, status: int, how: str) -> NoReturn:
    """Say it, and switch off."""
    with contextlib.suppress(BaseException):
        log.show() if log.timed else None
        sys.stdout.flush()
        print(f"{CONSOLE_MARK} {name} {how} after {uptime():.1f} s; good night", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    if os.getpid() == 1:
        with contextlib.suppress(OSError):
            machine.power_off()
    os._exit(status)


def uptime() -> float:
    """Seconds since the kernel began."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
