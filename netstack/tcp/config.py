"""What can be chosen about TCP, each with its reason. Durations are nanoseconds."""

import attrs

from ..errors import UsageError
from ..instant import MILLISECOND, SECOND


@attrs.frozen(kw_only=True)
class TcpConfig:
    """Raises UsageError for a value that can't work."""

    rcv_buf: int = 262144  # bytes in the receive window: 256 KiB fill 100 Mbit/s over 20 ms; to be tuned by itself later
    max_held: int = 67108864  # bytes that wait, in all connections together, for a hole to be filled or a user who has paused. A
    # thousand peers with full windows and a hole at the front of each would hold 256 MiB otherwise, 65,536 of them 16 GiB. One
    # window of `rcv_buf` may always be held
    snd_high: int = 262144  # unacknowledged bytes at which `write` says stop …
    snd_low: int = 65536  # … and at which `writable` says go on: one super-segment is left to send meanwhile
    nodelay: bool = False  # True: no Nagle (RFC 9293 3.7.4) on new connections
    congestion: str = "cubic"  # RFC 9438; or another of congestion/registry.py. An unknown name is refused by `Tcp`
    timestamps: bool = True  # RFC 7323: round trips from every ACK, and old segments known as such; 12 bytes in each segment
    sack: bool = True  # RFC 2018: both sides say what came, and what is missing is sent again, that alone
    rto_min: int = 200 * MILLISECOND  # as Linux; see rtt.py
    syn_retries: int = 6  # 1+2+4+8+16+32+64 = 127 s until connect gives up (RFC 9293 3.8.3: at least 3 minutes; Linux 127 s)
    synack_retries: int = 5  # 63 s in the half-open table
    retries: int = 15  # retransmissions of data until TimedOut: 13 to 30 minutes (RFC 1122 4.2.3.5: at least 100 s)
    orphan_retries: int = 8  # the same once the user has closed: about 100 s, since nobody waits for it any more
    user_timeout: int = 0  # > 0: give up when sent data is not acknowledged for so long (RFC 5482, for this side alone)
    fin_timeout: int = 60 * SECOND  # a closed connection's stay in FIN-WAIT-2: a peer that never closes must not hold us for ever
    time_wait: int = 60 * SECOND  # 2 MSL with an MSL of 30 s, as Linux
    max_time_wait: int = 8192  # about 1.5 MB; beyond, the oldest ends early: fewer than 137 closes a second never get there
    max_half_open: int = 1024  # about 1 MB; all listeners have equal shares of it
    syn_cookies: str = "auto"  # to SYNs for which there is no place: cookies.py says what they cost an honest peer. "always": no
    # table, for tests. "never": new SYNs replace half-open connections at random (a flooder who sends r SYNs a second to n
    # entries leaves an honest handshake of t seconds alive with probability (1 - 1/n)**(r*t): 37 % at 100,000 a second and 10 ms)
    max_connections: int = 65536  # all states but TIME-WAIT
    keepalive: int = 0  # > 0: idle time before the first probe on new connections. RFC 9293 3.8.4: off by default
    keepalive_interval: int = 75 * SECOND
    keepalive_count: int = 9

    def __attrs_post_init__(self) -> None:
        if not 2048 <= self.rcv_buf <= 65535 << 14:
            raise UsageError(f"rcv_buf={self.rcv_buf} is not a receive window: choose 2 KiB to 65535 << 14, what scaling can name")
        if not 0 <= self.snd_low <= self.snd_high:
            raise UsageError(f"snd_low={self.snd_low} must lie between 0 and snd_high={self.snd_high}")
        for name in ("rto_min", "fin_timeout", "time_wait", "keepalive_interval"):
            if getattr(self, name) < MILLISECOND:
                raise UsageError(f"{name}={getattr(self, name)} is less than a millisecond: durations are in nanoseconds")
        if self.syn_cookies not in ("auto", "always", "never"):
            raise UsageError(f"syn_cookies={self.syn_cookies!r} is no policy: choose 'auto', 'always' or 'never'")
        for name in ("max_time_wait", "max_half_open", "max_connections", "keepalive_count"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} would refuse everything: choose 1 or more")
