"""Opening a packet socket on a card, with the kernel's refusals turned into sentences that say what to do (packet(7))."""

import array
import contextlib
import errno
import fcntl
import mmap
import os
import socket
import struct
from typing import NamedTuple

from netstack.address import Mac
from netstack.errors import NetstackError, UsageError

SOL_PACKET = 263
SO_ATTACH_FILTER = 26
ETH_P_ALL = 3

# linux/if_packet.h
PACKET_ADD_MEMBERSHIP = 1
PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_VERSION = 10
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
PACKET_VNET_HDR_SZ = 24
PACKET_MR_PROMISC = 1
PACKET_MR_ALLMULTI = 2
PACKET_MR_UNICAST = 3
TPACKET_V3 = 2

# linux/sockios.h, linux/ethtool.h, net/if_arp.h
SIOCGIFFLAGS = 0x8913
SIOCGIFMTU = 0x8921
SIOCGIFHWADDR = 0x8927
SIOCETHTOOL = 0x8946
ETHTOOL_GGRO = 0x2B
ARPHRD_ETHER = 1
IFF_UP = 1

BLOCK = 1 << 20  # holds 15 super-segments, or 10,000 of the least frames: a busy link fills one in a millisecond
BLOCKS = 8
SLOT = 2048  # of a block there is no slot, but the kernel wants to know what its size is a multiple of
RETIRE = 1  # milliseconds after which a block that is not full is handed over: the least that there is
BUFFER = 4 << 20  # of the kernel's memory for what we send and, without a ring, for what comes


class NotAllowed(NetstackError, PermissionError):
    """The kernel wants a privilege that this process lacks; the message says how to get it."""


class CardUnavailable(NetstackError, OSError):
    """The card can't be used; the message says why."""


class Card(NamedTuple):
    """An open packet socket, and what its interface says of itself."""

    socket: socket.socket
    name: str
    number: int  # of the interface
    mtu: int
    hwaddr: bytes
    vnet: int  # length of the vnet header
    cuts_udp: bool  # the kernel is new enough to know UDP super-segments


def open_card(name: str, ring: bool) -> Card:
    """A packet socket for `name` that hears nothing yet: `listen` is next, and before it `make_ring` where there shall be one.
    Raises NotAllowed, CardUnavailable."""
    try:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except PermissionError:
        raise NotAllowed(
            errno.EPERM,
            f"a packet socket on {name} needs the capability CAP_NET_RAW: run as root, or give it to a copy of the interpreter "
            "with: sudo setcap cap_net_raw+ep COPY",
        ) from None
    except OSError as error:
        raise CardUnavailable(error.errno or errno.EIO, f"this kernel has no packet sockets ({error.strerror})") from None
    try:
        kind, hwaddr = struct.unpack("=16xH6s8x", _ask(s, name, SIOCGIFHWADDR))
        if kind != ARPHRD_ETHER:
            raise CardUnavailable(errno.EOPNOTSUPP, f"{name} is no Ethernet: a packet socket of ours needs one, like eth0")
        mtu = struct.unpack("=16xi12x", _ask(s, name, SIOCGIFMTU))[0]
        s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        vnet, new = 10, False
        with contextlib.suppress(OSError):  # before Linux 6.5 there was one size
            s.setsockopt(SOL_PACKET, PACKET_VNET_HDR_SZ, 12)
            vnet, new = 12, True
            if ring:  # there it has 10 bytes, whatever was asked for (seen in Linux 6.18): ask for no more, and nobody errs
                s.setsockopt(SOL_PACKET, PACKET_VNET_HDR_SZ, 10)
                vnet = 10
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            s.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        return Card(s, name, socket.if_nametoindex(name), mtu, hwaddr, vnet, new)
    except BaseException:
        s.close()
        raise


