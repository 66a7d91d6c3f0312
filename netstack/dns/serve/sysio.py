"""The system calls of a server on a socket of the kernel's: many datagrams in one. A twin, never compiled: sysio.pxd is its C.

Python has no recvmmsg and no sendmmsg; without the compiled build it is a call for each. Nothing here raises for what the kernel
says, and the GIL stays held: the socket never blocks.

`room` has a slot for each datagram, and so have `names` for addresses (`struct sockaddr`, NAME octets), `controls` for the
address that it was sent to (IP_PKTINFO, CONTROL octets), and `sizes`, two big-endian words: of the datagram, and of the control
message.
"""

import socket
import struct
import sys

from ... import raw

BATCH = 64
SLOT = 4096  # octets of a query; longer ones are dropped: whoever signs an update of that size takes TCP
NAME = 28
CONTROL = 64
TOO_LONG = 0xFFFFFFFF  # instead of the size of a datagram that is longer than its slot

_CONTROL = struct.Struct("=Qii")  # `struct cmsghdr` where pointers have 64 bits
_LEVEL4 = (socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8))
_LEVEL6 = (socket.IPPROTO_IPV6, getattr(socket, "IPV6_PKTINFO", 50))


def receive(
    sock: socket.socket, fd: int, room: bytearray, slot: int, names: bytearray, controls: bytearray, sizes: bytearray
) -> int:
    """At most BATCH datagrams that wait: how many."""
    n = 0
    while n < BATCH:
        into = memoryview(room)[n * slot : (n + 1) * slot]
        try:
            size, ancillary, flags, address = sock.recvmsg_into([into], CONTROL)
        except OSError:  # nothing waits
            break
        put_name(names, n * NAME, address)
        raw.p32(sizes, 8 * n, TOO_LONG if flags & socket.MSG_TRUNC else size)
        raw.p32(sizes, 8 * n + 4, put_control(controls, n * CONTROL, ancillary))
        n += 1
    return n


def send(
    sock: socket.socket, fd: int, out: bytearray, slot: int, names: bytearray, controls: bytearray, sizes: bytearray, n: int
) -> int:
    """What stands in the first `n` slots of `out`, where `sizes` has a size, to where the datagrams in the same slots came from,
    from the addresses that they were sent to. How many the kernel did not take."""
    failed = 0
    for i in range(n):
        size = raw.g32(sizes, 8 * i)
        if size:
            data = memoryview(out)[i * slot : i * slot + size]
            try:
                sock.sendmsg([data], get_control(controls, i * CONTROL, raw.g32(sizes, 8 * i + 4)), 0, get_name(names, i * NAME))
            except OSError:
                failed += 1
    return failed


def put_name(names: bytearray, o: int, address: "tuple[str, int] | tuple[str, int, int, int]") -> None:
    if len(address) == 2:
        packed = struct.pack("=H", socket.AF_INET) + struct.pack("!H", address[1]) + socket.inet_aton(address[0])
    else:
        host, port, flow, scope = address
        packed = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, flow)
        packed += socket.inet_pton(socket.AF_INET6, host.partition("%")[0]) + struct.pack("=I", scope)
    raw.pbytes(names, o, packed)


def get_name(names: bytearray, o: int) -> "tuple[str, int] | tuple[str, int, int, int]":
    """The address in the slot at `o`, as sockets have it."""
    family = int.from_bytes(names[o : o + 2], sys.byteorder)
    port = raw.g16(names, o + 2)
    if family == socket.AF_INET:
        return socket.inet_ntoa(names[o + 4 : o + 8]), port
    scope = int.from_bytes(names[o + 24 : o + 28], sys.byteorder)
    return socket.inet_ntop(socket.AF_INET6, bytes(names[o + 8 : o + 24])), port, raw.g32(names, o + 4), scope


def put_control(controls: bytearray, o: int, ancillary: "list[tuple[int, int, bytes]]") -> int:
    for level, kind, data in ancillary:
        if (level, kind) in (_LEVEL4, _LEVEL6):
            raw.pbytes(controls, o, _CONTROL.pack(16 + len(data), level, kind) + data)
            return 16 + len(data)
    return 0


def get_control(controls: bytearray, o: int, n: int) -> "list[tuple[int, int, bytes]]":
    if n == 0:
        return []
    size, level, kind = _CONTROL.unpack_from(controls, o)
    data = bytes(controls[o + 16 : o + size])
    # the way back is routed anew: only the address counts, not the device
    data = data[:16] + bytes(4) if (level, kind) == _LEVEL6 else bytes(4) + data[4:]
    return [(level, kind, data)]
