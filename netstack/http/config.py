"""The bounds and time-outs of connections, of servers and of clients. Each stops something: the reason stands beside the number."""

from attrs import field, frozen
from attrs.validators import ge, optional

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


@frozen
class HttpClientLimits:
    """What a server may make grow. Counts are bytes unless the name says otherwise."""

    # a phrase of a few words; who sends kilobytes is not speaking HTTP
    status_line: int = field(default=4096, validator=ge(64))
    # cookies and policies of big sites reach 20 KiB; curl stops at 300 KiB for all of a transfer, Chromium at 256 KiB
    header_section: int = field(default=131072, validator=ge(256))
    header_count: int = field(default=512, validator=ge(1))
    # responses before the response: a server that sends 102 for ever would hold us without ever being silent
    interim: int = field(default=32, validator=ge(0))
    # bodies are streamed and the caller looks at their size; what is read whole has a bound of its own
    body: int = field(default=(1 << 63) - 1, validator=ge(0))
    # of chunked bodies, as for servers: extensions must not carry more than the data does
    chunk_line: int = field(default=4096, validator=ge(18))
    chunk_overhead: int = field(default=65536, validator=ge(0))
    trailer_section: int = field(default=32768, validator=ge(2))
    # a compressed body may become so many times as long, once it is longer than a mebibyte. Text reaches 50; deflate itself 1032,
    # which is a bomb: ten megabytes that become ten gigabytes
    inflation: int = field(default=200, validator=ge(1))


@frozen
class HttpClientConfig:
    """How a client behaves. Time-outs are for each phase, and start anew with each redirection and retry: all but the total one."""

    limits: HttpClientLimits = HttpClientLimits()
    # four lost SYNs (1 + 2 + 4 + 8 s) and a round trip: who has not answered then is not there
    connect_timeout: Duration = field(default=Duration(20 * SECOND), validator=ge(NANOSECOND))
    # the same for two round trips and some computing; a proxy's answer to CONNECT has as much
    tls_timeout: Duration = field(default=Duration(20 * SECOND), validator=ge(NANOSECOND))
    # for the stack to take one block of the request: a server that reads nothing
    write_timeout: Duration = field(default=Duration(60 * SECOND), validator=ge(NANOSECOND))
    # from the last byte of the request to the end of the response's header section, however it trickles: the server's own work
    first_byte_timeout: Duration = field(default=Duration(60 * SECOND), validator=ge(NANOSECOND))
    # between two pieces of the body
    read_timeout: Duration = field(default=Duration(60 * SECOND), validator=ge(NANOSECOND))
    # for all of it, the last byte of the body included; None: as long as something moves
    total_timeout: Duration | None = field(default=None, validator=optional(ge(NANOSECOND)))
    # how long the body waits for a 100 (RFC 9110 10.1.1); curl's second
    continue_timeout: Duration = field(default=Duration(1 * SECOND), validator=ge(NANOSECOND))
    # how long a request waits for its turn where the pool is full
    pool_timeout: Duration = field(default=Duration(60 * SECOND), validator=ge(NANOSECOND))
    # servers close what idles after 5 s (Node), 60 s (Apache) or 75 s (nginx): what we keep longer is stale when it is needed
    idle_timeout: Duration = field(default=Duration(30 * SECOND), validator=ge(NANOSECOND))
    # each costs a socket's buffers here, and a process of the server's there; browsers have 6 for each origin
    connections: int = field(default=100, validator=ge(1))
    connections_per_origin: int = field(default=10, validator=ge(1))
    # curl's bound is 50, browsers' 20: more is a loop
    redirects: int = field(default=20, validator=ge(0))
    # of requests that can be repeated, when a connection that idled turns out to be gone
    retries: int = field(default=2, validator=ge(0))
