"""A scripted peer: our TCP on one side, segments written by hand on the other, the clock in the test's hand.

    peer = TcpScript()
    peer.listen(80)
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1)
    peer.send("PA", seq=1, ack=1, data=b"hello")
    assert peer.user.received == b"hello"
    peer.advance(40 * MILLISECOND)
    peer.expect("A", seq=1, ack=6)

Sequence numbers are relative, as Wireshark shows them: the peer's to `peer_iss`, ours to `local_iss`, which the script forces upon
the stack. So one script runs with numbers that wrap and with numbers that don't. A segment that was sent and not expected fails
the next `expect`; `expect_nothing` and `done` say that there is none.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .. import const
from ..adapters import PyStreamUser
from ..cores import IpError, StreamUser
from ..instant import SECOND
from ..tcp import wire
from ..tcp.config import TcpConfig
from ..tcp.connection import Connection
from ..tcp.listener import Listener
from ..tcp.tcp import Tcp
from ..tcp.wire import Segment
from ..timers import Timers
from .loopip import LoopIp, Packet

START = 1000 * SECOND


class Recorder:
    """A stream user that writes down what it is told, and does what `reactions` says: `{"data": lambda now: …}`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.received = b""
        self.error: Exception | None = None
        self.closed = False
        self.reactions: dict[str, Callable[[int], object]] = {}
        self.user: StreamUser = PyStreamUser(self)

    def _saw(self, event: str, now: int) -> None:
        assert not self.closed, f"{event} after closed"
        self.events.append(event)
        if event == "closed":
            self.closed = True
        if event in self.reactions:
            self.reactions[event](now)

    def on_connected(self, now: int) -> None:
        self._saw("connected", now)

    def on_data(self, data: bytes, now: int) -> None:
        assert data, "an empty delivery"
        self.received += data
        self._saw("data", now)

    def on_eof(self, now: int) -> None:
        self._saw("eof", now)

    def on_writable(self, now: int) -> None:
        self._saw("writable", now)

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.error = error
        self._saw("closed", now)


