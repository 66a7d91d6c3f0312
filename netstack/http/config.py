"""The bounds and time-outs of one server-side connection. Each stops something: the reason stands beside the number."""

from attrs import field, frozen
from attrs.validators import ge

from ..instant import NANOSECOND, SECOND, Duration


@frozen
class HttpLimits:
    """What a stranger may make grow. Counts are bytes unless the name says otherwise."""

    # RFC 9112 3 asks for 8000 at least; more lets a stranger hold memory before we know what he wants. 414
    request_line: int = field(default=8192, validator=ge(64))
    # all fields of a request together: Apache and nginx stop at 32 KiB. Bounds what a slow loris can park per connection. 431
    header_section: int = field(default=32768, validator=ge(256))
    # ten thousand one-letter fields fit 32 KiB, and each costs an object: a hundred is what Apache allows. 431
    header_count: int = field(default=100, validator=ge(1))
    # bodies are streamed, so this bounds a disk and not our memory. 413
    body: int = field(default=1 << 30, validator=ge(0))
    # size and extensions of one chunk: no honest client sends extensions at all
    chunk_line: int = field(default=256, validator=ge(18))
    # bytes of chunk framing beyond 16 for each chunk and beyond the data itself, in one body: else extensions carry gigabytes
    # past the bound on the body (CVE-2023-39326)
    chunk_overhead: int = field(default=16384, validator=ge(0))
    # fields after a chunked body; who sends many is testing us. 431
    trailer_section: int = field(default=8192, validator=ge(2))
    # what is read ahead while a response is on its way; the rest waits in the stack, whose window closes. Bounds pipelining
    pipeline: int = field(default=65536, validator=ge(1))
    # of a request body that the handler did not read: reading so much is cheaper than a new connection
    drain: int = field(default=262144, validator=ge(0))


@frozen
class HttpConfig:
    """How one connection behaves."""

    limits: HttpLimits = HttpLimits()
    # from the first byte of a request to the end of its header section, whatever trickles in meanwhile: slow loris. 408
    header_timeout: Duration = field(default=Duration(15 * SECOND), validator=ge(NANOSECOND))
    # a body must bring `body_progress` bytes in each such period that we spend waiting for it: slow POST (R-U-Dead-Yet). 408
    body_timeout: Duration = field(default=Duration(20 * SECOND), validator=ge(NANOSECOND))
    body_progress: int = field(default=1024, validator=ge(1))
    # an idle connection costs a table entry; browsers keep theirs for minutes, nginx 75 s, Node 5 s
    idle_timeout: Duration = field(default=Duration(60 * SECOND), validator=ge(NANOSECOND))
    # how long the stack may take to accept one block of the response: a client that reads nothing holds the handler and its file
    send_timeout: Duration = field(default=Duration(30 * SECOND), validator=ge(NANOSECOND))
    # after an early error the rest of the request is read and dropped for so long, or the reset that answers it would destroy
    # the response on its way (RFC 9112 9.6)
    linger_timeout: Duration = field(default=Duration(2 * SECOND), validator=ge(NANOSECOND))
    # bounds what one connection may leak, and lets a load balancer move clients: nginx has 1000
    requests: int = field(default=1000, validator=ge(1))
