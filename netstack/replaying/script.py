"""What a capture says of one host: with whom it talked, and the packets of each talk in the order of the file.

A *talk* is a TCP connection, a pair of UDP ends, or the echoes of one identifier. A *step* is a captured packet of it. Sequence
numbers become offsets into the two streams, by which a step can be played at any other sequence numbers: -1 is the SYN, 0 the
first byte, and the FIN stands behind the last. They are not taken modulo anything, so streams may be longer than 2**32.

Where the capture begins in the middle of a connection, the first segment says where both streams are, and a handshake that
nobody captured is made up.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from .. import const
from ..address import Ip4, ip4_text
from ..captures import Datagram, Other
from ..errors import UsageError, WireError
from ..tcp.wire import Segment
from .expected import Expected

ACK, FIN, RST, SYN = const.ACK, const.FIN, const.RST, const.SYN
# A capture of a scan has a talk for each port: each is an object, and waits at play. 100,000 are 200 MB, and minutes.
TALK_LIMIT = 100_000
# What a capture may lack and have made up: two packets with sequence numbers far apart are a hole of gigabytes
FILL_LIMIT = 4 << 20


@attrs.frozen(eq=False)
class Step:
    """A captured packet. `ours`: our host sent it. `time` is in nanoseconds from the first packet of the capture."""

    number: int
    time: int
    ours: bool
    talk: Talk


@attrs.frozen(eq=False)
class SegmentStep(Step):
    """`start` and `ack` are offsets; `ack` is None without an ACK. `window` is the field as it was captured."""

    talk: TcpTalk
    start: int
    ack: int | None
    flags: int
    window: int = 0
    options: bytes = b""
    payload: bytes = b""
    urgent: int = 0
    tos: int = 0
    ttl: int = 64

    @property
    def kinds(self) -> set[int]:
        """Of its options."""
        return {kind for kind, _ in options_of(self.options)} if self.options else set()

    @property
    def end(self) -> int:
        """The offset behind all that it takes of the stream, SYN and FIN among it."""
        return self.start + len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


@attrs.frozen(eq=False)
class DatagramStep(Step):
    """A datagram of UDP, its `payload`; an echo, with the whole ICMP message; or anything else, with the whole IPv4 datagram."""

    payload: bytes
    tos: int = 0
    ttl: int = 64


class TcpTalk:
    """A captured connection. `to_us` and `from_us` are its streams as the capture has them."""

    def __init__(self, host: int, host_port: int, peer: int, peer_port: int) -> None:
        self.host, self.host_port, self.peer, self.peer_port = host, host_port, peer, peer_port
        self.steps: list[SegmentStep] = []
        self.peer_opens = False  # the peer sent the SYN
        self.has_handshake = False
        self.their_isn: int | None = None  # of the stream to us
        self.our_isn: int | None = None
        self.their_shift: int | None = 0  # by which the windows of the peer are scaled; None where it didn't say
        self.our_shift: int | None = None
        self.to_us = Expected()
        self.from_us = Expected()
        self.our_fin: tuple[int, int] | None = None  # its offset, and the packet
        self.our_rst: int | None = None  # the packet
        self.their_rst: int | None = None
        self.lacks: tuple[int, int] | None = None  # of the stream to us: where the capture lacks what was sent, and how much
        self._at = [0, 0]  # the offsets that were seen last, ours and theirs: where wrapping is reckoned from

    @property
    def name(self) -> str:
        """Who called whom."""
        us, them = f"{ip4_text(self.host)}:{self.host_port}", f"{ip4_text(self.peer)}:{self.peer_port}"
        return f"{them} > {us}" if self.peer_opens else f"{us} > {them}"

    @property
    def refused(self) -> bool:
        """Our host answered the SYN by a reset."""
        return self.peer_opens and self.our_rst is not None and not self.was_accepted

    def is_new(self, segment: Segment, ours: bool) -> bool:
        """Does this SYN open another connection between the same ends?"""
        known = self.our_isn if ours else self.their_isn
        if known is None:
            return bool(self.steps) and not self.has_handshake
        return known != segment.seq

    def add(self, number: int, time: int, ours: bool, segment: Segment, tos: int, ttl: int) -> None:
        syn = bool(segment.flags & SYN)
        if not self.steps:
            self.has_handshake = syn
            answers = syn and bool(segment.flags & ACK)
            # without a SYN: servers have the lower port, nearly always
            self.peer_opens = ours == answers if syn else self.host_port <= self.peer_port
        seq = segment.seq + 1 if syn else segment.seq
        if ours and self.our_isn is None:
            self.our_isn = (seq - 1) & const.M32
        elif not ours and self.their_isn is None:
            self.their_isn = (seq - 1) & const.M32
        ack = None
        if segment.flags & ACK:
            if ours and self.their_isn is None:
                self.their_isn = (segment.ack - 1) & const.M32
            elif not ours and self.our_isn is None:
                self.our_isn = (segment.ack - 1) & const.M32
            ack = self._offset(segment.ack, not ours)
        start = self._offset(seq, ours) - syn
        if syn:
            shift = scale_of(segment)
            if ours:
                self.our_shift = shift
            else:
                self.their_shift = shift
        step = SegmentStep(
            number, time, ours, self, start, ack, segment.flags, segment.window, segment.options, segment.payload,
            segment.urgent, tos, ttl,
        )  # fmt: skip
        self.steps.append(step)
        stream = self.from_us if ours else self.to_us
        stream.add(start + syn, segment.payload, number)
        if segment.flags & FIN and ours and self.our_fin is None:
            self.our_fin = step.end - 1, number
        if segment.flags & RST:
            if ours and self.our_rst is None:
                self.our_rst = number
            elif not ours and self.their_rst is None:
                self.their_rst = number

    def _offset(self, number: int, ours: bool) -> int:
        """Of a sequence number: the one nearest to what was seen last."""
        base = self.our_isn if ours else self.their_isn
        assert base is not None
        side = not ours
        last = self._at[side]
        delta = (number - base - 1 - last) & const.M32
        offset = last + delta - (1 << 32 if delta >> 31 else 0)
        if abs(offset - last) < 1 << 30:  # what is farther away is nobody's, and must not move us
            self._at[side] = max(last, offset)
        return offset

    @property
    def was_accepted(self) -> bool:
        """Our host has sent a SYN, or must have."""
        return any(step.ours and step.flags & SYN for step in self.steps)

    @property
    def shift(self) -> int:
        """By which the windows of the peer's segments are scaled: both sides must have said so (RFC 7323 2.2). Where only one of
        the SYNs was captured the other is believed to have."""
        if self.their_shift is None or (self.our_shift is None and self.was_accepted):
            return 0
        return self.their_shift

    def finish(self, fill: bool) -> None:
        """All packets have been seen: make up what the capture lacks, and leave out what can't be played without it."""
        self._add_handshake()
        holes = self.to_us.holes(self._sent_to_us())
        if not holes:
            return
        if fill and sum(length for _, length in holes) <= FILL_LIMIT:
            for at, length in holes:
                self._fill(at, length)
        else:
            self.lacks = holes[0]
            self._truncate(holes[0][0])

    def _sent_to_us(self) -> int:
        """How long the stream to us must have been: what was captured of it, and what our host has acknowledged."""
        theirs = [step for step in self.steps if not step.ours and (step.payload or step.flags & FIN)]
        fin = min((step.start + len(step.payload) for step in theirs if step.flags & FIN), default=None)
        last = max((step.start + len(step.payload) for step in theirs), default=0)
        acked = max((step.ack for step in self.steps if step.ours and step.ack is not None), default=0)
        if fin is not None:
            return max(last, fin)
        return max(last, acked)

    def _add_handshake(self) -> None:
        opening = next((step for step in self.steps if step.flags & (SYN | ACK) == SYN), None)
        if opening is not None and opening is not self.steps[0]:  # captured on two ways, its answer may stand before it
            self.steps.remove(opening)
            self.steps.insert(0, opening)
            self.peer_opens = not opening.ours
        first = self.steps[0]
        syns = {step.ours for step in self.steps if step.flags & SYN}
        if self.peer_opens and False not in syns:
            made = [self._made(first, False, SYN, -1, None)]
            if True not in syns:
                made += [self._made(first, True, SYN | ACK, -1, 0), self._made(first, False, ACK, 0, 0)]
        elif not self.peer_opens and True not in syns:
            made = [self._made(first, True, SYN, -1, None)]
            if False not in syns:
                made += [self._made(first, False, SYN | ACK, -1, 0)]
        elif not self.peer_opens and False not in syns and any(step.ours and step.start >= 0 and step.ack for step in self.steps):
            self.steps.insert(1, self._made(first, False, SYN | ACK, -1, 0))  # one way alone was captured
            return
        else:
            return
        self.steps[:0] = made

    def _made(self, like: SegmentStep, ours: bool, flags: int, start: int, ack: int | None) -> SegmentStep:
        """A segment that nobody captured."""
        mss = b"\x02\x04\x05\xb4" if flags & SYN else b""
        return SegmentStep(like.number, like.time, ours, self, start, ack, flags, const.M16, mss)

    def _fill(self, at: int, length: int) -> None:
        """Zeros for what the capture lacks, just before the first packet from behind it."""
        behind = (i for i, step in enumerate(self.steps) if step.start >= at + length if not step.ours)
        place = next(behind, len(self.steps))
        like = self.steps[place] if place < len(self.steps) else next(step for step in reversed(self.steps) if not step.ours)
        pieces = [
            attrs.evolve(like, start=o, payload=bytes(min(1400, at + length - o)), flags=ACK, urgent=0, options=b"")
            for o in range(at, at + length, 1400)
        ]
        for piece in pieces:
            self.to_us.add(piece.start, piece.payload, like.number)
        self.steps[place:place] = pieces

    def _truncate(self, at: int) -> None:
        """Our host will never take what is behind `at`, and what it said to that can't be expected."""
        behind = next((i for i, step in enumerate(self.steps) if not step.ours and step.start > at), len(self.steps))
        kept = self.steps[:behind]
        for step in self.steps[behind:]:
            if step.ours:
                can = step.ack is not None and not step.flags & RST
            else:
                can = step.start <= at and not step.flags & (FIN | RST)
            if can:
                kept.append(step)
        self.steps = [step for step in kept if not step.ours or step.ack is None or step.ack <= at]
        self.from_us = Expected()
        self.our_fin = self.our_rst = self.their_rst = None
        for step in self.steps:
            if step.ours:
                self.from_us.add(step.start + bool(step.flags & SYN), step.payload, step.number)
                if step.flags & FIN and self.our_fin is None:
                    self.our_fin = step.end - 1, step.number
        self.to_us.truncate(at)


