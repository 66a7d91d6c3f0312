"""Which header lists are requests (RFC 9113 8.2, 8.3), and which are the same as HTTP/1.1's."""

import pytest
from http2_world import GET, POST, Side, request
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.errors import UsageError
from netstack.http.config import HttpConfig, HttpLimits
from netstack.http.events import Refusal, RequestHead
from netstack.http.h1.connection import ServerConnection
from netstack.http.h2 import fields as hf
from netstack.http.h2 import words as hw
from netstack.http.refused import Refused
from netstack.instant import Instant

Headers = tuple[tuple[bytes, bytes], ...]


def read(headers: Headers, ended: bool = True) -> RequestHead:
    return hf.RequestReader(HttpLimits()).read(list(headers), ended)


def without(name: bytes) -> Headers:
    return tuple(pair for pair in GET if pair[0] != name)


@pytest.mark.parametrize("headers", [
    without(b":method"), without(b":scheme"), without(b":path"), (),
    (*GET, (b":method", b"GET")), (*GET, (b":path", b"/")), (*GET, (b":status", b"200")), (*GET, (b":x", b"")),
    (*GET, (b"a", b"b"), (b":path", b"/")), (GET[0], (b"a", b"b"), *GET[1:]),
    (*without(b":path"), (b":path", b"")), (*without(b":scheme"), (b":scheme", b"")), (*without(b":scheme"), (b":scheme", b"a b")),
    (*without(b":method"), (b":method", b"")), (*without(b":method"), (b":method", b"G ET")),
    (*GET, (b"Upper", b"")), (*GET, (b"", b"")), (*GET, (b"a b", b"")), (*GET, (b"a:b", b"")), (*GET, (b"\xe4", b"")),
    (*GET, (b"a", b"b\r\nc: d")), (*GET, (b"a", b"\0")), (*GET, (b"a", b" b")), (*GET, (b"a", b"b\t")), (*GET, (b"a", b"\x7f")),
    (*GET, (b"connection", b"close")), (*GET, (b"transfer-encoding", b"chunked")), (*GET, (b"upgrade", b"h2c")),
    (*GET, (b"keep-alive", b"1")), (*GET, (b"proxy-connection", b"1")), (*GET, (b"te", b"gzip")),
    (*GET, (b"host", b"b")), (*GET, (b"content-length", b"1")), (*GET, (b"content-length", b"-1")), (*GET, (b"content-length", b"")),
    (*GET, (b":protocol", b"websocket")), ((b":method", b"CONNECT"), (b":protocol", b"x"), (b":authority", b"a")),
    ((b":method", b"CONNECT"), *GET[1:]), ((b":method", b"CONNECT"),),
], ids=repr)  # fmt: skip
def test_a_malformed_list_is_no_request(headers: Headers) -> None:
    with pytest.raises(hf.Malformed):
        read(headers)


def test_a_malformed_request_ends_its_stream_alone() -> None:
    side = Side()
    side.hear(request(1))
    ((stream, word),) = side.hear(request(3, (*GET, (b"connection", b"close"))))
    assert isinstance(word, hw.Reset)
    assert (stream, word.code, word.remote) == (3, hw.PROTOCOL_ERROR, False)
    assert side.frames() == [frame_of_reset(3, hw.PROTOCOL_ERROR)]
    side.respond(1)
    assert len(side.frames()) == 2


def frame_of_reset(stream: int, code: int) -> tuple[int, int, int, bytes]:
    return 3, 0, stream, code.to_bytes(4, "big")


@pytest.mark.parametrize("status, headers", [
    (400, without(b":authority")),
    (400, (*without(b":authority"), (b":authority", b""))),
    (400, (*without(b":authority"), (b":authority", b"user@a"))),
    (400, (*without(b":authority"), (b"host", b"a"), (b"host", b"a"))),
    (400, (*without(b":path"), (b":path", b"http://a/"))),
    (400, (*without(b":path"), (b":path", b"*"))),
    (400, (*without(b":path"), (b":path", b"/a b"))),
    (400, (*without(b":path"), (b":path", b"/\xe4"))),
    (400, (*without(b":path"), (b":path", b"/#a"))),
    (400, (*without(b":path"), (b":path", b"/%zz"))),
    (414, (*without(b":path"), (b":path", b"/" + b"a" * 8192))),
    (417, (*GET, (b"expect", b"more"))),
    (501, ((b":method", b"CONNECT"), (b":authority", b"a:1"))),
    (413, (*POST, (b"content-length", b"9" * 12))),
    (413, (*POST, (b"content-length", b"9" * 30))),
    (400, (*POST, (b"content-length", b"1"), (b"content-length", b"1"))),
], ids=repr)  # fmt: skip
def test_a_request_that_is_not_taken_has_a_status(status: int, headers: Headers) -> None:
    with pytest.raises(Refused) as caught:
        read(headers, ended=False)
    assert caught.value.status == status
    side = Side()
    ((_, refusal),) = side.hear(request(1, headers, end=False))
    assert isinstance(refusal, Refusal)
    side.engine.refuse(1, refusal, b"")
    head, data, _ = side.frames()
    assert dict(side.decoder.decode(head[3], raw=True))[b":status"] == b"%d" % status
    assert data[3].startswith(b"%d " % status)
    assert side.engine.idle


