"""The bounds and time-outs of one WebSocket. Each stops something: the reason stands beside the number."""

from attrs import field, frozen
from attrs.validators import ge

from ...instant import NANOSECOND, SECOND, Duration


@frozen
class WsConfig:
    """How one WebSocket behaves, on either side."""

    # bytes of one message, joined and inflated: what one peer may make us hold, and where an inflated bomb ends. 1009
    max_message: int = field(default=1 << 20, validator=ge(125))
    # messages, and their bytes, that wait for the program: beyond either we stop reading, and the stream's window closes
    queue: int = field(default=16, validator=ge(1))
    queue_bytes: int = field(default=65536, validator=ge(1))
    # ping, pong and unfinished frames that bring nothing, in one second: each costs us work and the sender six bytes. 1008
    control_rate: int = field(default=1000, validator=ge(1))
    # pongs that wait for a slow reader; of more pings than that only the latest are answered (RFC 6455 5.5.3)
    pongs: int = field(default=16, validator=ge(1))
    # a ping after so long a silence (0: never), and the end after as long again: else who vanished holds a task for ever
    ping_interval: Duration = field(default=Duration(20 * SECOND), validator=ge(Duration(0)))
    ping_timeout: Duration = field(default=Duration(20 * SECOND), validator=ge(NANOSECOND))
    # from our close to the peer's, and to the end of the stream: one that never answers would stay for ever
    close_timeout: Duration = field(default=Duration(10 * SECOND), validator=ge(NANOSECOND))
    # how long the stack may take to accept one block: a peer that reads nothing holds the program that sends
    send_timeout: Duration = field(default=Duration(30 * SECOND), validator=ge(NANOSECOND))
    # permessage-deflate. A window of 12 bits and `memLevel` 5 hold 24 KiB for sending where 15 and 8 hold 256, and compress
    # short messages as well
    compress: bool = True
    window_bits: int = field(default=12, validator=ge(9))
    # shorter ones go as they are: deflate makes them longer
    compress_from: int = field(default=64, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        if self.window_bits > 15:
            raise ValueError("window_bits: a window of deflate has at most 15 (RFC 7692 7.1.2)")
