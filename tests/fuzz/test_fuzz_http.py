"""Any bytes, cut anywhere: events or one refusal, the same for every cut. And two other parsers as oracles.

What our reader takes, h11 and llhttp must take too, and read the same in it; the other way round they are meant to differ, since
ours refuses more. The one known difference where we take what h11 refuses is a blank line before a request, which RFC 9112 2.2
wants ignored.
"""

from itertools import pairwise

import h11
import httptools
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from netstack.http.config import HttpConfig, HttpLimits
from netstack.http.date import format_date, parse_date
from netstack.http.events import Body, Closed, End, Event, Refusal, RequestHead, ResponseHead
from netstack.http.h1.connection import ServerConnection
from netstack.http.h1.reader import Reader
from netstack.http.h1.state import Server
from netstack.http.serve.files import split_path
from netstack.http.serve.message import HttpError
from netstack.instant import Instant

SMALL = HttpLimits(
    request_line=64, header_section=256, header_count=6, body=300, chunk_line=18, trailer_section=60, chunk_overhead=40
)

LINES = [
    b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"PUT http://h/x HTTP/1.1", b"OPTIONS * HTTP/1.1", b"HEAD / HTTP/1.0",
    b"BREW /%41 HTTP/1.1", b"GET / HTTP/1.7", b"GET /", b"CONNECT h:1 HTTP/1.1", b"GET / HTTP/2.0",
]  # fmt: skip
FIELDS = [
    b"Host: a", b"Host: [::1]:80", b"host:", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 005",
    b"Content-Length: 5, 5", b"Transfer-Encoding: chunked", b"transfer-encoding:\tCHUNKED\t", b"Transfer-Encoding: gzip, chunked",
    b"Connection: close", b"Connection: upgrade", b"Upgrade: h2c", b"Connection: keep-alive", b"Expect: 100-continue",
    b"X: \xe9 \t y", b"X:", b"X : y", b" folded", b"Cookie: a=b; c=d", b"TE: trailers", b"Content-Length : 5",
]  # fmt: skip
BODIES = [
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"1\r\nh\r\n4;x=y\r\nello\r\n0\r\nA: b\r\n\r\n", b"0\r\n\r\n",
    b"00005\r\nhello\r\n00\r\n\r\n",
    b"f\r\n0123456789abcde\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"5\nhello\n0\n\n", b"1;\xe9\r\nx\r\n0\r\n\r\n",
]  # fmt: skip
HARMLESS = [b"Connection: close", b"Connection: upgrade", b"Upgrade: h2c", b"X: \xe9 \t y", b"X:", b"Cookie: a=b; c=d", b"TE: x"]
FRAMINGS = [
    ([], b""), ([b"Content-Length: 5"], b"hello"), ([b"content-length:\t005 "], b"hello"),
    *(([b"Transfer-Encoding: chunked"], body) for body in BODIES[2:7]),
]  # fmt: skip
NOISE = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b";", b"0", b"\xff", b"\x0b", b"%", b"#", b","]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request: mostly lawful, else anything together with anything."""
    if draw(st.integers(0, 3)):
        lines = [draw(st.sampled_from(LINES[:7])), b"Host: h", *draw(st.lists(st.sampled_from(HARMLESS), max_size=4))]
        framing, body = draw(st.sampled_from(FRAMINGS))
        return b"\r\n".join([*lines, *framing]) + b"\r\n\r\n" + body
    lines = [draw(st.sampled_from(LINES)), *draw(st.lists(st.sampled_from(FIELDS), max_size=5))]
    if draw(st.integers(0, 3)):
        lines.insert(1, b"Host: example.org")
    return b"\r\n".join(lines) + b"\r\n\r\n" + draw(st.sampled_from(BODIES))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Some requests, with a little noise in them."""
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 2))
        data = data[:at] + draw(st.sampled_from(NOISE) | st.binary(max_size=3)) + data[at + gone :]
    return data


def read(data: bytes, cuts: list[int], limits: HttpLimits) -> list[Event]:
    """All events, adjacent bodies joined. The assertion is that there are no others and no exceptions."""
    reader = Reader(limits)
    events: list[Event] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[start:stop] for start, stop in pairwise(edges)]
    for piece in [*pieces, b""]:
        got = reader.feed(piece)
        while True:
            for each in got:
                if isinstance(each, Body) and isinstance(events[-1], Body):
                    events[-1] = Body(events[-1].data + each.data)
                else:
                    events.append(each)
            if not got or not isinstance(got[-1], End):
                break
            got = reader.resume()
    assert isinstance(events[-1], Refusal | Closed)
    assert sum(isinstance(each, Refusal | Closed) for each in events) == 1
    return events


def complete(events: list[Event]) -> list[tuple[RequestHead, bytes, End]]:
    """The whole messages among them."""
    messages = []
    head, body = None, b""
    for each in events:
        if isinstance(each, RequestHead):
            head, body = each, b""
        elif isinstance(each, Body):
            body = each.data
        elif isinstance(each, End):
            assert head is not None
            messages.append((head, body, each))
            head = None
    return messages


