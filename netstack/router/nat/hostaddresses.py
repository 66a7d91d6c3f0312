"""Which addresses are the host's own, as its kernel's routing table says it now: what a guest must not reach by accident.

Asked by netlink (rtnetlink(7)): the routes of type LOCAL are the addresses that the kernel delivers to itself, loopback and whole
prefixes among them. The same socket tells when something has changed; then they are asked for again, when somebody wants to know.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import time

from ...address import Ip4
from ...errors import UsageError

FRESH = 0.05  # seconds for which what is known is believed: a thousand new flows should not ask a thousand times

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_RTM_GETROUTE = 26
_RTM_NEWROUTE = 24
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_RTA_DST = 1
_RTN_LOCAL = 2
_GROUPS = 0x10 | 0x40  # RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")


def outbound_address(text: str) -> Ip4:
    """The host's own address `text`, or that of its interface of this name. Raises UsageError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            address = Ip4.parse(text)
        except UsageError:
            try:
                answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("16s24x", os.fsencode(text)[:15]))
            except OSError:
                raise UsageError(f"{text!r} is no address, and no interface that has one: see `ip address`") from None
            address = Ip4(int.from_bytes(answer[20:24], "big"))
        try:
            sock.bind((str(address), 0))
        except OSError as error:
            raise UsageError(f"nothing can leave from {address} ({error.strerror}): give an address of this host") from None
    return address


class HostAddresses:
    """`in` asks for an address as an int."""

    def __init__(self) -> None:
        self._news = self._open(_GROUPS)
        self._known: list[tuple[int, int]] = []  # network, mask
        self._hosts: set[int] = set()
        self._stale = True
        self._looked = 0.0

    @staticmethod
    def _open(groups: int) -> socket.socket:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        sock.bind((0, groups))
        return sock

    def __contains__(self, address: int) -> bool:
        now = time.monotonic()
        if now - self._looked > FRESH:
            self._looked = now
            self._listen()
        if self._stale:
            self._ask()
        return address in self._hosts or any(address & mask == network for network, mask in self._known)

    def _listen(self) -> None:
        """Has anything changed? What was lost for want of room is a change too."""
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    self._news.recv(65536, socket.MSG_DONTWAIT)
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        raise
                self._stale = True

    def _ask(self) -> None:
        with self._open(0) as sock:
            body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
            sock.send(_HEADER.pack(16 + len(body), _RTM_GETROUTE, _REQUEST_DUMP, 1, 0) + body)
            self._hosts, self._known = set(), []
            while self._read(sock.recv(1 << 17)):
                pass
        self._stale = False

    def _read(self, data: bytes) -> bool:
        """True when more will come."""
        at = 0
        while at + 16 <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, at)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
                return False
            if kind == _RTM_NEWROUTE:
                self._route(data[at + 16 : at + length])
            at += length + 3 & ~3
        return True

    def _route(self, data: bytes) -> None:
        family, prefix, _, _, _, _, _, kind, _ = _ROUTE.unpack_from(data)
        if family != socket.AF_INET or kind != _RTN_LOCAL:
            return
        at = 12
        while at + 4 <= len(data):
            length, attribute = struct.unpack_from("=HH", data, at)
            if length < 4:
                return
            if attribute == _RTA_DST:
                address = int.from_bytes(data[at + 4 : at + 8], "big")
                if prefix == 32:
                    self._hosts.add(address)
                else:
                    mask = 0xFFFFFFFF >> (32 - prefix) << (32 - prefix) if prefix else 0
                    self._known.append((address & mask, mask))
            at += length + 3 & ~3

    def close(self) -> None:
        self._news.close()
