"""A program in namespaces of its own: user, network and mount, with a tap as its only way out.

    child    new namespaces ... maps, tap, resolv.conf, `ready` ................ waits ......... exec
    parent                      (root: writes the maps)     has the tap, starts the router, `go`

Root's program gets a user namespace too, with every id mapped to itself: files are as ever, but the namespaces outside are not
its own any more, so it can't walk back into the host's network. An ordinary user's becomes root inside, as with `unshare -r`
and pasta, or stays who it is (`keep_id`): then it can't even touch its tap. `helpers` map more ids than his own (ids.py).

Only the main program is waited for. Whatever it leaves behind has lost its network when we end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from typing import NoReturn

import attrs

from ...errors import UsageError
from ...signatures import Netif
from . import interface, syscalls
from .ids import Helpers
from .namespaces import Inside, NotEntered, adopt, fork, make, receive_tap

READY = b"ready"
GO = b"go"
RESOLV_CONF = "/etc/resolv.conf"


@attrs.frozen
class Room:
    """How the program lives. `dns` is what its resolv.conf says, () leaves that file alone."""

    inside: Inside
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    keep_id: bool = False
    helpers: Helpers | None = None


class Program:
    """`argv` in a room of its own, not running before `go`."""

    def __init__(self, argv: Sequence[str], room: Room) -> None:
        """Raises NotEntered where the system allows no such namespaces; UsageError for no program, or a bad interface's name."""
        if not argv:
            raise UsageError("which program shall run? Write it after run, as in: netstack-tap run -- curl http://example.net/")
        interface.check_name(room.inside.name)
        self.argv = list(argv)
        self.room = room
        uid, gid = os.geteuid(), os.getegid()
        # `sendmsg` of a descriptor and two words; the child waits for GO until this socket is closed
        self.pid, self._here = fork(self._live)
        self.pidfd = os.pidfd_open(self.pid)
        self._status: int | None = None
        try:
            if self._here.recv(16) == b"map":
                write_maps(self.pid, uid, gid, room.keep_id, room.helpers)
                self._here.send(b"mapped")
                fd = receive_tap(self._here)
            else:
                receive_tap(self._here)  # raises: nothing else is said first but an error
                raise AssertionError
        except OSError as error:
            self.close()
            raise NotEntered(error.errno, _refusal(error)) from None
        except BaseException:
            self.close()
            raise
        self.netif: Netif = adopt(fd, room.inside.name, room.inside.mtu)

    def go(self) -> None:
        """Let the program begin: its network is there."""
        self._here.send(GO)
        self._here.close()

    def signal(self, number: int) -> None:
        """Pass a signal on; nothing where it has ended."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def wait(self) -> int:
        """Its exit status, as a shell says it: 128 and the number for a signal. Blocks while it runs: `pidfd` is readable when it
        has ended."""
        if self._status is None:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            self._status = code if code >= 0 else 128 - code
            os.close(self.pidfd)
        return self._status

    def close(self) -> None:
        """End it, if it is still there."""
        self._here.close()
        if self._status is None:
            self.signal(signal.SIGKILL)
            self.wait()

    # -- in the child -------------------------------------------------------------------------------------------------------

    def _live(self, out: socket.socket) -> None:
        room = self.room
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
        out.send(b"map")
        if out.recv(16) != b"mapped":
            return
        fd = make(room.inside)
        interface.allow_pings()
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        note = ""
        if room.dns:
            try:
                put_resolv_conf(room.dns, room.search)
            except OSError as error:
                note = f"netstack-tap: {RESOLV_CONF} stays as it is ({error.filename or RESOLV_CONF}: {error.strerror})\n"
        socket.send_fds(out, [b"{}"], [fd])
        os.close(fd)
        if out.recv(16) != GO:  # the other end is gone
            return
        out.close()
        if note:
            os.write(2, note.encode())
        _execute(self.argv)


def write_maps(pid: int, uid: int, gid: int, keep_id: bool, helpers: Helpers | None = None) -> None:
    """Say who is who in the user namespace of `pid`, a child of ours. Raises OSError."""
    whole = _whole("/proc/self/uid_map"), _whole("/proc/self/gid_map")
    if uid == 0:
        try:
            for name, lines in zip(("uid_map", "gid_map"), whole, strict=True):
                _write(f"/proc/{pid}/{name}", lines)
            return
        except PermissionError:  # root without CAP_SETUID: like anybody
            pass
    if helpers is not None:
        helpers.write(pid, uid, gid, keep_id)
        return
    # an unprivileged process could use a group mapping to shed a group that denies it something
    _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", f"{uid if keep_id else 0} {uid} 1")
    _write(f"/proc/{pid}/gid_map", f"{gid if keep_id else 0} {gid} 1")


def _whole(path: str) -> str:
    """Every id that we have, mapped to itself."""
    with open(path) as file:
        return "\n".join("{0} {0} {1}".format(*line.split()[::2]) for line in file)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())  # at once: the kernel takes a map in one write only
    finally:
        os.close(fd)


def put_resolv_conf(servers: Sequence[str], search: Sequence[str]) -> None:
    """Have /etc/resolv.conf name `servers`, in the mount namespace of this process: a file on a file system that nobody else
    sees, bound over it. Raises OSError."""
    target = os.path.realpath(RESOLV_CONF)
    if not os.path.exists(target):
        raise OSError(2, os.strerror(2), target)
    text = "".join(f"nameserver {server}\n" for server in servers) + (f"search {' '.join(search)}\n" if search else "")
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("none", "/tmp", "tmpfs", flags, "mode=755,size=64k")
    try:
        with open("/tmp/resolv.conf", "w") as file:
            file.write(text)
        os.chmod("/tmp/resolv.conf", 0o644)
        syscalls.mount("/tmp/resolv.conf", target, flags=syscalls.MS_BIND)
    finally:
        syscalls.umount("/tmp")  # the bound file stays


def _execute(argv: Sequence[str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and an exec would hand that down
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(2, f"netstack-tap: {argv[0]} can't be run: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)  # as shells do


def _refusal(error: OSError) -> str:
    why = f"{error.filename}: {error.strerror}" if error.filename else f"{error.strerror or error}"
    if error.filename == interface.TUN:
        return f"no tap can be made ({why}): sudo modprobe tun; a container needs --device {interface.TUN}"
    return f"no room can be made for the program ({why}): netstack doctor says whether user namespaces are allowed"
