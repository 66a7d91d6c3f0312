"""Bytes to events: what is a request, what is refused and how, and that cuts don't matter."""

import pytest
from http_world import connection, joined

from netstack.http.config import MAX_BODY, HttpLimits
from netstack.http.events import Body, Closed, End, Event, Refusal, RequestHead, ResponseHead
from netstack.http.h1.connection import ServerConnection
from netstack.http.h1.reader import Reader
from netstack.http.target import split_target, unescape
from netstack.instant import Instant

T0 = Instant(0)
LIMITS = HttpLimits(request_line=100, header_section=400, header_count=8, body=1000, chunk_line=40, trailer_section=100)


def read(data: bytes, limits: HttpLimits = LIMITS) -> list[Event]:
    """Everything that `data` and then the end of the stream mean, however many requests that is."""
    return read_cut(data, len(data), limits)


def read_cut(data: bytes, size: int, limits: HttpLimits = LIMITS) -> list[Event]:
    reader = Reader(limits)
    events: list[Event] = []
    for piece in [data[at : at + size] for at in range(0, len(data), size)] + [b""]:
        got = reader.feed(piece)
        events += got
        while got and isinstance(got[-1], End):
            got = reader.resume()
            events += got
    return events


def one(data: bytes, limits: HttpLimits = LIMITS) -> RequestHead:
    head = read(data, limits)[0]
    assert isinstance(head, RequestHead), head
    return head


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a", body: bytes = b"") -> bytes:
    return b"".join(each + b"\r\n" for each in (line, host, *fields) if each) + b"\r\n" + body


# -- what is lawful ------------------------------------------------------------------------------------------------------------


def test_a_request_is_a_head_and_an_end() -> None:
    assert read(b"GET /a?b=c HTTP/1.1\r\nHost: example.org:8080\r\nX-Y:\t a \xe9 b \t\r\nEmpty:\r\n\r\n") == [
        RequestHead(
            "GET",
            "/a?b=c",
            (1, 1),
            ((b"host", b"example.org:8080"), (b"x-y", b"a \xe9 b"), (b"empty", b"")),
            length=0,
            keep_alive=True,
            expects_continue=False,
        ),
        End(),
        Closed(),
    ]


@pytest.mark.parametrize(
    "data",
    [
        request(b"Content-Length: 5", body=b"hello"),
        request(b"content-length:005", body=b"hello"),
        request(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: Chunked", body=b"0001\r\nh\r\n4;a=b;c=\"d\"\r\nello\r\n00\r\n\r\n"),
    ],
)
def test_a_body_is_sized_or_in_chunks(data: bytes) -> None:
    _, body, end, closed = joined(read(data))
    assert (body, end, closed) == (Body(b"hello"), End(), Closed())


def test_trailers_come_at_the_end_and_not_among_the_fields() -> None:
    data = request(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\n")
    assert read(data)[2:] == [End(((b"a", b"b"), (b"content-length", b"7"))), Closed()]


@pytest.mark.parametrize(
    ("line", "fields", "keep_alive"),
    [
        (b"GET / HTTP/1.1", (), True),
        (b"GET / HTTP/1.1", (b"Connection: close",), False),
        (b"GET / HTTP/1.1", (b"Connection: x, Close",), False),
        (b"GET / HTTP/1.1", (b"Connection: keep-alive", b"Connection: close"), False),
        (b"GET / HTTP/1.0", (), False),
        (b"GET / HTTP/1.0", (b"Connection: Keep-Alive",), True),
        (b"GET / HTTP/1.0", (b"Connection: keep-alive, close",), False),
        (b"GET / HTTP/1.9", (), True),  # read as 1.1
    ],
)
def test_who_wants_to_keep_the_connection(line: bytes, fields: tuple[bytes, ...], keep_alive: bool) -> None:
    assert one(request(*fields, line=line)).keep_alive is keep_alive


def test_only_a_request_of_1_1_with_a_body_expects_100() -> None:
    field = b"Expect: 100-Continue"
    assert one(request(field, b"Content-Length: 1")).expects_continue
    assert one(request(field, b"Transfer-Encoding: chunked")).expects_continue
    assert not one(request(field)).expects_continue
    assert not one(request(field, b"Content-Length: 1", line=b"GET / HTTP/1.0")).expects_continue
    assert not one(request(b"Expect: pie", line=b"GET / HTTP/1.0")).expects_continue


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (b"BREW /pot HTTP/1.1", ("/pot", "")),
        (b"OPTIONS * HTTP/1.1", ("*", "")),
        (b"GET http://h/p?q HTTP/1.1", ("/p", "q")),
        (b"GET HTTPS://h:1?q/r HTTP/1.1", ("/", "q/r")),
        (b"GET http://h HTTP/1.1", ("/", "")),
        (b'GET /{|}"^?? HTTP/1.1', ('/{|}"^', "?")),
        (b"GET //x//y HTTP/1.1", ("//x//y", "")),
    ],
)
def test_targets_have_four_forms_less_one(line: bytes, target: tuple[str, str]) -> None:
    assert split_target(one(request(line=line)).target)[1:] == target


