"""What each layer needs of its neighbour: abstract cores, one C vtable each when compiled, plain classes when not.

The Protocols in `signatures.py` are for the reader and for mypy; these are their compiled halves. A layer holds typed
references to the cores of its neighbours and calls them without Python in between (2-4 ns a call). Methods that run per
packet are `cdef`, and so can be overridden only by compiled classes; `netif.py` and `adapters.py` hold the bridges for layers
and programs written in plain Python.

The life of a packet in these terms:

    in    Netif.poll(now): for each frame FrameSink.input(frame) … PacketSink.input(frame); then flush(now), once for the batch
    out   Transport fills one reused Out -> IpCore.send(out, now) -> NextHopCore.send(out, next_hop, now)
          -> LinkCore.send(out, ethertype, mac, now) -> NetifCore.send(out, now)

Whoever wants to keep a Frame or an Out beyond the call copies what it needs: both are reused as soon as the call returns.
"""

from . import const


class Frame:
    """A received frame in a pooled slab. Layers move `off` and `end` and write down what they learnt, once for all above.

    buf     the slab                        off, end  what is left of the frame for the layer that gets it
    now     instant of arrival              l3        offset of the internet header (ICMP errors quote it)
    src dst internet addresses, as ints     proto ttl tos  of the internet header
    cast    UNICAST, BROADCAST, MULTICAST: how the link *or* the internet header addressed it, the wider of the two
    csum    CSUM_UNKNOWN, _GOOD, _PARTIAL   gso       segment size of a super-segment, 0 for a plain one
    lsrc    link source address (48 bits)   kept      not 0: somebody holds the slab, the pool must not reuse it
    lend    the pool can spare the slab: views of it may be kept (buffers.keep)
    """

    __slots__ = (
        "buf", "cast", "csum", "dst", "end", "gso", "kept", "l3", "lend", "lsrc", "now", "off", "proto", "src", "tos", "ttl",
    )  # fmt: skip

    def __init__(self, size: int) -> None:
        self.buf = bytearray(size)
        self.off = 0
        self.end = 0
        self.l3 = 0
        self.now = 0
        self.src = 0
        self.dst = 0
        self.lsrc = 0
        self.proto = 0
        self.ttl = 0
        self.tos = 0
        self.cast = 0
        self.csum = 0
        self.gso = 0
        self.kept = 0
        self.lend = False


class Out:
    """A packet on its way down: headers grow downwards in `hdr` from its end, the payload is `n` bytes of `data` from `o`.

    rest rest_n       more payload, `rest_n` bytes of it: whole objects, but for the last; None and 0 where the layers below don't
              offer OFFLOAD_GATHER
    l4        offset in `hdr` of the transport header
    csum_off  0: the transport checksum is complete. Else the device completes it, at this offset from `l4`; only where the
              layers below offer OFFLOAD_CSUM
    gso       0, or the segment size: the device cuts `data`; only where the layers below offer OFFLOAD_TSO4
    src dst proto ttl tos df   what the internet header shall say; src 0 asks the internet layer to choose; ttl 0 is the default
    quiet     a multicast is not for the groups that this host itself is in
    """

    __slots__ = (
        "csum_off", "data", "df", "dst", "gso", "hdr", "l4", "n", "o", "off", "proto", "quiet", "rest", "rest_n", "src", "tos",
        "ttl",
    )  # fmt: skip

    def __init__(self) -> None:
        self.hdr = bytearray(const.HEADROOM)
        self.data: bytes | memoryview | None = None
        self.rest: list[bytes | memoryview] | None = None
        self.reset()

    def reset(self) -> None:
        """Ready for the next packet: no header, no payload, nothing asked of the device."""
        self.off = const.HEADROOM
        self.l4 = const.HEADROOM
        self.data = None
        self.o = 0
        self.n = 0
        self.rest = None
        self.rest_n = 0
        self.csum_off = 0
        self.gso = 0
        self.src = 0
        self.dst = 0
        self.proto = 0
        self.ttl = 0
        self.tos = 0
        self.df = 0
        self.quiet = False

    def length(self) -> int:
        """Bytes of headers written so far and payload."""
        return const.HEADROOM - self.off + self.n + self.rest_n

    def tobytes(self) -> bytes:
        """Headers written so far and payload, in one piece: what a queue keeps."""
        return bytes(self.hdr[self.off :]) + self.payload()

    def payload(self) -> bytes:
        """In one piece."""
        if self.data is None or not self.n:
            return b""
        first = bytes(memoryview(self.data)[self.o : self.o + self.n])
        return first if self.rest is None else first + b"".join(self.rest)[: self.rest_n]

    def join(self) -> None:
        """Make one piece of the payload, for who can't take several."""
        if self.rest_n:
            self.data = self.payload()
            self.o = 0
            self.n += self.rest_n
            self.rest = None
            self.rest_n = 0


class Turn:
    """Who turns a stack and keeps its time, as those see it who ask something of the stack: faces and sockets."""

    __slots__ = ()

    def now(self) -> int:
        """The instant at which what is asked for now happens."""
        raise NotImplementedError

    def rearm(self) -> None:
        """Deadlines may have moved."""
        raise NotImplementedError


class FrameSink:
    """What a netif or a link hands frames to."""

    __slots__ = ()

    def input(self, f: Frame) -> None:
        raise NotImplementedError

    def flush(self, now: int) -> None:
        """The batch is over: acknowledge, send, re-arm."""
        raise NotImplementedError


