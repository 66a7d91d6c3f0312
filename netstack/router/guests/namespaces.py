"""A tap in a network namespace that is not ours: made and set up inside, used from outside.

A namespace is entered for good, and a user namespace only by a process with one thread: so a child goes in, makes the tap, sets
it up, and hands its descriptor out over a socket. Packets cross no other process, and this one stays where it is.

Whose namespace may be entered? One whose user namespace we own, or are root in: what an ordinary user has made with `unshare
--user --net`, what podman or rootlesskit has made for them. The kernel decides; its refusal becomes a sentence.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import attrs

from ...address import Cidr, Ip4, Mac
from ...errors import NetstackError, UsageError
from ...plugins import load
from ...signatures import Netif
from . import interface, syscalls

NS_GET_USERNS = 0xB701  # linux/nsfs.h
NAMED = ("/run/netns", "/var/run/netns")
PIECE = 4096  # of what a child says


class NotEntered(NetstackError, OSError):
    """The namespace can't be entered, or no tap made in it; the message says why."""


@attrs.frozen
class Place:
    """A network namespace by its files. `user` is the file of its owner's, None to ask the kernel."""

    net: str
    user: str | None = None

    @classmethod
    def parse(cls, text: str, userns: str | None = None) -> Place:
        """A process id, the name of one that `ip netns` knows, or a path. Raises UsageError for what is not there."""
        if text.isascii() and text.isdigit():
            place = cls(f"/proc/{text}/ns/net", userns or f"/proc/{text}/ns/user")
            if not os.path.exists(f"/proc/{text}"):
                raise UsageError(f"there is no process {text}: give the id of one that lives in the namespace")
        elif "/" in text:
            place = cls(text, userns)
        else:
            found = [f"{folder}/{text}" for folder in NAMED if os.path.exists(f"{folder}/{text}")]
            if not found or text in ("", ".", ".."):
                raise UsageError(f"no namespace is called {text!r}: give a process id, a name that `ip netns` shows, or a path")
            place = cls(found[0], userns)
        for path in (place.net, place.user):
            if path is not None and not os.path.lexists(path):
                raise UsageError(f"{path} is not there: give a process id, a name that `ip netns` shows, or a path")
        return place

    def enter(self, user_too: bool = True) -> None:
        """Move this process, which must have one thread. Raises OSError."""
        net = os.open(self.net, os.O_RDONLY | os.O_CLOEXEC)
        try:
            owner = self._owner(net) if user_too else None
            if owner is not None:
                try:
                    if not _is_ours(owner, "/proc/self/ns/user"):  # to enter the one where one is, is an error
                        syscalls.setns(owner, syscalls.CLONE_NEWUSER)
                finally:
                    os.close(owner)
            if not _is_ours(net, "/proc/self/ns/net"):
                syscalls.setns(net, syscalls.CLONE_NEWNET)
        finally:
            os.close(net)

    def _owner(self, net: int) -> int | None:
        if self.user is not None:
            return os.open(self.user, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return fcntl.ioctl(net, NS_GET_USERNS)
        except OSError:  # an old kernel, or it belongs to one above ours: then only as who we are
            return None


@attrs.frozen
class Inside:
    """How the guest's end of a tap is set up; None leaves a thing alone, and without `up` all of it."""

    name: str = "tap0"
    mtu: int = 1500
    mac: Mac | None = None
    address: Cidr | None = None
    gateway: Ip4 | None = None
    up: bool = True
    loopback: bool = True  # bring lo up as well


def make(inside: Inside) -> int:
    """The tap, in the namespace of this process: its descriptor. Raises OSError."""
    fd = interface.make_tap(inside.name)
    try:
        if inside.up:
            if inside.loopback:
                interface.set_up("lo")
            interface.set_up(inside.name, mtu=inside.mtu, mac=inside.mac, address=inside.address, gateway=inside.gateway)
    except BaseException:
        os.close(fd)
        raise
    return fd


def tap_in(place: Place, inside: Inside) -> Netif:
    """A tap made in `place`. Raises NotEntered; UsageError for a name that none can have."""
    interface.check_name(inside.name)

    def work(out: socket.socket) -> None:
        place.enter()
        fd = make(inside)
        socket.send_fds(out, [b"{}"], [fd])

    child, here = fork(work)
    with here:
        try:
            fd = receive_tap(here)
        except OSError as error:
            raise NotEntered(error.errno, refusal(error, place.net)) from None
        finally:
            os.waitpid(child, 0)
    return adopt(fd, inside.name, inside.mtu)


def adopt(fd: int, name: str, mtu: int) -> Netif:
    """A tap of another namespace over its descriptor, which is the netif's from now on."""
    try:
        tap: Netif = load("tap", "netstack_tuntap:Tap").from_fd(fd, name=name, mtu=mtu)
    except BaseException:
        os.close(fd)
        raise
    return tap


def refusal(error: OSError, where: str) -> str:
    """Why a tap could not be made in `where`."""
    why = f"{error.strerror or error}"
    if error.filename:
        why = f"{error.filename}: {why}"
    if error.errno == errno.EPERM:
        return f"no tap can be made in {where} ({why}): it must be a namespace of your own, or you must be root"
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO) and error.filename == interface.TUN:
        advice = f"sudo modprobe tun; a container needs --device {interface.TUN}"
        return f"no tap can be made in {where}, since {interface.TUN} is missing: {advice}"
    if error.errno == errno.EBUSY:
        return f"no tap can be made in {where} ({why}): it has an interface of that name already, choose another"
    return f"no tap can be made in {where}: {why}"


# -- a child, and what it says ----------------------------------------------------------------------------------------------


def fork(work: Callable[[socket.socket], None]) -> tuple[int, socket.socket]:
    """Have a child do `work` with its end of a socket, and end; an OSError there is raised by `receive_tap` here.

    Gives the child's id and our end. Meant for before there are threads.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if not child:
        ours.close()
        _in_child(work, theirs)
    theirs.close()
    return child, ours


def _in_child(work: Callable[[socket.socket], None], out: socket.socket) -> NoReturn:
    status = 1
    try:
        work(out)
        status = 0
    except OSError as error:
        with contextlib.suppress(OSError):
            out.send(json.dumps({"errno": error.errno, "strerror": error.strerror, "filename": error.filename}).encode())
    except BaseException as error:
        with contextlib.suppress(OSError):
            out.send(json.dumps({"errno": errno.EIO, "strerror": f"{type(error).__name__}: {error}", "filename": None}).encode())
    finally:
        os._exit(status)  # the rest of this process is the parent's: no handler of its exit may run here


def receive_tap(here: socket.socket) -> int:
    """The descriptor that a child sends, or the OSError that it had."""
    return receive_fds(here, 1)[0]


def receive_fds(here: socket.socket, count: int) -> list[int]:
    """The same of several, all in one message."""
    said, fds, _, _ = socket.recv_fds(here, PIECE, count)
    if fds:
        return list(fds)
    found: dict[str, Any] = json.loads(said) if said else {"errno": errno.EIO, "strerror": "the child ended", "filename": None}
    words = (found["errno"], found["strerror"])
    raise OSError(*words, found["filename"]) if found["filename"] else OSError(*words)


def _is_ours(fd: int, path: str) -> bool:
    here, there = os.stat(path), os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
