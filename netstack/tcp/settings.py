"""A TcpConfig as C numbers: what is asked for each connection and each write. An attribute of an attrs class is a Python object."""

from . import const as tc
from .config import TcpConfig


class Settings:
    """Named as in the configuration; -1 stands for None."""

    __slots__ = (
        "congestion", "fin_timeout", "high", "keepalive", "keepalive_count", "keepalive_interval", "low", "max_connections",
        "max_half_open", "max_time_wait", "nodelay", "rcv_auto", "rcv_buf", "rcv_most", "rto_min", "sack", "snd_buf_max",
        "syn_retries", "time_wait", "timestamps", "user_timeout",
    )  # fmt: skip

    def __init__(self, config: TcpConfig) -> None:
        self.congestion = config.congestion
        self.fin_timeout = config.fin_timeout
        self.keepalive = config.keepalive
        self.keepalive_count = config.keepalive_count
        self.keepalive_interval = config.keepalive_interval
        self.max_connections = config.max_connections
        self.max_half_open = config.max_half_open
        self.max_time_wait = config.max_time_wait
        self.nodelay = config.nodelay
        self.rto_min = config.rto_min
        self.sack = config.sack
        self.snd_buf_max = config.snd_buf_max
        self.syn_retries = config.syn_retries
        self.time_wait = config.time_wait
        self.timestamps = config.timestamps
        self.user_timeout = config.user_timeout
        self.rcv_auto = config.rcv_buf is None  # buffers follow what readers consume
        self.rcv_most = config.rcv_buf_max if config.rcv_buf is None else config.rcv_buf
        self.rcv_buf = min(tc.RCV_START, self.rcv_most)  # of a new connection
        if not self.rcv_auto:
            self.rcv_buf = self.rcv_most
        self.high = -1  # the marks tune themselves (tuning.py) …
        self.low = -1
        if config.snd_high is not None:  # … unless they are given
            self.high = config.snd_high
            self.low = config.snd_high // 4 if config.snd_low is None else config.snd_low
