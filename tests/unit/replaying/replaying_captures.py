"""Captures made for these tests, in memory."""

import io
import random
import struct

from netstack import const, pcap
from netstack.captures import Datagram, read
from netstack.instant import MILLISECOND
from netstack.replaying.talk import datagram
from netstack.tcp import wire
from netstack.tcp.wire import Segment
from netstack.testing.endpoint import Endpoint
from netstack.testing.net import World

US, THEM = 0x0A000002, 0x0A000001
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


def conversation(request: bytes, answer: bytes, seed: int = 1, **faults) -> bytes:
    """A connection from 10.0.0.1 to port 80 of 10.0.0.2 over a link with `faults`; both sides send all they have and end."""
    world = World(seed=seed, delay=5 * MILLISECOND, **faults)
    client, server = world.host("client"), world.host("server")
    link = world.link(client, server)
    file = io.BytesIO()
    link.capture(file)
    there = Endpoint(answer)
    server.listen(80, lambda: there)
    here = client.connect(server, 80, Endpoint(request))
    world.run(until=lambda: here.is_closed and there.is_closed)
    assert bytes(here.received) == answer and bytes(there.received) == request
    return file.getvalue()


def noise(size: int, seed: int = 5) -> bytes:
    return random.Random(seed).randbytes(size)


def segments(*lines: tuple, isn: tuple[int, int] = (1000, 5000), ports: tuple[int, int] = (40000, 80)) -> bytes:
    """A capture of segments between 10.0.0.1 (">") and 10.0.0.2 ("<"), a millisecond apart: `(way, flags, seq, ack, payload)`, and
    options; numbers are relative, 0 is the SYN."""
    file = io.BytesIO()
    writer = pcap.PcapWriter(file.write, pcap.RAW)
    for i, (way, flags, seq, ack, *rest) in enumerate(lines):
        payload, options = (*rest, b"", b"")[:2]
        here, there = (0, 1) if way == ">" else (1, 0)
        number = 0 if ack is None else (isn[there] + ack) & const.M32
        segment = Segment(
            ports[here], ports[there], (isn[here] + seq) & const.M32, number, wire.flag_bits(flags), 65535, options, payload
        )
        ends = (THEM, US) if way == ">" else (US, THEM)
        writer.packet(i * MILLISECOND, datagram(*ends, const.PROTO_TCP, segment.encode(*ends), i + 1))
    return file.getvalue()


HANDSHAKE = ((">", "S", 0, None), ("<", "SA", 0, 1), (">", "A", 1, 1))


def udp(src: int, sport: int, dst: int, dport: int, payload: bytes) -> bytes:
    return datagram(src, dst, const.PROTO_UDP, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, 1)


def raw_file(*datagrams: bytes) -> bytes:
    file = io.BytesIO()
    writer = pcap.PcapWriter(file.write, pcap.RAW)
    for i, data in enumerate(datagrams):
        writer.packet(i * MILLISECOND, data)
    return file.getvalue()


def as_link(capture: bytes, linktype: int, header: bytes, fragment: int = 0) -> bytes:
    """The same datagrams behind another link header, in fragments of at most `fragment` bytes."""
    file = io.BytesIO()
    writer = pcap.PcapWriter(file.write, linktype)
    for item in read(io.BytesIO(capture)):
        assert isinstance(item, Datagram)
        for piece in _pieces(item.data, fragment):
            writer.packet(item.time or 0, header + piece)
    return file.getvalue()


def _pieces(data: bytes, fragment: int) -> list[bytes]:
    body = data[20:]
    if not fragment or len(body) <= fragment:
        return [data]
    pieces = []
    for o in range(0, len(body), fragment):
        piece = body[o : o + fragment]
        more = const.IP_MF if o + fragment < len(body) else 0
        word = (o >> 3 | more).to_bytes(2, "big")
        pieces.append(data[:2] + (20 + len(piece)).to_bytes(2, "big") + data[4:6] + word + data[8:20] + piece)
    return pieces