class NetifCore:
    """The sending half of a device."""

    __slots__ = ()

    def send(self, p: Out, now: int) -> None:
        """An OSError counts as a frame lost on the way: a device that is gone must say so in `poll`."""
        raise NotImplementedError


class LinkCore:
    """The sending half of a link: Ethernet, or a point-to-point device."""

    __slots__ = ()

    def send(self, p: Out, ethertype: int, dst: int, now: int) -> None:
        """`dst` is a 48-bit link address; a point-to-point link ignores it."""
        raise NotImplementedError


class NextHopCore:
    """Finds the link address of the next hop, and sends there now or when it is known."""

    __slots__ = ()

    def send(self, p: Out, next_hop: int, now: int) -> None:
        """`next_hop` is an internet address on the link, a multicast group, or 0xFFFFFFFF for any broadcast."""
        raise NotImplementedError

    def progress(self, next_hop: int, now: int) -> None:
        """A transport got an acknowledgement through `next_hop`: it lives and hears us. Whoever keeps no table ignores it."""


class IpError:
    """An ICMP error about a packet that we sent, for the transport that sent it.

    type, code   of the ICMP message          mtu    next-hop MTU of a 'fragmentation needed', else 0
    src, dst     of *our* packet              quote  what the router quoted of its payload: at least 8 bytes
    reporter     who sent the error
    believed     set by the transport that found what is quoted among what it has sent: a blind guess stays a rumour
    """

    __slots__ = ("believed", "code", "dst", "mtu", "quote", "reporter", "src", "type")

    def __init__(self, type: int, code: int, src: int, dst: int, quote: bytes, mtu: int, reporter: int) -> None:
        self.type = type
        self.code = code
        self.src = src
        self.dst = dst
        self.quote = quote
        self.mtu = mtu
        self.reporter = reporter
        self.believed = False


class PacketSink:
    """What the internet layer hands datagrams to: a transport."""

    __slots__ = ()

    def input(self, f: Frame) -> None:
        """`f.off` is at the transport header, `f.end` at the end of the datagram, whatever padding the frame had."""
        raise NotImplementedError

    def flush(self, now: int) -> None:
        raise NotImplementedError

    def error(self, e: IpError, now: int) -> None:
        raise NotImplementedError


class IpCore:
    """The sending half of the internet layer. The attributes are those of the device, for the transport's choices."""

    __slots__ = ()

    def send(self, p: Out, now: int) -> None:
        """Raises Unreachable where no route or source fits, MessageTooLong where `p.df` forbids to fragment."""
        raise NotImplementedError

    def pseudo_in(self, f: Frame) -> int:
        """Folded sum of the pseudo-header of a received datagram, its length `f.end - f.off` included."""
        raise NotImplementedError

    def pseudo_out(self, p: Out, length: int) -> int:
        """Folded sum of the pseudo-header of a datagram with `length` bytes of transport header and payload."""
        raise NotImplementedError

    def unreachable(self, f: Frame, code: int) -> None:
        """Answer `f` with an ICMP destination unreachable of this code, if it may be answered (RFC 1122 3.2.2)."""
        raise NotImplementedError

    def progress(self, dst: int, now: int) -> None:
        """`dst` has acknowledged something new, or sent it: the way there works. Whoever keeps no neighbours ignores it."""


class StreamUser:
    """What a connection tells the face above it. Called from inside a batch: it may write, and must not wait."""

    __slots__ = ()

    def connected(self, now: int) -> None:
        raise NotImplementedError

    def data(self, f: Frame, n: int, now: int) -> None:
        """`n` bytes at `f.off`, in order, good only during the call."""
        raise NotImplementedError

    def queued(self, data: bytes, now: int) -> None:
        """The same for bytes that had to wait in the receive queue."""
        raise NotImplementedError

    def lent(self, data: memoryview, now: int) -> None:
        """The same for a view that they waited in; who doesn't say otherwise gets them as bytes."""
        self.queued(bytes(data), now)

    def eof(self, now: int) -> None:
        """The peer will send no more."""
        raise NotImplementedError

    def writable(self, now: int) -> None:
        """The send queue has drained to the low mark after it had passed the high one."""
        raise NotImplementedError

    def closed(self, error: "Exception | None", now: int) -> None:
        """The connection is gone; None when both sides closed it in order. Nothing follows."""
        raise NotImplementedError


class DatagramUser:
    """What a UDP port tells the face above it."""

    __slots__ = ()

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        """`f.src` and `sport` sent `f.buf[f.off:f.end]`, good only during the call."""
        raise NotImplementedError

    def error(self, e: "Exception", address: int, port: int, now: int) -> None:
        """An ICMP error about a datagram to `address`, `port`."""
        raise NotImplementedError


class DatagramCatcher:
    """Who gets the datagrams that no port wants."""

    __slots__ = ()

    def caught(self, f: Frame, sport: int, dport: int, now: int) -> None:
        """`f.src`, `sport` sent `f.buf[f.off:f.end]` to `f.dst`, `dport`; good only during the call. With `f.gso` they are several
        datagrams of that size, the last one perhaps shorter."""
        raise NotImplementedError

    def error(self, e: IpError, sport: int, dport: int, now: int) -> None:
        """An ICMP error about a datagram that left from `e.src`, `sport` for `e.dst`, `dport`, and that no port has sent."""
        raise NotImplementedError
