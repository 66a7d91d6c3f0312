"""The networks that this machine is in: addresses of its interfaces with their prefix lengths, as the kernel tells them over
netlink (rtnetlink(7)), on Linux. Elsewhere none are known."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator

RTM_NEWADDR, RTM_GETADDR = 20, 22
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
MOST = 1000  # a machine may have more addresses; who serves so many networks names those that he means

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def attached() -> list[Network]:
    """Each once."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sock:
            sock.settimeout(1)
            sock.send(struct.pack("=IHHIIBxxxI", 24, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, socket.AF_UNSPEC, 0))
            return list(dict.fromkeys(_read(sock)))[:MOST]
    except (OSError, AttributeError):  # no netlink here, or not for us
        return []


def _read(sock: socket.socket) -> Iterator[Network]:
    while True:
        data = sock.recv(65536)
        at = 0
        while at + 16 <= len(data):
            size, type = struct.unpack_from("=IH", data, at)
            if type in (NLMSG_DONE, NLMSG_ERROR) or size < 16:
                return
            if type == RTM_NEWADDR:
                family, bits = struct.unpack_from("=BB", data, at + 16)
                said = dict(_attributes(data[at + 24 : at + size]))
                # at the end of a tunnel IFA_ADDRESS is the other end, and IFA_LOCAL ours
                octets = said.get(IFA_LOCAL) or said.get(IFA_ADDRESS)
                if octets is not None and family in (socket.AF_INET, socket.AF_INET6):
                    yield ipaddress.ip_network((octets, bits), strict=False)
            at += size + 3 & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        size, type = struct.unpack_from("=HH", data, at)
        if size < 4:
            return
        yield type, data[at + 4 : at + size]
        at += size + 3 & ~3
