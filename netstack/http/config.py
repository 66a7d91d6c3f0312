"""The bounds and time-outs of connections, of servers and of clients. Each stops something: the reason stands beside the number."""

from attrs import field, frozen
from attrs.validators import ge, le, optional

from ..instant import NANOSECOND, SECOND, Duration

MAX_WINDOW = (1 << 31) - 1  # RFC 9113 6.9.1
MAX_BODY = (1 << 63) - 1  # what C counts in


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
    body: int = field(default=1 << 30, validator=[ge(0), le(MAX_BODY)])
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
class Http2Limits:
    """What a stranger may make grow, or make us do, over one connection of HTTP/2 (RFC 9113 10.5).

    A rate is a bucket of `…_burst` tokens that fills by `…_rate` in a second. Who empties one, or exceeds a bound that no honest
    peer comes near, is sent GOAWAY with ENHANCE_YOUR_CALM.
    """

    # streams that are open, or whose application still works though the client has reset them (MadeYouReset, CVE-2025-8671).
    # RFC 9113 6.5.2 wants 100 at least; more are answered REFUSED_STREAM
    concurrent_streams: int = field(default=100, validator=ge(1))
    # streams that ended before their response was whole, by the client's RST_STREAM or by one that it made us send: rapid reset
    # (CVE-2023-44487). A browser that leaves a page cancels what is open, which is less than two hundred at once
    reset_burst: int = field(default=200, validator=ge(1))
    reset_rate: int = field(default=20, validator=ge(1))
    # PING, SETTINGS, PRIORITY, WINDOW_UPDATE, frames of unknown types, empty DATA, DATA that tiny windows force us to cut small
    # (CVE-2019-9511, 9512, 9515, 9518). Requests and the data that we send earn tokens, since they bring WINDOW_UPDATEs with them
    control_burst: int = field(default=1000, validator=ge(1))
    control_rate: int = field(default=100, validator=ge(1))
    # answers to PING, SETTINGS and faults that wait because the peer doesn't read (CVE-2019-9512, 9515)
    queued_answers: int = field(default=1000, validator=ge(1))
    # of one header block: CONTINUATION has no end of its own (CVE-2024-27316). A block of our limit needs two or three
    continuations: int = field(default=8, validator=ge(1))
    # bytes of a header block as it came; and of what it unpacks to, 32 more for each field as RFC 9113 6.5.2 counts: HPACK makes
    # 4 KiB of one byte (CVE-2016-6581). Beyond `HttpLimits.header_section` and up to here the answer is 431
    header_block: int = field(default=65536, validator=ge(4096))
    # of a request body, or response body, that nobody has read yet: with this it starts. Before our SETTINGS arrive the peer counts
    # on 65535
    stream_window: int = field(default=65535, validator=[ge(65535), le(MAX_WINDOW)])
    # so far a stream's window grows while its reader takes all that comes (h2/windows.py): 80 MB/s over 100 ms. Chromium's is 6 MiB
    stream_window_most: int = field(default=8 << 20, validator=[ge(65535), le(MAX_WINDOW)])
    # by so much all windows of a connection together may have grown: who uploads fast on a hundred streams, and then waits with
    # readers that pause, has no more of our memory than this beyond the windows that his streams began with
    window_growth: int = field(default=16 << 20, validator=ge(0))
    # and those of all connections: beyond it nobody is refused, the windows of who comes later stay small
    window_growth_of_all: int = field(default=128 << 20, validator=ge(0))
    # of all streams together, beyond what is queued: it only has to keep the pipe full, since what is received is given back at
    # once, and a stream that nobody reads stops at its own window
    connection_window: int = field(default=16 << 20, validator=[ge(65535), le(MAX_WINDOW)])
    # of a stream's response that waits for a window, before `Exchange.send` waits as well
    send_queue: int = field(default=65536, validator=ge(1))
    # DATA made at once, from all streams in turn: what one stream may get ahead of another, and what a control frame waits for
    send_batch: int = field(default=131072, validator=ge(16384))
    # a peer that doesn't acknowledge our SETTINGS isn't bound by them (RFC 9113 6.5.3)
    settings_timeout: Duration = field(default=Duration(10 * SECOND), validator=ge(NANOSECOND))
    # between the GOAWAY that announces the end and the one that says which request was the last: a round trip (RFC 9113 6.8)
    goaway_timeout: Duration = field(default=Duration(SECOND), validator=ge(NANOSECOND))
    # bounds what one connection may leak; clients of HTTP/2 keep one for hours, so more than `HttpConfig.requests`
    requests: int = field(default=1_000_000, validator=ge(1))


@frozen
class HttpConfig:
    """How one connection behaves."""

    limits: HttpLimits = HttpLimits()
    http2: Http2Limits = Http2Limits()
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
    body: int = field(default=MAX_BODY, validator=[ge(0), le(MAX_BODY)])
    # of chunked bodies, as for servers: extensions must not carry more than the data does
    chunk_line: int = field(default=4096, validator=ge(18))
    chunk_overhead: int = field(default=65536, validator=ge(0))
    trailer_section: int = field(default=32768, validator=ge(2))
    # a compressed body may become so many times as long, once it is longer than a mebibyte. Text reaches 50; deflate itself 1032,
    # which is a bomb: ten megabytes that become ten gigabytes
    inflation: int = field(default=200, validator=ge(1))
    # by which the windows of all responses over HTTP/2 may have grown beyond what they begin with: what readers that pause cost
    window_growth_of_all: int = field(default=128 << 20, validator=ge(0))


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
