"""Programs that say what the captured host said: a capture can be played without a program, and must come out as it was.

Each connection has a puppet. It sends a piece of the captured stream when it has received as much as the captured host had
acknowledged when it sent that, ends its side or resets where that one did, and writes down what it is given.
"""

from __future__ import annotations

from ..adapters import PyDatagramUser, PyStreamUser
from ..cores import StreamUser
from ..errors import AddressInUse, NetstackError
from ..instant import MILLISECOND
from ..stack import Stack
from ..tcp.connection import Connection
from ..tcp.listener import Listener
from ..testing.clock import VirtualClock
from ..udp.core import UdpPort
from .exchange import DatagramPlay
from .player import Play, Player
from .steps import ACK, FILL_LIMIT, FIN, RST, SYN, DatagramStep, SegmentStep, Step
from .talk import TcpPlay

BACKLOG = 1 << 16


class Puppet:
    """The program at our host's end of one connection."""

    def __init__(self, play: TcpPlay, clock: VirtualClock) -> None:
        talk = play.talk
        self._clock = clock
        play.taken = self.received = bytearray()
        self.conn: Connection | None = None
        self._play = play
        self._written = 0
        self._ended = False
        self._shut = False
        self._waited = 0
        self._words = talk.from_us.filled(FILL_LIMIT)
        self._deeds: list[tuple[int, int, int]] = []  # when so much has been received, send up to there, and FIN or RST
        need = 0
        for step in talk.steps:
            if step.flags & SYN or not step.ours:
                continue
            need = max(need, step.ack or 0)
            if step.payload or step.flags & (FIN | RST):
                self._deeds.append((need, step.start + len(step.payload), step.flags & (FIN | RST)))
        self._deeds.reverse()

    def on_connected(self, now: int) -> None:
        self._act(now)

    def on_data(self, data: bytes, now: int) -> None:
        self.received += data
        self._act(now)

    def on_eof(self, now: int) -> None:
        self._ended = True
        self._act(now)

    def on_writable(self, now: int) -> None:
        self._act(now)

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.conn = None

    def _act(self, now: int) -> None:
        """Do all that is due."""
        while self._deeds and self.conn is not None:
            need, end, flags = self._deeds[-1]
            if need > len(self.received) + self._ended:
                return
            if not self._shut:
                end = min(end, len(self._words))
                while self._written < end:
                    piece = self._words[self._written : min(end, self._written + 65536)]
                    self._written += len(piece)
                    if not self.conn.write(piece, now) and self._written < end:
                        return
            self._deeds.pop()
            if flags & RST:
                self._clock.call_later(MILLISECOND, self._abort)  # what it has written goes out first
                return
            elif flags & FIN and not self._shut:
                self._shut = True
                self.conn.shutdown(now)


    def _abort(self) -> None:
        if self.conn is None:
            return
        self._waited += 1
        if self._play.next < self._written and self._waited < 10_000:
            self._clock.call_later(MILLISECOND, self._abort)
        else:
            self.conn.abort(self._clock.now)


class Troupe:
    """All puppets of a replay: they listen, connect, and send datagrams when the player comes to that."""

    def __init__(self, stack: Stack, player: Player, clock: VirtualClock) -> None:
        self._stack = stack
        self._player = player
        self._clock = clock
        self._listeners: dict[int, Listener] = {}
        self._ports: dict[int, UdpPort] = {}
        self.failures: list[str] = []
        player.prompt = self.prompt
        for play in player.plays():
            if isinstance(play, DatagramPlay) and play.talk.kind == "udp":
                play.taken = []
                self._bind(play.talk.host_port)

    def prompt(self, play: Play, step: Step) -> None:
        """The player is about to play this SYN, or waits for this step of ours."""
        now = self._clock.now
        try:
            if isinstance(play, DatagramPlay):
                if step.ours and isinstance(step, DatagramStep):
                    self._say(play, step, now)
            elif isinstance(step, SegmentStep) and step.flags & SYN and not step.flags & ACK:
                if play.talk.peer_opens:
                    self._listen(play.talk.host_port, not play.talk.refused, now)
                elif step.ours and play.taken is None:
                    self._connect(play, now)
        except (NetstackError, OSError) as error:
            self.failures.append(f"packet {step.number}: {error}")

    def _listen(self, port: int, on: bool, now: int) -> None:
        listener = self._listeners.get(port)
        if on and listener is None:
            self._listeners[port] = self._stack.tcp.listen(0, port, self._accept, BACKLOG)
        elif listener is not None and not on:
            self._listeners.pop(port).close(now)

    def _accept(self, conn: Connection) -> StreamUser | None:
        play = self._player.play_at(conn.local_port, conn.remote, conn.remote_port)
        if play is None:
            return None
        puppet = Puppet(play, self._clock)
        puppet.conn = conn
        return PyStreamUser(puppet)

    def _connect(self, play: TcpPlay, now: int) -> None:
        talk = play.talk
        puppet = Puppet(play, self._clock)
        tcp, user = self._stack.tcp, PyStreamUser(puppet)
        try:
            puppet.conn = tcp.connect(0, talk.host_port, talk.peer, talk.peer_port, user, now)
        except AddressInUse:  # by one before it, which isn't over for the stack
            puppet.conn = tcp.connect(0, 0, talk.peer, talk.peer_port, user, now)
        self._player.expect(play, puppet.conn.local_port)

    def _bind(self, port: int) -> None:
        if port in self._ports:
            return

        class Ear:
            def on_datagram(ear, data: bytes, address: int, sport: int, now: int) -> None:
                play = self._player.exchange_at(port, address, sport)
                if play is not None and play.taken is not None:
                    play.taken.append(data)

            def on_error(ear, error: Exception, address: int, sport: int, now: int) -> None: ...

        self._ports[port] = self._stack.udp.bind(0, port, PyDatagramUser(Ear()))

    def _say(self, play: DatagramPlay, step: DatagramStep, now: int) -> None:
        talk = play.talk
        if talk.kind == "udp":
            self._ports[talk.host_port].send(step.payload, talk.peer, talk.peer_port, now)
        elif talk.kind == "echo" and talk.we_asked:
            message = step.payload
            ident, number = int.from_bytes(message[4:6], "big"), int.from_bytes(message[6:8], "big")
            self._stack.icmp.ping(talk.peer, ident, number, message[8:], now)