@given(st.binary(max_size=400) | streams(), st.lists(st.integers(0, 10_000), max_size=12))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n", [25, 27])
@settings(max_examples=600, deadline=None)
def test_any_bytes_give_events_or_one_refusal_the_same_for_every_cut(data: bytes, cuts: list[int]) -> None:
    for limits in (HttpLimits(), SMALL):
        whole = read(data, [], limits)
        assert read(data, cuts, limits) == whole
        assert read(data, list(range(len(data))), limits) == whole
    event(type(whole[-1]).__name__)


@given(requests(), st.lists(st.tuples(st.integers(0, 400), st.sampled_from(NOISE)), max_size=2))
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_h11_takes_what_we_take_and_reads_the_same(data: bytes, noise: list[tuple[int, bytes]]) -> None:
    for at, byte in noise:
        data = data[: at % (len(data) + 1)] + byte + data[at % (len(data) + 1) :]
    messages = complete(read(data, [], HttpLimits()))
    event(f"{len(messages)} taken")
    if not messages:
        return
    head, body, end = messages[0]
    data = data.removeprefix(b"\r\n")  # see above
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(data)
    request = oracle.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target.decode()) == (head.method, head.target)
    assert [(name, value) for name, value in request.headers] == [(name, value) for name, value in head.fields]
    assert request.http_version == (b"1.%d" % int(data[data.index(b"HTTP/1.") + 7 : data.index(b"HTTP/1.") + 8]))
    got = b""
    while isinstance(piece := oracle.next_event(), h11.Data):
        got += piece.data
    assert isinstance(piece, h11.EndOfMessage), piece
    assert got == body
    assert [(name, value) for name, value in piece.headers] == list(end.trailers)


class _Llhttp:
    def __init__(self) -> None:
        self.body = b""
        self.ends = 0

    def on_body(self, piece: bytes) -> None:
        if not self.ends:
            self.body += piece

    def on_message_complete(self) -> None:
        self.ends += 1


@given(st.lists(st.sampled_from(BODIES[2:] + NOISE), min_size=1, max_size=4).map(b"".join))
@example(b"5\r\nhello\r\n0\r\n\r\n")
@settings(max_examples=1000, deadline=None)
def test_llhttp_ends_a_chunked_body_where_we_do(data: bytes) -> None:
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = Reader(HttpLimits())
    events = reader.feed(raw + data)
    if not isinstance(events[-1], End):
        return
    at = len(data) - reader.buffered
    event("a whole body")
    sink = _Llhttp()
    oracle = httptools.HttpRequestParser(sink)
    oracle.feed_data(raw + data[: at - 1])
    assert sink.ends == 0
    oracle.feed_data(data[at - 1 : at])
    assert sink.ends == 1
    assert sink.body == b"".join(each.data for each in events if isinstance(each, Body))


@given(streams(), st.lists(st.integers(0, 10_000), max_size=6), st.lists(st.sampled_from(["respond", "early", "time"]), max_size=8))
@settings(max_examples=500, deadline=None)
def test_a_connection_answers_each_request_once_and_ends(data: bytes, cuts: list[int], moves: list[str]) -> None:
    """Whatever comes and however we answer: no exception, and what we sent is a sequence of responses that h11 reads."""
    now = 0
    conn = ServerConnection(HttpConfig(limits=SMALL, requests=3), Instant(now))
    client = h11.Connection(h11.CLIENT)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[start:stop] for start, stop in pairwise(edges)] + [b""]
    sent = b""
    method = "GET"
    ended = False

    def answered() -> None:
        nonlocal client, sent
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(sent)
        response = client.next_event()
        while isinstance(response, h11.InformationalResponse):
            response = client.next_event()
        assert isinstance(response, h11.Response)
        while isinstance(piece := client.next_event(), h11.Data):
            pass
        assert isinstance(piece, h11.EndOfMessage)
        assert client.trailing_data[0] == b""
        sent = b""

    def handle(events: list[Event]) -> None:
        nonlocal sent, method, ended
        for each in events:
            if isinstance(each, RequestHead):
                method = each.method
                if moves and moves.pop() == "early":
                    sent += conn.respond(ResponseHead(200, (), 2), b"ok")
                    answered()
            elif isinstance(each, End):
                if conn.server == Server.OWED:
                    sent += conn.respond(ResponseHead(200, (), 2), b"ok")
                    answered()
            elif isinstance(each, Refusal):
                method = "GET" if conn._method == "" else method
                sent += conn.refuse(each)
                if sent:
                    answered()
                ended = True
            elif isinstance(each, Closed):
                ended = True
        while conn.reusable and not ended:
            handle(conn.next_request(Instant(now)))

    for piece in pieces:
        if not conn.wants_data and not conn.draining:
            break
        handle(conn.receive_data(piece, Instant(now)))
        if ended:
            break
        if moves and moves.pop() == "time":
            now += 100 * 1_000_000_000
            handle(conn.handle_timeout(Instant(now)))
    conn.close()
    assert not conn.wants_data


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_any_path_is_names_that_stay_below_or_not_found(path: str) -> None:
    try:
        names, _ = split_path("/" + path)
    except HttpError as error:
        assert error.status == 404
        return
    for name in names:
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\0" not in name


@given(st.integers(0, 253402300799))
def test_dates_come_back(second: int) -> None:
    assert parse_date(format_date(second)) == second


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert parse_date(text) is None or isinstance(parse_date(text), int)
