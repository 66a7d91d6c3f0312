"""struct tcp_info (include/uapi/linux/tcp.h), from what a connection tells of itself."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .stream import StreamSocket

# up to tcpi_snd_wnd, as Linux 5.4 to 6.1 have it
_INFO = struct.Struct("=8B 24I 4Q 6I 4Q 2I 2Q 4I")
TIMESTAMPS, SACK, WSCALE = 1, 2, 4
PHASES = {"open": 0, "recovery": 3, "loss": 4}  # TCP_CA_*
MICROSECOND, MILLISECOND = 1000, 1_000_000
U32 = 0xFFFFFFFF
INFINITE = 0x7FFFFFFF


def pack(sock: StreamSocket) -> bytes:
    conn = sock.conn
    if conn is None:
        return bytes((sock.state,)).ljust(_INFO.size, b"\0")
    i = conn.info()
    now = sock.turn.now()
    mss = max(1, i.mss)
    options = TIMESTAMPS * i.timestamps | SACK * i.sack | WSCALE * bool(i.snd_wscale or i.rcv_wscale)
    since_sent, since_heard = (max(0, now - t) // MILLISECOND if t else 0 for t in (i.last_sent, i.last_heard))
    return _INFO.pack(
        sock.state, PHASES[i.phase], min(i.retries, 255), min(i.retries if i.persisting else 0, 255),
        i.backoff, options, i.snd_wscale | i.rcv_wscale << 4, 0,
        _u32(i.rto // MICROSECOND), 40_000, i.mss, i.rcv_mss,
        i.in_flight // mss, i.sacked // mss, i.lost // mss, i.resent // mss, 0,
        _u32(since_sent), 0, _u32(since_heard), _u32(since_heard),
        i.path_mtu, _u32(i.rcv_wnd), _u32(i.srtt // MICROSECOND), _u32(i.rttvar // MICROSECOND),
        INFINITE if i.ssthresh < 0 else min(INFINITE, i.ssthresh // mss), max(0, i.cwnd) // mss, i.adv_mss, max(3, i.reordering),
        _u32(i.rcv_rtt // MICROSECOND), _u32(i.rcv_space), _u32(i.retransmits),
        0, 0, i.acked_bytes, 0,
        0, 0, _u32(i.not_sent), _u32(i.min_rtt // MICROSECOND), 0, 0,
        i.delivery_rate, 0, 0, 0,
        0, 0,
        i.acked_bytes + i.in_flight, i.resent_bytes,
        _u32(i.dsacked), int(i.reordered), 0, _u32(i.snd_wnd),
    )  # fmt: skip


def _u32(value: int) -> int:
    return max(0, min(value, U32))