class TcpScript:
    """`user` is the Recorder of the connection that was opened last, `conn` the connection, `sent` what nobody has expected yet."""

    def __init__(
        self,
        local_iss: int = 1_000_000,
        peer_iss: int = 5_000_000,
        config: TcpConfig | None = None,
        mtu: int = 1500,
        offload: int = 0,
        seed: int = 1,
    ) -> None:
        self.now = START
        self.timers = Timers(self.now)
        self.sent: list[Segment] = []
        self.packets: list[Packet] = []
        self.ip = LoopIp("10.0.0.1", self._wire, mtu, offload)
        self.tcp = Tcp(self.ip, self.timers, random.Random(seed), config or TcpConfig())
        self.local_iss = local_iss
        self.peer_iss = peer_iss
        self.local = self.ip.address
        self.peer = self.local + 1
        self.local_port = 80
        self.peer_port = 40000
        self.user = Recorder()
        self.accepted: list[Recorder] = []
        self._conn: Connection | None = None
        self.window = 65535  # what `send` says when it is not told
        self.scale = 0  # by which `window` is shifted to the right in segments without SYN

    @property
    def conn(self) -> Connection:
        assert self._conn is not None, "no connection has been opened"
        return self._conn

    def _wire(self, packet: Packet, now: int) -> None:
        assert wire.checksum_ok(packet.data, packet.src, packet.dst), "a segment was sent with a wrong checksum"
        assert now == self.now
        self.packets.append(packet)
        self.sent.append(Segment.decode(packet.data))

    # -- opening --------------------------------------------------------------------------------------------------------------

    def force_iss(self, port: int | None = None) -> None:
        """The next connection between our port and the peer's begins at `local_iss`."""
        hub = self.tcp.hub
        hub.iss_bias = 0
        hub.iss_bias = self.local_iss - hub.iss(self.local, self.local_port, self.peer, port or self.peer_port, self.now)

    def listen(self, port: int = 80, refuse: bool = False, backlog: int = 128) -> Listener:
        def accept(conn: Connection) -> StreamUser | None:
            if refuse:
                return None
            self._conn = conn
            self.user = Recorder() if self.accepted or self.user.events else self.user
            self.accepted.append(self.user)
            return self.user.user

        self.local_port = port
        return self.tcp.listen(0, port, accept, backlog)

    def connect(self, port: int = 80, local_port: int = 40000, nodelay: bool | None = None) -> Connection:
        """The stack connects to the peer's `port`."""
        self.local_port, self.peer_port = local_port, port
        self.force_iss()
        if self.user.events or self.accepted:
            self.user = Recorder()
        self._conn = self.tcp.connect(0, local_port, self.peer, port, self.user.user, self.now, nodelay)
        return self._conn

    def establish(self, mss: int | None = 1460, wscale: int | None = None, window: int = 65535) -> Connection:
        """A handshake from the peer to a listener, the peer's first byte being 1 and ours too."""
        self.window = window
        self.listen()
        self.send("S", seq=0, mss=mss, wscale=wscale)
        self.expect("SA", seq=0, ack=1)
        self.scale = wscale or 0
        self.send("A", seq=1, ack=1)
        self.expect_nothing()
        return self.conn

    def establish_active(self, mss: int | None = 1460, wscale: int | None = None, window: int = 65535) -> Connection:
        """A handshake from the stack to the peer."""
        self.window = window
        self.connect()
        self.expect("S", seq=0)
        self.scale = wscale or 0
        self.send("SA", seq=0, ack=1, mss=mss, wscale=wscale)
        self.expect("A", seq=1, ack=1)
        return self.conn

    # -- the script -----------------------------------------------------------------------------------------------------------

    def segment(
        self,
        flags: str,
        seq: int = 0,
        ack: int | None = None,
        data: bytes = b"",
        window: int | None = None,
        mss: int | None = None,
        wscale: int | None = None,
        options: bytes = b"",
        urgent: int = 0,
        port: int | None = None,
    ) -> Segment:
        if mss is not None:
            options += wire.mss_option(mss)
        if wscale is not None:
            options += wire.wscale_option(wscale)
        field = self.window if window is None else window
        return Segment(
            port or self.peer_port,
            self.local_port,
            (self.peer_iss + seq) & const.M32,
            0 if ack is None else (self.local_iss + ack) & const.M32,
            wire.flag_bits(flags),
            min(field, const.M16) if "S" in flags else field >> self.scale,
            options,
            data,
            urgent,
        )

    def send(
        self,
        flags: str,
        seq: int = 0,
        ack: int | None = None,
        data: bytes = b"",
        window: int | None = None,
        mss: int | None = None,
        wscale: int | None = None,
        options: bytes = b"",
        urgent: int = 0,
        port: int | None = None,
        flush: bool = True,
        gso: int = 0,
    ) -> None:
        """The peer sends a segment, a batch of its own unless `flush` is False. `window` is in bytes."""
        if "S" in flags:
            self.force_iss(port)
        segment = self.segment(flags, seq, ack, data, window, mss, wscale, options, urgent, port)
        self.send_raw(segment.encode(self.peer, self.local), gso=gso)
        if flush:
            self.flush()

    def send_raw(self, data: bytes, src: int | None = None, dst: int | None = None, cast: int = 0, gso: int = 0) -> None:
        """Any bytes as a datagram from the peer; `flush` is the caller's."""
        src = self.peer if src is None else src
        dst = self.local if dst is None else dst
        self.ip.inject(src, dst, const.PROTO_TCP, data, self.now, cast, gso)

    def flush(self) -> None:
        self.ip.flush(self.now)

    def expect(
        self,
        flags: str,
        seq: int | None = None,
        ack: int | None = None,
        data: bytes | None = None,
        window: int | None = None,
        length: int | None = None,
    ) -> Segment:
        """The next segment that the stack sent has these flags (in the order S F R P A U) and these fields; what is None may be
        anything. P alone is not compared, unless it is given. Returns it."""
        assert self.sent, f"expected {flags}, but nothing was sent"
        segment = self.sent.pop(0)
        got = wire.flag_text(segment.flags)
        if "P" not in flags:
            got = got.replace("P", "")
        where = f"expected {flags} seq {seq} ack {ack}, got {self.show(segment)}"
        assert got == flags, where
        if seq is not None:
            assert (segment.seq - self.local_iss) & const.M32 == seq & const.M32, where
        if ack is not None:
            assert (segment.ack - self.peer_iss) & const.M32 == ack & const.M32, where
        if data is not None:
            assert segment.payload == data, where
        if length is not None:
            assert len(segment.payload) == length, where
        if window is not None:
            assert segment.window == window, where
        return segment

    def show(self, segment: Segment) -> str:
        """With relative numbers."""
        seq = (segment.seq - self.local_iss) & const.M32
        ack = (segment.ack - self.peer_iss) & const.M32
        return f"{wire.flag_text(segment.flags)} seq {seq} ack {ack} win {segment.window} len {len(segment.payload)}"

    def expect_nothing(self) -> None:
        assert not self.sent, f"nothing was to be sent, but: {'; '.join(map(self.show, self.sent))}"

    def take(self) -> list[Segment]:
        """All that was sent and not expected yet."""
        sent, self.sent = self.sent, []
        return sent

    def advance(self, duration: int) -> None:
        """Let time pass, timers firing at their deadlines."""
        end = self.now + duration
        while True:
            deadline = self.timers.next_deadline()
            if deadline > end:
                break
            self.now = max(self.now, deadline)
            self.timers.run(self.now)
        self.now = end

    def run_to_timer(self) -> int:
        """Let time pass until a timer has made the stack send something, or none is left; returns how long that took."""
        begin = self.now
        while not self.sent and self.timers.count:
            self.now = max(self.now, self.timers.next_deadline())
            self.timers.run(self.now)
        return self.now - begin

    def icmp(self, type: int, code: int, seq: int, mtu: int = 0, reporter: int | None = None) -> None:
        """An ICMP error arrives, from the peer or from `reporter`, that quotes a segment of ours at relative `seq`."""
        quote = Segment(self.local_port, self.peer_port, (self.local_iss + seq) & const.M32, 0, const.ACK, 0)
        error = IpError(type, code, self.local, self.peer, quote.encode(self.local, self.peer)[:8], mtu, reporter or self.peer)
        self.ip.inject_error(const.PROTO_TCP, error, self.now)
