"""To which queue of the frontend a frame goes: as the frontend has said over its control ring, or so that a flow stays in one.

A hash of the addresses, and the ports of TCP, is looked up in a table that the frontend has made, or taken modulo its queues. The
hash is Toeplitz's (xen/io/netif.h, "Hash algorithms"), with the frontend's key; what it says of a frame is told beside it.
"""

from netstack import const, raw

from . import const as own

HASHES = 15  # all flags
KEY = 40  # bytes: 32 more bits than the longest input has
MAPPING = 128  # entries of the table, as Linux has


class Steering:
    """`kind` and `value` are of the frame that was last chosen for; `kind` is -1 where it has no hash."""

    __slots__ = ("algorithm", "flags", "key", "kind", "lanes", "mapping", "value")

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.algorithm = own.ALGORITHM_NONE
        self.flags = 0
        self.key = bytearray(KEY)
        self.mapping: list[int] = []
        self.kind = -1
        self.value = 0

    def choose(self, b: bytearray, o: int, end: int) -> int:
        """Number of the queue for the frame whose headers are in `b` from `o` to `end`."""
        self.kind = -1
        if self.algorithm == own.ALGORITHM_NONE:
            return self.flow(b, o, end) % self.lanes if self.lanes > 1 else 0
        self.value = 0
        if self.flags:
            self.hash(b, o, end)
        value = self.value
        if self.mapping:
            queue: int = self.mapping[value % len(self.mapping)]
            return queue
        return value % self.lanes

    def flow(self, b: bytearray, o: int, end: int) -> int:
        """A number that all packets of a flow share."""
        if end - o < 34:
            return 0
        kind = raw.g16(b, o + 12)
        if kind == const.ETH_IPV4:
            s = raw.g32(b, o + 26) ^ raw.g32(b, o + 30)
            l4 = o + 14 + ((raw.g8(b, o + 14) & 15) << 2)
            proto = raw.g8(b, o + 23)
            ported = not raw.g16(b, o + 20) & (const.IP_MF | const.IP_OFFSET)
        elif kind == const.ETH_IPV6 and end - o >= 54:
            s = raw.g32(b, o + 34) ^ raw.g32(b, o + 50)
            l4 = o + 54
            proto = raw.g8(b, o + 20)
            ported = True
        else:
            return 0
        if ported and end - l4 >= 4 and (proto == const.PROTO_TCP or proto == const.PROTO_UDP):
            s ^= raw.g32(b, l4)
        s ^= s >> 16
        return (s ^ s >> 8) & 0xFF

    def hash(self, b: bytearray, o: int, end: int) -> None:
        """The most that the frontend asked for and the frame has: TCP's, else the internet layer's."""
        if end - o < 34:
            return
        kind = raw.g16(b, o + 12)
        if kind == const.ETH_IPV4:
            l4 = o + 14 + ((raw.g8(b, o + 14) & 15) << 2)
            whole = not raw.g16(b, o + 20) & (const.IP_MF | const.IP_OFFSET)
            if self.flags & 1 << own.HASH_IPV4_TCP and whole and raw.g8(b, o + 23) == const.PROTO_TCP and end - l4 >= 4:
                self.kind = own.HASH_IPV4_TCP
                self.value = self.toeplitz(b, o + 26, 8, l4)
            elif self.flags & 1 << own.HASH_IPV4:
                self.kind = own.HASH_IPV4
                self.value = self.toeplitz(b, o + 26, 8, -1)
        elif kind == const.ETH_IPV6 and end - o >= 54:
            if self.flags & 1 << own.HASH_IPV6_TCP and raw.g8(b, o + 20) == const.PROTO_TCP and end - o >= 58:
                self.kind = own.HASH_IPV6_TCP
                self.value = self.toeplitz(b, o + 22, 32, o + 54)
            elif self.flags & 1 << own.HASH_IPV6:
                self.kind = own.HASH_IPV6
                self.value = self.toeplitz(b, o + 22, 32, -1)

    def toeplitz(self, b: bytearray, o: int, n: int, ports: int) -> int:
        """Of `n` bytes at `o`, and, unless that is -1, of the four at `ports`."""
        key = self.key
        window = raw.g32(key, 0)
        value = 0
        k = 4
        left = n if ports < 0 else n + 4
        while left:
            if n == 0:
                o = ports
            byte = raw.g8(b, o)
            o += 1
            n -= 1
            left -= 1
            follows = raw.g8(key, k)
            k += 1
            bit = 7
            while bit >= 0:
                if byte >> bit & 1:
                    value ^= window
                window = (window << 1 | follows >> bit & 1) & const.M32
                bit -= 1
        return value
