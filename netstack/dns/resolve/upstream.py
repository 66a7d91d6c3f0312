"""What a client knows of one server: how fast it is, whether it knows EDNS, its cookie. Who asks many servers keeps one of these
for each, in a table that it bounds."""

from .. import const as dc

SECOND = 1_000_000_000
INITIAL = 400_000_000  # ns to wait where nothing is known: most of the world is nearer (Unbound: 376 ms)
LEAST = 100_000_000  # ns: less would take a busy server for a dead one
MOST = 4 * SECOND


class Upstream:
    """A server at `address` (a text, only compared) and `port`. `edns`: False when it turned out to know none. `cookie` is what it
    gave us (RFC 7873), `client_cookie` ours for it, eight octets, or nothing for none.

    `stream_only`: it is asked over TCP. `tls`: over TLS, and whose certificate it must show, "" for its address's (RFC 8310).
    `url`: over HTTPS, and where it takes questions (RFC 8484)."""

    __slots__ = ("address", "client_cookie", "cookie", "edns", "failures", "port", "rttvar", "srtt", "stream_only", "tls", "url")

    def __init__(
        self,
        address: str,
        port: int = 53,
        client_cookie: bytes = b"",
        *,
        stream_only: bool = False,
        tls: str | None = None,
        url: str = "",
    ) -> None:
        self.address = address
        self.port = port
        self.stream_only = stream_only or tls is not None
        self.tls = tls
        self.url = url
        self.client_cookie = client_cookie
        self.cookie = b""
        self.edns = True
        self.srtt = 0  # ns, 0: not measured
        self.rttvar = 0
        self.failures = 0  # time-outs since the last answer

    def __repr__(self) -> str:
        return f"Upstream({self.address!r}, {self.port})"

    def anew(self) -> "Upstream":
        """The same server, of which nothing is known yet."""
        return Upstream(self.address, self.port, stream_only=self.stream_only, tls=self.tls, url=self.url)

    def timeout(self, round: int) -> int:
        """How long to wait for an answer, in ns: as RFC 6298 2 has it, doubled in every second `round` of asking. Where doubling
        each time is for who may have filled the wire, a look-up is two small datagrams, of which one was lost: so there are many
        tries in the time that anybody waits, and still long ones among them for a server that has to look further."""
        wait = INITIAL if self.srtt == 0 else max(LEAST, self.srtt + 4 * self.rttvar)
        return min(wait << min(round // 2, 8), MOST)

    def answered(self, rtt: int) -> None:
        """It took `rtt` ns."""
        self.alive()
        if self.srtt == 0:
            self.srtt, self.rttvar = max(rtt, 1), rtt // 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) // 4
            self.srtt = max(1, self.srtt + (rtt - self.srtt) // 8)

    def alive(self) -> None:
        """It answered, and how long that took is unknown: over TCP, where what was lost is sent again (RFC 6298 3)."""
        self.failures = 0

    def silent(self) -> None:
        self.failures += 1

    @property
    def payload(self) -> int:
        return 1232 if self.edns else dc.MIN_PAYLOAD