def listen(card: Card, mac: Mac) -> None:
    """From now on frames to `mac`, and to groups, are received; what this machine itself sends on the card is not. Raises
    CardUnavailable."""
    s = card.socket
    _filter(s, mac)
    with contextlib.suppress(OSError):  # before Linux 4.20: the filter does it alone
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    try:
        _join(card, PACKET_MR_ALLMULTI)
        if bytes(mac) != card.hwaddr:
            try:
                _join(card, PACKET_MR_UNICAST, bytes(mac))
            except OSError:  # a card that can listen to one address only
                _join(card, PACKET_MR_PROMISC)
        s.bind((card.name, ETH_P_ALL))
    except OSError as error:
        raise CardUnavailable(error.errno or errno.EIO, f"{card.name} can't be listened to: {error.strerror}") from None


def make_ring(s: socket.socket) -> mmap.mmap:
    """Memory into which the kernel writes what comes, before `listen`. Raises CardUnavailable."""
    try:
        s.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        request = struct.pack("=7I", BLOCK, BLOCKS, SLOT, BLOCK // SLOT * BLOCKS, RETIRE, 0, 0)
        s.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        return mmap.mmap(s.fileno(), BLOCK * BLOCKS, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError as error:
        raise CardUnavailable(
            error.errno or errno.EIO, f"no ring of {BLOCK * BLOCKS >> 20} MiB can be had ({error.strerror}): use ring=no"
        ) from None


def is_up(card: Card) -> bool:
    return bool(struct.unpack("=16xH14x", _ask(card.socket, card.name, SIOCGIFFLAGS))[0] & IFF_UP)


def is_there(card: Card) -> bool:
    try:
        return socket.if_nametoindex(card.name) == card.number
    except OSError:
        return False


def drops(s: socket.socket) -> int:
    """Frames that found no room, since this was last asked."""
    return int(struct.unpack_from("=II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))[1])


def joins(card: Card) -> bool:
    """Does the kernel join segments of this card before anybody sees them (generic receive offload)?"""
    memory = array.array("B", struct.pack("=II", ETHTOOL_GGRO, 0))
    request = struct.pack("@16sP16x", os.fsencode(card.name), memory.buffer_info()[0])
    try:
        fcntl.ioctl(card.socket.fileno(), SIOCETHTOOL, request)
    except OSError:
        return True
    return bool(struct.unpack("=II", memory.tobytes())[1])


def _ask(s: socket.socket, name: str, question: int) -> bytes:
    """The kernel's `struct ifreq`, of 40 bytes, about an interface."""
    words = os.fsencode(name)
    if len(words) > 15 or not words or b"\0" in words:
        raise UsageError(f"{name!r} can't be the name of an interface: `ip link` lists those that are there")
    try:
        return fcntl.ioctl(s.fileno(), question, words.ljust(40, b"\0"))[:32]
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise CardUnavailable(error.errno, f"there is no interface {name}: `ip link` lists those that are there") from None
        raise CardUnavailable(error.errno or errno.EIO, f"{name} can't be asked: {error.strerror}") from None


def _join(card: Card, kind: int, address: bytes = b"") -> None:
    card.socket.setsockopt(
        SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8s", card.number, kind, len(address), address)
    )


def _filter(s: socket.socket, mac: Mac) -> None:
    """A program in the kernel (BPF, Documentation/networking/filter.rst) that lets in what is for us, and copies nothing else."""
    tag, kind = 0xFFFFF000 + 48, 0xFFFFF000 + 4  # SKF_AD_VLAN_TAG_PRESENT, SKF_AD_PKTTYPE
    high, low = int.from_bytes(bytes(mac)[:4], "big"), int.from_bytes(bytes(mac)[4:], "big")
    load, load16, load8, equal, test, back = 0x20, 0x28, 0x30, 0x15, 0x45, 0x06
    program = [
        (load, 0, 0, tag),
        (equal, 0, 8, 0),  # the kernel takes tags off: of another network, then, though nothing shows it
        (load, 0, 0, kind),
        (equal, 6, 0, socket.PACKET_OUTGOING),
        (load8, 0, 0, 0),
        (test, 5, 0, 1),  # for a group
        (load, 0, 0, 0),
        (equal, 0, 2, high),
        (load16, 0, 0, 4),
        (equal, 1, 0, low),
        (back, 0, 0, 0),
        (back, 0, 0, 0x40000),
    ]
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    memory = array.array("B", code)
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), memory.buffer_info()[0]))
