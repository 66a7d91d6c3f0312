"""What can be chosen about TCP, each with its reason. Durations are nanoseconds."""

from ..errors import UsageError
from ..instant import MILLISECOND, SECOND
from ..records import frozen
from . import const as tc


@frozen(kw_only=True)
class TcpConfig:
    """Raises UsageError for a value that can't work."""

    rcv_buf: int | None = None  # bytes in the receive window of a new connection. None: 64 KiB, and then what its reader asks
    # for (tuning.py) …
    rcv_buf_max: int = 16 << 20  # … up to this: 1.3 Gbit/s over 100 ms. It decides the window scale of every connection
    snd_high: int | None = None  # unacknowledged bytes at which `write` says stop. None: 256 KiB, and more as the congestion window
    # grows …
    snd_low: int | None = None  # … and at which `writable` says go on. None: a quarter of a fixed `snd_high`
    snd_buf_max: int = 16 << 20  # … up to this
    memory_pressure: int = 64 << 20  # bytes in the queues of all connections together at which no buffer grows any more …
    memory_max: int = 128 << 20  # … and at which writers are told to stop, and what nobody takes is dropped, to be sent again
    # (budget.py). A thousand peers with full windows and a hole at the front of each would hold 16 GiB otherwise
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
    max_held: int = 1024  # SYNs that wait for a catcher's word (catch.py), about 0.5 MB; in need, who has most of them pays …
    held_timeout: int = 130 * SECOND  # … and for so long: a little longer than Linux repeats a SYN, 127 s
    max_connections: int = 65536  # all states but TIME-WAIT
    keepalive: int = 0  # > 0: idle time before the first probe on new connections. RFC 9293 3.8.4: off by default
    keepalive_interval: int = 75 * SECOND
    keepalive_count: int = 9

    def __post_init__(self) -> None:
        for name, size in (("rcv_buf", self.rcv_buf), ("rcv_buf_max", self.rcv_buf_max)):
            if size is not None and not tc.RCV_LEAST <= size <= 65535 << 14:
                raise UsageError(f"{name}={size} is not a receive window: choose 2 KiB to 65535 << 14, what scaling can name")
        if self.snd_low is not None and self.snd_high is None:
            raise UsageError(f"snd_low={self.snd_low} needs a snd_high: give both, or neither for marks that tune themselves")
        if self.snd_high is not None and not 0 <= (self.snd_low or 0) <= self.snd_high:
            raise UsageError(f"snd_low={self.snd_low} must lie between 0 and snd_high={self.snd_high}")
        if self.snd_buf_max < tc.LEAST:
            raise UsageError(f"snd_buf_max={self.snd_buf_max} holds less than two segments: choose {tc.LEAST} or more")
        if not 0 < self.memory_pressure <= self.memory_max:
            raise UsageError(f"memory_pressure={self.memory_pressure} must lie between 1 and memory_max={self.memory_max}")
        for name in ("rto_min", "fin_timeout", "time_wait", "keepalive_interval", "held_timeout"):
            if getattr(self, name) < MILLISECOND:
                raise UsageError(f"{name}={getattr(self, name)} is less than a millisecond: durations are in nanoseconds")
        if self.syn_cookies not in ("auto", "always", "never"):
            raise UsageError(f"syn_cookies={self.syn_cookies!r} is no policy: choose 'auto', 'always' or 'never'")
        for name in ("max_time_wait", "max_half_open", "max_held", "max_connections", "keepalive_count"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} would refuse everything: choose 1 or more")