def test_the_authority_of_a_url_is_told_apart() -> None:
    assert split_target("http://h:8/p")[0] == "h:8"
    assert split_target("http://h?a/b") == ("h", "/", "a/b")
    assert split_target("/p") == (None, "/p", "")
    assert (unescape("/%41%C3%A9"), unescape("/%ff")) == ("/Aé", "/\ufffd")


def test_one_blank_line_before_a_request_is_ignored() -> None:
    assert one(b"\r\n" + request()).target == "/"
    data = request(b"Content-Length: 1", body=b"x\r\n") + request()
    assert [type(event) for event in read(data)] == [RequestHead, Body, End, RequestHead, End, Closed]


def test_nothing_of_the_next_request_is_read_before_resume() -> None:
    reader = Reader(LIMITS)
    assert len(reader.feed(request() + b"\x00garbage")) == 2
    assert reader.buffered == 8
    assert reader.feed(b"more") == []
    assert reader.resume() == [Refusal(400, "This is not HTTP.")]
    assert reader.feed(b"more") == []


# -- what is refused -----------------------------------------------------------------------------------------------------------

CHUNKED = b"Transfer-Encoding: chunked"
HOSTILE: list[tuple[str, bytes, int]] = [
    # framing: what is read as two bodies by two servers
    ("CL and TE", request(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\nGET /x"), 400),
    ("TE and CL", request(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    ("CL twice, equal", request(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
    ("CL twice, different", request(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), 400),
    ("CL list", request(b"Content-Length: 5, 5", body=b"hello"), 400),
    ("CL +", request(b"Content-Length: +5", body=b"hello"), 400),
    ("CL -", request(b"Content-Length: -5", body=b"hello"), 400),
    ("CL hex", request(b"Content-Length: 0x5", body=b"hello"), 400),
    ("CL underscore", request(b"Content-Length: 1_0", body=b"0123456789"), 400),
    ("CL empty", request(b"Content-Length:", body=b"hello"), 400),
    ("CL blank within", request(b"Content-Length: 1 0", body=b"0123456789"), 400),
    ("CL other digits", request("Content-Length: \u0665".encode(), body=b"hello"), 400),
    ("CL too large", request(b"Content-Length: 1001"), 413),
    ("CL overflow", request(b"Content-Length: " + b"9" * 19), 413),
    ("CL overflow of llhttp", request(b"Content-Length: " + b"9" * 60), 413),
    ("TE twice", request(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    ("TE chunked, chunked", request(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    ("TE identity", request(b"Transfer-Encoding: identity"), 400),
    ("TE chunked, identity", request(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400),
    ("TE gzip, chunked", request(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    ("TE xchunked", request(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    ("TE quoted", request(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 400),
    ("TE parameter", request(b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"), 400),
    ("TE empty", request(b"Transfer-Encoding:"), 400),
    ("TE vertical tab", request(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("TE form feed", request(b"Transfer-Encoding: chunked\x0c", body=b"0\r\n\r\n"), 400),
    ("TE folded", request(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    ("TE blank before colon", request(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    ("TE tab before colon", request(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), 400),
    ("TE blank before name", request(b" Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    ("TE underscore is another field", request(b"Transfer_Encoding: chunked", b"Content-Length: x"), 400),
    ("TE behind bare CR", request(b"X: y\rTransfer-Encoding: chunked"), 400),
    ("TE behind bare LF", request(b"X: y\nTransfer-Encoding: chunked"), 400),
    ("TE in 1.0", request(CHUNKED, line=b"GET / HTTP/1.0", body=b"0\r\n\r\n"), 400),
    # chunks
    ("chunk 0x", request(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk sign", request(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk -0", request(CHUNKED, body=b"-0\r\n\r\n"), 400),
    ("chunk empty size", request(CHUNKED, body=b"\r\nhello"), 400),
    ("chunk only extension", request(CHUNKED, body=b";a\r\nhello"), 400),
    ("chunk blank before size", request(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk blank after size", request(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk underscore", request(CHUNKED, body=b"1_0\r\nhello"), 400),
    ("chunk 17 digits", request(CHUNKED, body=b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk overflow", request(CHUNKED, body=b"f" * 16 + b"\r\n"), 413),
    ("chunk wraps around", request(CHUNKED, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk too large", request(CHUNKED, body=b"3e9\r\n"), 413),
    ("chunks too large together", request(CHUNKED, body=b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n"), 413),
    ("chunk bare LF after size", request(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"), 400),
    ("chunk bare LF instead of a digit", request(CHUNKED, body=b"55\nhello\r\n0\r\n\r\n"), 400),
    ("chunk bare LF after data", request(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n"), 400),
    ("chunk bare CR after data", request(CHUNKED, body=b"5\r\nhello\r0\r\n\r\n"), 400),
    ("chunk longer than its size", request(CHUNKED, body=b"4\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk shorter than its size", request(CHUNKED, body=b"6\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension with LF", request(CHUNKED, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension with CR", request(CHUNKED, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension with NUL", request(CHUNKED, body=b"5;a\0\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension blank", request(CHUNKED, body=b"5; a\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension open quote", request(CHUNKED, body=b'5;a="b\r\nhello\r\n0\r\n\r\n'), 400),
    ("chunk extension no name", request(CHUNKED, body=b"5;=b\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension too long", request(CHUNKED, body=b"5;" + b"a" * 39 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk line without end", request(CHUNKED, body=b"5;" + b"a" * 100), 400),
    ("trailer folded", request(CHUNKED, body=b"0\r\nA: b\r\n c\r\n\r\n"), 400),
    ("trailer bare LF", request(CHUNKED, body=b"0\r\nA: b\n\r\n"), 400),
    ("trailer without colon", request(CHUNKED, body=b"0\r\nGET / HTTP/1.1\r\n\r\n"), 400),
    ("trailer too long", request(CHUNKED, body=b"0\r\nA: " + b"b" * 100 + b"\r\n\r\n"), 431),
    # lines and fields
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare LF after fields", b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
    ("bare LF ends the section", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("bare CR in line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    ("bare CR in value", request(b"X: a\rb"), 400),
    ("CR CR LF", request(b"X: a\r"), 400),
    ("NUL in value", request(b"X: a\0b"), 400),
    ("DEL in value", request(b"X: a\x7fb"), 400),
    ("BEL in value", request(b"X: a\x07b"), 400),
    ("ESC in value", request(b"X: \x1b[0m"), 400),
    ("NUL in name", request(b"X\0: a"), 400),
    ("name not a token", request(b"X(y): a"), 400),
    ("name with UTF-8", request("É: a".encode()), 400),
    ("no name", request(b": a"), 400),
    ("no colon", request(b"Xa"), 400),
    ("folded", request(b"X: a\r\n b"), 400),
    ("folded with tab", request(b"X: a\r\n\tb"), 400),
    ("folded first line", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("blank before colon", request(b"X : a"), 400),
    ("too many fields", request(*[b"X: y"] * 8), 431),
    ("field too long", request(b"X: " + b"y" * 400), 431),
    ("fields without end", request(b"X: " + b"y" * 500)[:-4], 431),
    # Host
    ("no Host", request(host=b""), 400),
    ("two Hosts", request(b"Host: a"), 400),
    ("two Hosts in 1.0", request(b"Host: b", line=b"GET / HTTP/1.0"), 400),
    ("Host with path", request(host=b"Host: a/b"), 400),
    ("Host with user", request(host=b"Host: u@a"), 400),
    ("Host list", request(host=b"Host: a b"), 400),
    ("Host bad port", request(host=b"Host: a:b"), 400),
    ("Host UTF-8", request(host="Host: é".encode()), 400),
    # request line
    ("two blanks", request(line=b"GET  / HTTP/1.1"), 400),
    ("tab", request(line=b"GET\t/ HTTP/1.1"), 400),
    ("trailing blank", request(line=b"GET / HTTP/1.1 "), 400),
    ("leading blank", request(line=b" GET / HTTP/1.1"), 400),
    ("method not a token", request(line=b"G(T / HTTP/1.1"), 400),
    ("blank in target", request(line=b"GET /a b HTTP/1.1"), 400),
    ("NUL in target", request(line=b"GET /\0 HTTP/1.1"), 400),
    ("UTF-8 in target", request(line="GET /é HTTP/1.1".encode()), 400),
    ("fragment", request(line=b"GET /a#b HTTP/1.1"), 400),
    ("bad escape", request(line=b"GET /%zz HTTP/1.1"), 400),
    ("cut escape", request(line=b"GET /%4 HTTP/1.1"), 400),
    ("no path", request(line=b"GET a HTTP/1.1"), 400),
    ("asterisk", request(line=b"GET * HTTP/1.1"), 400),
    ("other scheme", request(line=b"GET ftp://a/ HTTP/1.1"), 400),
    ("no authority", request(line=b"GET http:///x HTTP/1.1"), 400),
    ("user in authority", request(line=b"GET http://u@a/ HTTP/1.1"), 400),
    ("CONNECT", request(line=b"CONNECT a:443 HTTP/1.1"), 501),
    ("too long", request(line=b"GET /" + b"a" * 100 + b" HTTP/1.1"), 414),
    ("without end", b"GET /" + b"a" * 200, 414),
    ("two blank lines", b"\r\n\r\n" + request(), 400),
    ("HTTP/0.9", b"GET /\r\n", 505),
    ("HTTP/0.9 by name", request(line=b"GET / HTTP/0.9"), 505),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("HTTP/3.0", request(line=b"GET / HTTP/3.0"), 505),
    ("http/1.1", request(line=b"GET / http/1.1"), 400),
    ("HTTP/1.10", request(line=b"GET / HTTP/1.10"), 400),
    ("HTTP/1", request(line=b"GET / HTTP/1"), 400),
    ("HTTP/11", request(line=b"GET / HTTP/1,1"), 400),
    ("a response", b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01", 400),
    ("SSH", b"SSH-2.0-x\r\n", 400),
    ("NUL", b"\0", 400),
    # expectations, ends
    ("unknown expectation", request(b"Expect: pie"), 417),
    ("end in line", b"GET / HT", 400),
    ("end in fields", b"GET / HTTP/1.1\r\nHost: a\r\n", 400),
    ("end in sized body", request(b"Content-Length: 5", body=b"hell"), 400),
    ("end in chunk", request(CHUNKED, body=b"5\r\nhell"), 400),
    ("end in chunk size", request(CHUNKED, body=b"5"), 400),
    ("end before last chunk", request(CHUNKED, body=b"5\r\nhello\r\n"), 400),
    ("end in trailers", request(CHUNKED, body=b"0\r\n"), 400),
]


@pytest.mark.parametrize(("data", "status"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_bytes_get_the_right_status_and_a_closed_connection(data: bytes, status: int) -> None:
    refusal = read(data)[-1]
    assert isinstance(refusal, Refusal)
    assert refusal.status == status, refusal.reason

    conn = connection(limits=LIMITS)
    events = conn.receive_data(data, T0) + conn.receive_data(b"", T0)
    assert events[-1] == refusal
    answer = conn.refuse(refusal)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer
    assert not conn.reusable
    assert conn.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", T0) == []


@pytest.mark.parametrize("data", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_bytes_mean_the_same_however_they_are_cut(data: bytes) -> None:
    whole = joined(read(data))
    for size in (1, 2, 3, 7, 50):
        assert joined(read_cut(data, size)) == whole, size


def test_nothing_that_follows_a_refused_request_is_ever_read() -> None:
    for name, data, _ in HOSTILE:
        if not name.startswith("end "):
            events = read(data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sum(isinstance(event, RequestHead) for event in events) <= 1, name
            assert not any(isinstance(event, RequestHead) and event.target == "/smuggled" for event in events), name


def test_contradictions_are_named_and_not_left_to_llhttp() -> None:
    reasons = {name: read(data)[-1] for name, data, _ in HOSTILE}
    assert reasons["CL and TE"] == Refusal(400, "There are both Content-Length and Transfer-Encoding.")
    assert reasons["TE and CL"] == reasons["CL and TE"]
    assert reasons["CL twice, equal"] == Refusal(400, "There is more than one Content-Length.")
    assert reasons["CL list"] == Refusal(400, "Content-Length is not a number.")
    assert reasons["TE twice"] == Refusal(400, "There is more than one Transfer-Encoding.")
    assert reasons["TE identity"] == Refusal(400, "Transfer-Encoding is not chunked.")
    # the one that is left to it: white space that it reads as part of the coding's name
    lone = read(request(b"Transfer-Encoding: chunked \t", body=b"0\r\n\r\n"))
    assert lone == [Refusal(400, "The header fields contradict each other.")]


def test_lines_are_refused_as_soon_as_they_are_too_long() -> None:
    reader = Reader(LIMITS)
    assert reader.feed(b"GET /" + b"a" * 96) == []
    assert reader.feed(b"a") == [Refusal(414, "The request line is too long.")]
    reader = Reader(LIMITS)
    exact = b"GET /" + b"a" * 86 + b" HTTP/1.1"
    assert len(exact) == 100
    assert reader.feed(exact + b"\r\n") == []
    assert reader.feed(b"Host: a\r\n\r\n")
    assert Reader(LIMITS).feed(b"GET /a" + exact[5:] + b"\r\n") == [Refusal(414, "The request line is too long.")]


def test_a_header_section_of_exactly_the_bound_passes_and_one_more_byte_does_not() -> None:
    line = b"GET / HTTP/1.1\r\n"
    section = b"Host: a\r\nX: %b\r\n\r\n"
    fits = section % (b"y" * (400 - len(section) + 2))
    assert len(fits) == 400
    assert isinstance(Reader(LIMITS).feed(line + fits)[0], RequestHead)
    more = section % (b"y" * (401 - len(section) + 2))
    assert Reader(LIMITS).feed(line + more) == [Refusal(431, "The header section is too long.")]


def test_chunk_extensions_cannot_carry_more_than_their_bound() -> None:
    """CVE-2023-39326: a client made servers read gigabytes of extensions for a body of a few bytes."""
    limits = HttpLimits(chunk_overhead=1000)
    flood = (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 10
    assert read(request(CHUNKED, body=flood), limits)[-1] == Refusal(400, "The chunks are all framing and no data.")
    honest = b"1\r\nx\r\n" * 10000
    assert read(request(CHUNKED, body=honest + b"0\r\n\r\n"), limits)[-2:] == [End(), Closed()]


def test_a_megabyte_of_header_bytes_one_by_one_stays_cheap() -> None:
    reader = Reader(HttpLimits())
    reader.feed(b"GET / HTTP/1.1\r\n")
    fed = 0
    while not (events := reader.feed(b"X")):
        fed += 1
    assert events == [Refusal(431, "The header section is too long.")]
    assert fed == HttpLimits().header_section - 1


def test_respond_after_a_head_request_that_was_followed_by_garbage_has_a_body() -> None:
    conn: ServerConnection = connection()
    conn.receive_data(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n\0", T0)
    conn.respond(ResponseHead(200, (), 0), b"")
    (refusal,) = conn.next_request(0)  # type: ignore[arg-type]
    assert isinstance(refusal, Refusal)
    assert conn.refuse(refusal).endswith(b"This is not HTTP.\n")


@pytest.mark.parametrize("size", [b"7fffffffffffffff", b"7ffffffffffffffe"])
def test_a_chunk_as_long_as_numbers_go_is_read_on(size: bytes) -> None:
    reader = Reader(HttpLimits(body=MAX_BODY))
    head = request(b"Transfer-Encoding: chunked")
    assert reader.feed(head + size + b"\r\nabc")[1:] == [Body(b"abc")]
    assert reader.feed(b"def") == [Body(b"def")]
    for more in (b"8000000000000000", b"ffffffffffffffff"):
        assert Reader(HttpLimits(body=MAX_BODY)).feed(head + more + b"\r\nabc")[1:] == [Refusal(413, "The body is too large.")]


@pytest.mark.parametrize(
    ("before", "behind"),
    [(b"", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding", b": chunked"), (b"Transfer-Encoding:", b"chunked"),
     (b"Transfer-Encoding: chunked", b""), (b"Transfer", b"-Encoding: chunked"), (b"X: y", b"Transfer-Encoding: chunked")],
)  # fmt: skip
def test_no_byte_in_or_around_a_transfer_coding_makes_two_readings_of_it(before: bytes, behind: bytes) -> None:
    """Smugglers try them all: one reader strips the byte and sees chunks, the other sees the length. Here either the field is
    another's and the length holds, or there is no request."""
    for byte in range(256):
        field = before + bytes((byte,)) + behind
        both = read(request(field, b"Content-Length: 5", body=b"0\r\n\r\n"))
        if isinstance(both[0], RequestHead):
            assert both[1:] == [Body(b"0\r\n\r\n"), End(), Closed()], field
            assert b"transfer-encoding" not in dict(both[0].fields), field
        else:
            assert [type(each) for each in both] == [Refusal], field
        alone = read(request(field, body=b"0\r\n\r\n"))
        if alone[1:2] == [End()] and alone[0].length is None:  # type: ignore[union-attr]  # a head
            assert byte in b" \t" and before.startswith(b"Transfer-Encoding:"), field
