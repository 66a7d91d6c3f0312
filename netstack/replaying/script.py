"""What a capture says of one host: with whom it talked, and the packets of each talk in the order of the file.

A *talk* is a TCP connection, a pair of UDP ends, or the echoes of one identifier. A *step* is a captured packet of it (steps.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from .. import const, records
from ..address import Ip4, ip4_text
from ..captures import Datagram, Other
from ..errors import UsageError, WireError
from ..tcp.wire import Segment
from .steps import ACK, FIN, RST, SYN, DatagramStep, DatagramTalk, Step, Talk, TcpTalk

# A capture of a scan has a talk for each port: 20,000 took 80 MB and 17 s, so that the most are a minute or two and 400 MB
TALK_LIMIT = 100_000


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
            return records.evolve(segment, payload=segment.payload + bytes(lacks))
        return records.evolve(segment, flags=segment.flags & ~FIN)  # which stands where we can't see

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
