"""The settings of a server. What a stranger may make grow has its bound here, and beside it what the bound stops."""

from attrs import field, frozen
from attrs.validators import ge, le

from ...instant import NANOSECOND, SECOND, Duration

LOCAL = ("127.0.0.0/8", "::1/128")


@frozen
class DnsConfig:
    """How a server answers, and what it keeps for those who wait."""

    # -- answers --
    # no longer datagram is sent or asked for: 1232 fits every IPv6 path unfragmented, and fragments are how answers are forged
    # (the operators' agreement of 2020, draft-ietf-dnsop-avoid-fragmentation)
    payload: int = field(default=1232, validator=[ge(512), le(65535)])
    # who answers, of many behind one address: to clients that ask with the NSID option (RFC 5001)
    nsid: bytes = b""
    # the TXT records `version.bind` and `id.server` of class CH (RFC 4892); without one REFUSED: who asks often looks for a hole
    version: str = ""
    identity: str = ""
    # ANY is answered with one set (RFC 8482): over UDP always, since it is the amplifier's favourite question. True: all sets on
    # streams, whose clients have proved their address
    any_over_streams: bool = False

    # octets of answers that are kept ready, some 60,000, whatever is asked: what isn't asked again makes room first
    ready: int = field(default=32 << 20, validator=ge(65536))
    # cookies (RFC 7873) for who asks with one, of a secret of the server's own, unless it is given others
    cookies: bool = True

    # -- who may have others asked --
    # networks whose clients may use the forwarder or resolver; None: the loopback's and those of the host's own addresses, as in
    # BIND. Whoever answers everybody is an open resolver, and amplifies for everybody
    recursion: tuple[str, ...] | None = None
    # answers that callbacks and finders still owe, in all: each holds a task and a socket or two. BIND's recursive-clients is 1000.
    # More clients are told SERVFAIL at once: random names under a dead domain fill it in seconds
    pending: int = field(default=1000, validator=ge(1))
    # clients that wait for the same answer; more of them are repetitions of the impatient, or forged. BIND's clients-per-query: 100
    joined: int = field(default=100, validator=ge(1))
    # the longest time that an answer may be owed: BIND's resolver-query-timeout. Stub resolvers have left by then
    pending_timeout: Duration = field(default=Duration(10 * SECOND), validator=ge(NANOSECOND))
    # answers of callbacks that said they may be kept, and of finders, for a second each: so often the cache is asked about a name
    # that everybody asks for
    kept: int = field(default=10_000, validator=ge(0))

    # -- streams (RFC 7766) --
    # in all; when they are used up, the one that has been idle for longest makes room. nsd has 100, BIND 150, each a descriptor
    connections: int = field(default=1000, validator=ge(1))
    # of one address: or one host takes all of them (RFC 7766 6.2.2). Many hosts may live behind one
    connections_per_client: int = field(default=100, validator=ge(1))
    # queries of one connection that still wait for their answers; the rest stays in the stream, whose window closes
    in_flight: int = field(default=64, validator=ge(1))
    # octets of answers that the client has not taken: then nothing more is read from him
    unsent: int = field(default=262_144, validator=ge(0))
    # without a query, and nothing under way (RFC 7766 6.2.3); also what clients are told by the keepalive option (RFC 7828).
    # knot has 10 s, BIND 30 s
    idle_timeout: Duration = field(default=Duration(10 * SECOND), validator=ge(NANOSECOND))
    # from the first octet of a message to its last, however it trickles: slow loris
    message_timeout: Duration = field(default=Duration(5 * SECOND), validator=ge(NANOSECOND))
    # that the stack may take for one block of answers: a client that reads nothing, perhaps in the middle of a transfer
    send_timeout: Duration = field(default=Duration(10 * SECOND), validator=ge(NANOSECOND))
    # zones that are being sent out at once: each is a million records for one question. BIND's transfers-out is 10
    transfers: int = field(default=10, validator=ge(1))