def test_host_is_the_authority_and_comes_first() -> None:
    assert read((*GET, (b"x", b"1"), (b"host", b"a"))).fields == ((b"host", b"a"), (b"x", b"1"))
    assert read((*without(b":authority"), (b"x", b"1"), (b"host", b"a"))).fields == ((b"host", b"a"), (b"x", b"1"))


def test_cookies_are_joined_where_the_first_one_stood() -> None:
    head = read((*GET, (b"cookie", b"a=1"), (b"x", b"1"), (b"cookie", b"b=2")))
    assert head.fields == ((b"host", b"a"), (b"cookie", b"a=1; b=2"), (b"x", b"1"))


def test_what_is_remembered_of_a_request_is_only_what_the_next_one_repeats() -> None:
    reader = hf.RequestReader(HttpLimits())
    first = reader.read([*POST, (b"content-length", b"5")], False)
    second = reader.read([*POST[:3], (b":path", b"/b"), (b"content-length", b"5")], False)
    assert (first.target, second.target, second.length) == ("/", "/b", 5)
    assert second.fields is first.fields
    with pytest.raises(hf.Malformed):
        reader.read([*POST, (b"content-length", b"5")], True)
    other = reader.read([*POST[:2], (b":authority", b"b"), POST[3], (b"content-length", b"5")], False)
    assert other.fields[0] == (b"host", b"b")
    assert reader.read([*POST, (b"expect", b"100-continue")], False).expects_continue
    assert not reader.read([*POST, (b"expect", b"100-continue")], True).expects_continue


NAMES = st.sampled_from([b"x", b"accept", b"cookie", b"te", b"user-agent", b"content-type"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(lambda t: t.strip().encode())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([b"GET", b"POST", b"OPTIONS", b"HEAD", b"X"]), st.text("ab/?%20*#=|", max_size=9), st.lists(st.tuples(NAMES, VALUES)))
def test_what_http1_takes_http2_takes_with_the_same_head(method: bytes, path: str, fields: list[tuple[bytes, bytes]]) -> None:
    fields = [(name, b"trailers" if name == b"te" else value) for i, (name, value) in enumerate(fields)
              if name != b"cookie" or name not in [n for n, _ in fields[:i]]]  # fmt: skip
    target = b"/" + path.encode()
    lines = b"".join(b"%b: %b\r\n" % pair for pair in fields)
    events = ServerConnection(HttpConfig(), Instant(0)).receive_data(
        b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (method, target, lines), Instant(0)
    )
    one = events[0]
    headers = [(b":method", method), (b":scheme", b"http"), (b":authority", b"a"), (b":path", target), *fields]
    if isinstance(one, Refusal):
        with pytest.raises(Refused) as caught:
            hf.RequestReader(HttpLimits()).read(headers, True)
        assert caught.value.status == one.status
    else:
        assert isinstance(one, RequestHead)
        two = hf.RequestReader(HttpLimits()).read(headers, True)
        assert (two.method, two.target, two.fields, two.length) == (one.method, one.target, one.fields, one.length)


@pytest.mark.parametrize("fields, message", [
    (((b"a b", b""),), "can't be a header's name"),
    (((b"a", b"x\r\ny"),), "line break"),
    (((b"content-length", b"x"),), "number of bytes"),
    (((b"content-length", b"1"), (b"Content-Length", b"1")), "given twice"),
    (((b"content-length", b"7"),), "says 7 and the body has 5"),
])  # fmt: skip
def test_a_response_that_nobody_could_read_is_a_usage_error(fields: Headers, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hf.response_list(200, fields, 5, False, b"")


def test_fields_of_the_connection_stay_here() -> None:
    headers, length = hf.response_list(200, ((b"Connection", b"close"), (b"Transfer-Encoding", b"chunked")), None, False, b"")
    assert (headers, length) == ([(b":status", b"200")], None)