class DatagramTalk:
    """Datagrams between two ends, "udp"; echoes of one identifier, "echo"; or what is played as it is, "other"."""

    def __init__(self, kind: str, host: int, host_port: int, peer: int, peer_port: int) -> None:
        self.kind, self.host, self.host_port, self.peer, self.peer_port = kind, host, host_port, peer, peer_port
        self.steps: list[DatagramStep] = []

    @property
    def we_open(self) -> bool:
        return self.steps[0].ours

    @property
    def we_asked(self) -> bool:
        """Of echoes: the requests are ours, whichever was captured."""
        return bool(self.host_port >> 16)

    @property
    def name(self) -> str:
        if self.kind == "echo":
            return f"echo {ip4_text(self.host)} {'>' if self.we_asked else '<'} {ip4_text(self.peer)}"
        us, them = f"{ip4_text(self.host)}:{self.host_port}", f"{ip4_text(self.peer)}:{self.peer_port}"
        return f"udp {us} > {them}" if self.we_open else f"udp {them} > {us}"


Talk = TcpTalk | DatagramTalk


@attrs.define
class Script:
    """All talks of `host`, and their steps in the order of the file."""

    host: int
    talks: list[Talk] = attrs.field(factory=list)
    steps: list[Step] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)  # what is in the capture and isn't played
    duration: int = 0

    @property
    def connections(self) -> list[TcpTalk]:
        return [talk for talk in self.talks if isinstance(talk, TcpTalk)]


