"""Random and mutated segments into TCP: nothing is raised, nothing grows, and a connection still works afterwards."""

import random

import pytest

from netstack import const
from netstack.cores import IpError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.const import ESTABLISHED
from netstack.tcp.wire import Segment
from netstack.testing.script import TcpScript


def near(rng: random.Random, value: int) -> int:
    """Often something close to `value` on the circle, sometimes anything."""
    return (value + rng.choice((0, 0, 0, 1, -1, 2, 100, -100, 1460, 65535, 65536, 1 << 31, rng.getrandbits(32)))) & const.M32


def options(rng: random.Random) -> bytes:
    n = 4 * rng.choice((0, 0, 0, 1, 2, 5, 10))
    kinds = bytes(rng.choice((0, 1, 2, 3, 4, 5, 8, 254)) for _ in range(n))
    return bytes(k if rng.random() < 0.5 else rng.choice((0, 1, 2, 3, 4, 10, 255)) for k in kinds)


def mutate(rng: random.Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        if not damaged:
            break
        at = rng.randrange(len(damaged))
        what = rng.random()
        if what < 0.6:
            damaged[at] ^= 1 << rng.randrange(8)
        elif what < 0.8:
            damaged[at] = rng.choice((0, 1, 127, 128, 255))
        else:
            del damaged[at:]
    return bytes(damaged)


def throw(peer: TcpScript, rng: random.Random) -> None:
    """One segment that may mean anything to the connection, if there is one."""
    conns = list(peer.tcp.connections())
    conn = rng.choice(conns) if conns else None
    seq, ack = (conn.rcv_nxt, conn.snd_max) if conn is not None else (peer.peer_iss, peer.local_iss)
    remote_port = conn.remote_port if conn is not None and rng.random() < 0.9 else rng.choice((0, 1, 40000, 40001, 65535))
    segment = Segment(
        remote_port,
        peer.local_port if rng.random() < 0.95 else rng.getrandbits(16),
        near(rng, seq),
        near(rng, ack),
        rng.choice((const.ACK, const.ACK | const.PSH, const.SYN, const.ACK | const.FIN, rng.getrandbits(6), rng.getrandbits(6))),
        rng.choice((0, 1, 100, 65535, rng.getrandbits(16))),
        options(rng),
        bytes(rng.choice((0, 0, 1, 10, 536, 1460))),
        rng.getrandbits(16),
    )
    data = segment.encode(peer.peer, peer.local)
    if rng.random() < 0.2:
        data = mutate(rng, data)
    peer.ip.trusted = rng.random() < 0.5
    peer.send_raw(data, gso=rng.choice((0, 0, 0, 536, 1460)))
    peer.ip.trusted = False


def use(peer: TcpScript, rng: random.Random) -> None:
    """The users do something."""
    for conn in peer.tcp.connections():
        if conn.state >= ESTABLISHED:
            try:
                rng.choice(
                    (
                        lambda conn=conn: conn.write(bytes(rng.randrange(3000)), peer.now),
                        lambda conn=conn: conn.pause(peer.now),
                        lambda conn=conn: conn.resume(peer.now),
                        lambda conn=conn: conn.shutdown(peer.now) if rng.random() < 0.1 else None,
                        lambda conn=conn: conn.close(peer.now) if rng.random() < 0.05 else None,
                        lambda conn=conn: conn.abort(peer.now) if rng.random() < 0.02 else None,
                    )
                )()
            except Exception as error:
                assert type(error).__name__ in ("ClosedError", "BrokenError")


@pytest.mark.parametrize("round", range(12))
def test_anything_may_arrive(seed: int, round: int) -> None:
    rng = random.Random(seed + round)
    config = TcpConfig(syn_cookies=("auto", "always")[round % 2])
    peer = TcpScript(rng.choice((7, 2**31 - 50, 2**32 - 50)), rng.choice((7, 2**31 - 50, 2**32 - 50)), config, seed=round)
    peer.listen()
    for port in (40000, 40001):
        peer.send("S", seq=0, mss=1460, wscale=rng.choice((None, 3)), port=port)
        peer.local_iss = peer.take()[-1].seq
        peer.send("A", seq=1, ack=1, port=port)
    peer.connect(port=81, local_port=50000) if rng.random() < 0.5 else None
    peer.local_port = rng.choice((80, peer.local_port))
    for _ in range(600):
        throw(peer, rng)
        if rng.random() < 0.3:
            peer.flush()
        if rng.random() < 0.1:
            use(peer, rng)
        if rng.random() < 0.1:
            peer.advance(rng.choice((MILLISECOND, 50 * MILLISECOND, SECOND, 60 * SECOND)))
        if rng.random() < 0.05:
            quote = bytes(rng.getrandbits(8) for _ in range(rng.randrange(12)))
            conns = list(peer.tcp.connections())
            if conns and rng.random() < 0.7:
                conn = rng.choice(conns)
                ours = Segment(conn.local_port, conn.remote_port, near(rng, conn.snd_una), 0, 16, 0)
                quote = ours.encode(peer.local, peer.peer)[:8]
            kind, mtu = rng.choice((3, 4, 11, 12)), rng.choice((0, 68, 600, 1400))
            error = IpError(kind, rng.randrange(16), peer.local, peer.peer, quote, mtu, 1)
            peer.ip.inject_error(const.PROTO_TCP, error, peer.now)
    peer.flush()
    for conn in peer.tcp.connections():
        info = conn.info()
        assert info.unread + info.out_of_order <= 65536 * 9 // 8 + 512
    for recorder in peer.accepted:
        assert recorder.events.count("closed") <= 1
    peer.tcp.abort_all(peer.now)
    assert all(recorder.closed for recorder in peer.accepted)
    peer.advance(200 * SECOND)
    hub = peer.tcp.hub
    assert not hub.tables and not hub.half and not hub.waits and hub.count == 0 and peer.timers.count == 0
    assert peer.tcp.mib.CurrEstab == 0
    fresh = TcpScript()
    peer.listen(443)
    peer.accepted.clear()
    peer.peer_port = 12345
    peer.local_iss, peer.peer_iss = fresh.local_iss, fresh.peer_iss
    peer.take()
    peer.send("S", seq=0, mss=1460)
    peer.local_iss = peer.expect("SA", ack=1).seq
    peer.send("A", seq=1, ack=1)
    peer.send("PA", seq=1, ack=1, data=b"still works")
    assert peer.user.received == b"still works"


@pytest.mark.parametrize("round", range(4))
def test_random_bytes_are_no_segments(seed: int, round: int) -> None:
    rng = random.Random(seed + round)
    peer = TcpScript()
    peer.listen()
    for _ in range(2000):
        peer.ip.trusted = rng.random() < 0.7
        source = rng.choice((peer.peer, rng.getrandbits(32)))
        peer.send_raw(rng.randbytes(rng.randrange(80)), src=source, cast=rng.choice((0, 0, 0, 1, 2)))
    peer.flush()
    assert len(peer.tcp.hub.half) <= 2000
    peer.advance(200 * SECOND)
    assert not peer.tcp.hub.tables and peer.timers.count == 0