def scale_of(segment: Segment) -> int | None:
    """The window scale of a SYN (RFC 7323 2.3: 14 is the most). A malformed option is none."""
    try:
        value = segment.option(3)
    except WireError:
        return None
    return min(value[0], 14) if value else None


def read_script(datagrams: Iterable[Datagram | Other], host: Ip4 | None, port: int = 0, *, fill: bool = False) -> Script:
    """The talks of `host`, or of the only host that all packets have in common. With a `port`, those of that port alone: on a
    loopback both ends have one address. Raises UsageError where it isn't in the capture, and what reading raises."""
    reader = ScriptReader(int(host) if host is not None else None, port, fill)
    for datagram in datagrams:
        if isinstance(datagram, Datagram):
            reader.add(datagram)
    return reader.finish()


class ScriptReader:
    """Datagrams in, one by one; then `finish`."""

    def __init__(self, host: int | None, port: int, fill: bool) -> None:
        self._host = host
        self._port = port
        self._moved: set[int] = set()  # peers that are played from other addresses
        self._loops = 0  # packets from an address to itself
        self._fill = fill
        self._kept: list[Datagram] = []  # until it is known who our host is
        self._hosts: dict[int, int] = {}
        self._seen = 0
        self._first: int | None = None
        self._last = 0
        self._tcp: dict[tuple[int, int, int], TcpTalk] = {}
        self._others: dict[tuple[str, int, int, int], DatagramTalk] = {}
        self._script = Script(_stand_in(host or 0))
        self._bad: dict[str, list[int]] = {}

    def add(self, datagram: Datagram) -> None:
        data = datagram.data
        if len(data) < 20:
            return
        self._seen += 1
        for address in (int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big")):
            if len(self._hosts) < 4096 or address in self._hosts:  # for an error message; a scan has millions
                self._hosts[address] = self._hosts.get(address, 0) + 1
        if self._host is None:
            self._kept.append(datagram)
        else:
            self._take(datagram)

    def _take(self, datagram: Datagram) -> None:
        data = datagram.data
        src, dst = int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big")
        ours = src == self._host
        if not ours and dst != self._host and dst < 0xE0000000:
            return
        head = (data[0] & 15) << 2
        if self._port:
            ports = [int.from_bytes(data[head + o : head + o + 2], "big") for o in (0, 2)]
            ours = ours and ports[0] == self._port
            if data[9] not in (const.PROTO_TCP, const.PROTO_UDP) or self._port not in ports or (not ours and dst != self._host):
                return
        elif src == dst:
            self._loops += 1
            self._passed("what the host sent to itself", datagram.number)
            return
        if datagram.time is not None:
            if self._first is None:
                self._first = datagram.time
            self._last = max(self._last, datagram.time - self._first)
        body = data[head:]
        try:
            peer = dst if ours else src
            if _outside(peer) != peer:
                self._moved.add(peer)
            self._body(datagram, ours, _outside(peer), data[9], body)
        except WireError:
            self._passed("malformed", datagram.number)

    def _body(self, datagram: Datagram, ours: bool, peer: int, proto: int, body: bytes) -> None:
        assert self._host is not None
        data, number, time = datagram.data, datagram.number, self._last
        tos, ttl = data[1], data[8]
        if int.from_bytes(data[6:8], "big") & 0x1FFF:
            return
        if proto == const.PROTO_TCP:
            segment = Segment.decode(body)
            if datagram.cut:
                segment = self._whole(segment, (data[2] << 8 | data[3]) - len(data))
            if peer < 0xE0000000:
                self._segment(number, time, ours, peer, segment, tos, ttl)
            return
        to_many = not ours and int.from_bytes(data[16:20], "big") != self._host
        if proto == const.PROTO_UDP and not to_many:
            if len(body) < 8:
                raise WireError("a short UDP header")
            ports = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
            length = int.from_bytes(body[4:6], "big")
            mine, theirs = ports if ours else ports[::-1]
            payload = body[8 : length if length >= 8 else len(body)]
            if datagram.cut or (length > len(body)):
                self._passed("cut datagrams", number)
                return
            self._datagram("udp", mine, peer, theirs, DatagramStep(number, time, ours, NOBODY, payload, tos, ttl))
        elif proto == const.PROTO_ICMP and len(body) >= 8 and body[0] in (const.ICMP_ECHO, const.ICMP_ECHO_REPLY) and not to_many:
            # an echo and its reply are one talk, whoever asks
            asks = ours == (body[0] == const.ICMP_ECHO)
            ident = int.from_bytes(body[4:6], "big") | asks << 16
            if datagram.cut:
                self._passed("cut datagrams", number)
                return
            self._datagram("echo", ident, peer, 0, DatagramStep(number, time, ours, NOBODY, body, tos, ttl))
        elif ours or self._script.host != self._host:
            self._passed("of protocols that are not compared", number)
        else:
            self._datagram("other", 0, peer, proto, DatagramStep(number, time, False, NOBODY, bytes(data), tos, ttl))

    def _whole(self, segment: Segment, lacks: int) -> Segment:
        """A segment of which the capture has only the beginning."""
        if self._fill and 0 < lacks < 1 << 16:
            return attrs.evolve(segment, payload=segment.payload + bytes(lacks))
        return attrs.evolve(segment, flags=segment.flags & ~FIN)  # which stands where we can't see

    def _segment(self, number: int, time: int, ours: bool, peer: int, segment: Segment, tos: int, ttl: int) -> None:
        assert self._host is not None
        mine, theirs = (segment.sport, segment.dport) if ours else (segment.dport, segment.sport)
        key = (mine, peer, theirs)
        talk = self._tcp.get(key)
        if talk is None or (segment.flags & SYN and not segment.flags & ACK and talk.is_new(segment, ours)):
            if segment.flags & RST and not segment.flags & SYN and talk is None:
                self._passed("resets of connections that the capture doesn't have", number)
                return
            talk = self._tcp[key] = TcpTalk(self._script.host, mine, peer, theirs)
            self._new(talk)
        talk.add(number, time, ours, segment, tos, ttl)

    def _datagram(self, kind: str, mine: int, peer: int, theirs: int, step: DatagramStep) -> None:
        assert self._host is not None
        key = (kind, mine, peer, theirs)
        talk = self._others.get(key)
        if talk is None:
            talk = self._others[key] = DatagramTalk(kind, self._script.host, mine, peer, theirs)
            self._new(talk)
        talk.steps.append(attrs.evolve(step, talk=talk))

    def _new(self, talk: Talk) -> None:
        if len(self._script.talks) >= TALK_LIMIT:
            raise WireError(f"more than {TALK_LIMIT} connections: cut the capture into several")
        self._script.talks.append(talk)

    def _passed(self, why: str, number: int) -> None:
        self._bad.setdefault(why, []).append(number)

    def finish(self) -> Script:
        if self._host is None:
            self._host = self._only()
            self._script.host = _stand_in(self._host)
            for datagram in self._kept:
                self._take(datagram)
        script = self._script
        if not script.talks:
            called = ip4_text(self._host)
            if self._loops:
                raise UsageError(f"{called} talks to itself in this capture: say which end we are by its port, like {called}:8080")
            called += f":{self._port}" if self._port else ""
            raise UsageError(f"{called} is not in this capture: {self._known()}")
        if script.host != self._host:
            script.notes.append(f"our host is {ip4_text(script.host)} here: no host on a link can be {ip4_text(self._host)}")
        if self._moved:
            text = ", ".join(f"{ip4_text(peer)} as {ip4_text(_outside(peer))}" for peer in sorted(self._moved)[:8])
            script.notes.append(f"played from other addresses, since no host on a link can have these: {text}")
        order: list[tuple[int, int, Step]] = []
        for talk in script.talks:
            if isinstance(talk, TcpTalk):
                talk.finish(self._fill)
                if talk.lacks is not None:
                    at, length = talk.lacks
                    script.notes.append(
                        f"{talk.name}: the capture lacks {length} bytes of what the peer sent, at offset {at}: played up to there"
                    )
                if talk.to_us.conflict is not None:
                    at, number = talk.to_us.conflict
                    script.notes.append(
                        f"{talk.name}: two versions of byte {at} of what the peer sent, the later one in packet {number}"
                    )
            # in a talk the order of its list, made-up steps among it; between talks that of the file
            latest = 0
            for i, step in enumerate(talk.steps):
                latest = max(latest, step.number)
                order.append((latest, i, step))
        order.sort(key=lambda entry: entry[:2])
        script.steps = [step for _, _, step in order]
        for why, numbers in self._bad.items():
            shown = ", ".join(map(str, numbers[:5])) + (" …" if len(numbers) > 5 else "")
            script.notes.append(f"{len(numbers)} packets passed over: {why} (packet {shown})")
        script.duration = self._last
        return script

    def _only(self) -> int:
        most = [address for address, count in self._hosts.items() if count == self._seen]
        if len(most) != 1:
            raise UsageError(f"which host are we? Say so by as_host, or --as: {self._known()}")
        return most[0]

    def _known(self) -> str:
        if not self._hosts:
            return "there is no IPv4 in it"
        known = sorted(self._hosts, key=lambda address: -self._hosts[address])
        return f"there are {', '.join(map(ip4_text, known[:8]))}{' and others' if len(known) > 8 else ''}"


BENCH = 0xC6120000  # 198.18.0.0/15, which RFC 2544 keeps for benches, stands in for addresses that exist on no link


def _is_nowhere(address: int) -> bool:
    """On no link: 0/8 and 127/8 (RFC 1122 3.2.1.3), and class E, which makers of captures like for addresses that they hide."""
    return address >> 24 in (0, 127) or 0xF0000000 <= address < const.M32


def _outside(peer: int) -> int:
    return BENCH | (peer & 0xFFFF) if _is_nowhere(peer) else peer


def _stand_in(host: int) -> int:
    return BENCH | 0x10001 if host and _is_nowhere(host) else host


NOBODY = DatagramTalk("other", 0, 0, 0, 0)  # a step's talk before it is known


def options_of(data: bytes) -> list[tuple[int, bytes]]:
    """Kinds and values of the options of a segment, without padding, up to the first that is malformed."""
    found, o = [], 0
    while o < len(data) and data[o]:
        if data[o] == 1:
            o += 1
            continue
        if o + 2 > len(data) or not 2 <= data[o + 1] <= len(data) - o:
            break
        found.append((data[o], data[o + 2 : o + data[o + 1]]))
        o += data[o + 1]
    return found
