"""Files over HTTP: several ranges, codings that lie beside a file, descriptors that are kept, and the stream's own way to send."""

import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_world import ScriptedStream, play, serve
from hypothesis import given
from hypothesis import strategies as st

from netstack.errors import TimedOut
from netstack.http.coding import accepted, choose
from netstack.http.conditional import RANGES, requested_ranges
from netstack.http.headers import Headers
from netstack.http.serve.files import KEPT, StaticFiles, content_type
from netstack.http.serve.folder import entity_tag
from netstack.instant import Duration
from netstack.runtime.aside import Hold

TEXT = b"0123456789" * 10


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "app.js").write_bytes(b"plain")
    for suffix in ("br", "zst", "gz"):
        (tmp_path / f"app.js.{suffix}").write_bytes(suffix.encode())
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield tmp_path
    gc.collect()  # a server and its sessions are a ring
    assert len(os.listdir("/proc/self/fd")) == before, "a descriptor leaked"


def ask(files: StaticFiles, path: str, *fields: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *fields]
    sent = serve(files)[0].client("\r\n".join(lines).encode() + b"\r\n\r\n", b"").sent
    head, _, rest = sent.partition(b"\r\n\r\n")
    status, *got = head.decode().split("\r\n")
    return int(status.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in got)}, rest


# -- ranges --------------------------------------------------------------------------------------------------------------------


def test_several_ranges_come_as_parts_in_the_order_in_which_they_were_asked_for(root: Path) -> None:
    status, fields, body = ask(StaticFiles(root), "/a.txt", "Range: bytes=50-51, 0-1,-2, 500-")
    assert status == 206
    assert "content-range" not in fields
    assert int(fields["content-length"]) == len(body)
    found = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{24})", fields["content-type"])
    assert found is not None
    boundary = found[1].encode()
    kind = b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes "
    assert body == b"".join(
        b"\r\n--" + boundary + kind + part for part in (b"50-51/100\r\n\r\n01", b"0-1/100\r\n\r\n01", b"98-99/100\r\n\r\n89")
    ) + (b"\r\n--" + boundary + b"--\r\n")
    assert ask(StaticFiles(root), "/a.txt", "Range: bytes=0-1,5-6", method="HEAD")[0] == 200  # RFC 9110 14.2: it is GET's


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("0-9,5-19,15-", [range(100)]),  # overlapping: each byte once
        ("5-9,0-99", [range(100)]),
        ("0-0,0-0,0-0", [range(1)]),
        ("60-69,0-9,65-79", [range(10), range(60, 80)]),
        ("10-19,0-9", [range(10, 20), range(10)]),  # side by side is not overlapping
        ("0-1,,5-6,", [range(2), range(5, 7)]),
        ("0-1,200-", [range(2)]),
        ("200-,-0", []),
        (",", None),
        ("0-1,x", None),
        ("0-1,5-4", None),
        (",".join(f"{n * 2}-{n * 2}" for n in range(RANGES)), [range(n * 2, n * 2 + 1) for n in range(RANGES)]),
        (",".join(f"{n * 2}-{n * 2}" for n in range(RANGES + 1)), None),
    ],
)
def test_ranges_are_joined_bounded_and_ignored_as_a_whole_where_one_is_unlawful(asked: str, given: list[range] | None) -> None:
    assert requested_ranges(Headers({"range": f"bytes={asked}"}), 100, '"x"', 0) == given


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), max_size=RANGES), st.integers(1, 100))
def test_what_ranges_give_is_never_more_than_the_file(pairs: list[tuple[int, int]], size: int) -> None:
    value = "bytes=" + ",".join(f"{min(pair)}-{max(pair)}" for pair in pairs)
    parts = requested_ranges(Headers({"range": value}), size, '"x"', 0)
    if parts is not None:
        assert sum(map(len, parts)) <= size
        assert {at for part in parts for at in part} == {at for a, b in pairs for at in range(min(a, b), min(max(a, b) + 1, size))}


def test_a_weak_tag_says_nothing_of_bytes() -> None:
    for tag, condition, whole in (('"x"', '"x"', False), ('W/"x"', 'W/"x"', True), ('W/"x"', '"x"', True), ('"x"', 'W/"x"', True)):
        headers = Headers({"range": "bytes=0-0", "if-range": condition})
        assert (requested_ranges(headers, 10, tag, 0) is None) == whole
    headers = Headers({"range": "bytes=0-0", "if-range": "Sun, 06 Nov 1994 08:49:37 GMT"})
    assert requested_ranges(headers, 10, '"x"', 784111777) == [range(1)]
    assert requested_ranges(headers, 10, 'W/"x"', 784111777) is None


def test_a_tag_is_weak_while_a_stamp_of_whole_seconds_may_stand_for_two_versions(root: Path) -> None:
    os.utime(root / "a.txt", (1000, 1000))
    status = (root / "a.txt").stat()
    assert entity_tag(status, 1_001_999_999_999).startswith('W/"')
    assert entity_tag(status, 1_002_000_000_000).startswith('"')


# -- codings -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "body", "coding"),
    [
        (None, b"plain", None),
        ("", b"plain", None),
        ("gzip", b"gz", "gzip"),
        ("x-gzip", b"gz", "gzip"),
        ("gzip, deflate, br, zstd", b"br", "br"),
        ("GZIP;Q=1.0, br;q=0.5", b"gz", "gzip"),
        ("zstd, gzip", b"zst", "zstd"),
        ("*", b"br", "br"),
        ("br;q=0, *", b"zst", "zstd"),
        ("gzip;q=0.5, identity", b"plain", None),
        ("gzip;q=0.5, identity;q=0.5", b"gz", "gzip"),
        ("gzip;q=0", b"plain", None),
        ("identity;q=0, *;q=0", b"plain", None),
        ("gzip;q=2, br;q=zero", b"plain", None),
    ],
)
def test_a_compressed_file_goes_to_who_takes_it(root: Path, field: str | None, body: bytes, coding: str | None) -> None:
    got = ask(StaticFiles(root), "/app.js", *(() if field is None else (f"Accept-Encoding: {field}",)))
    assert (got[0], got[2]) == (200, body)
    assert got[1].get("content-encoding") == coding
    assert got[1]["vary"] == "accept-encoding"
    assert got[1]["content-type"] == "text/javascript; charset=utf-8"


def test_versions_in_different_codings_have_different_tags_and_ranges_of_their_own(root: Path) -> None:
    files = StaticFiles(root)
    tags = {ask(files, "/app.js", f"Accept-Encoding: {coding}")[1]["etag"] for coding in ("br", "zstd", "gzip", "x")}
    assert len(tags) == 4
    status, fields, body = ask(files, "/app.js", "Accept-Encoding: br", "Range: bytes=1-")
    assert (status, body, fields["content-range"]) == (206, b"r", "bytes 1-1/2")
    status, fields, _ = ask(files, "/app.js", "Accept-Encoding: br", f"If-None-Match: {', '.join(tags)}")
    assert status == 304
    assert fields["vary"] == "accept-encoding"


def test_a_compressed_file_that_leads_out_is_not_there(root: Path) -> None:
    (root / "in").mkdir()
    (root / "in" / "x.css").write_bytes(b"plain")
    (root / "in" / "x.css.br").symlink_to("../a.txt")
    (root / "in" / "x.css.gz").mkdir()
    status, fields, body = ask(StaticFiles(root / "in"), "/x.css", "Accept-Encoding: br, gzip")
    assert (status, body) == (200, b"plain")
    assert "vary" not in fields
    assert ask(StaticFiles(root, precompressed=False), "/app.js", "Accept-Encoding: br")[2] == b"plain"
    assert ask(StaticFiles(root), "/app.js.gz")[1]["content-type"] == "application/gzip"


@given(st.text(max_size=60), st.lists(st.sampled_from(["br", "zstd", "gzip"]), unique=True))
def test_any_accept_encoding_is_read(value: str, there: list[str]) -> None:
    assert choose(value, there) in (None, *there)
    assert all(0 <= weight <= 1 for weight in accepted(value).values())


# -- fields --------------------------------------------------------------------------------------------------------------------


def test_cache_control_is_a_value_or_made_of_the_path(root: Path) -> None:
    assert "cache-control" not in ask(StaticFiles(root), "/a.txt")[1]
    files = StaticFiles(root, cache_control=lambda path: "max-age=31536000, immutable" if path.endswith(".js") else "")
    assert ask(files, "/app.js")[1]["cache-control"] == "max-age=31536000, immutable"
    assert "cache-control" not in ask(files, "/a.txt")[1]
    files = StaticFiles(root, cache_control="no-cache")
    tag = ask(files, "/a.txt")[1]["etag"]
    status, fields, _ = ask(files, "/a.txt", f"If-None-Match: {tag}")
    assert (status, fields["cache-control"]) == (304, "no-cache")


def test_types_are_the_same_on_every_system() -> None:
    for name, kind in (
        ("x.mjs", "text/javascript; charset=utf-8"),
        ("x.svg", "image/svg+xml"),
        ("x.woff2", "font/woff2"),
        ("x.wasm", "application/wasm"),
        ("x.tar.gz", "application/gzip"),
        ("x.unheard", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ):
        assert content_type(name) == kind
    assert content_type("x.html", "") == "text/html"


# -- what is kept --------------------------------------------------------------------------------------------------------------


def test_a_kept_descriptor_never_hides_a_change(root: Path) -> None:
    files = StaticFiles(root)
    assert ask(files, "/a.txt")[2] == TEXT
    (root / "a.txt").write_bytes(b"grown " + TEXT)
    assert ask(files, "/a.txt")[2] == b"grown " + TEXT
    (root / "new").write_bytes(b"another file")
    os.rename(root / "new", root / "a.txt")
    assert ask(files, "/a.txt")[2] == b"another file"
    (root / "a.txt").unlink()
    assert ask(files, "/a.txt")[0] == 404
    assert ask(files, "/app.js", "Accept-Encoding: br")[2] == b"br"
    (root / "app.js.br").unlink()
    assert ask(files, "/app.js", "Accept-Encoding: br")[2] == b"plain"


def test_few_descriptors_are_kept_and_close_lets_go_of_them(root: Path) -> None:
    files = StaticFiles(root)
    before = len(os.listdir("/proc/self/fd"))
    for n in range(3 * KEPT):
        (root / f"{n}.txt").write_bytes(b"x")
        assert ask(files, f"/{n}.txt")[0] == 200
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before + KEPT
    files.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_asked_for_often_is_read_once_and_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netstack.http.serve.files.HELD", 250)
    reads = 0

    def preadv(fd: int, room: list[memoryview], offset: int, flags: int = 0) -> int:
        nonlocal reads
        reads += 1
        return real(fd, room, offset, flags)

    real = os.preadv
    monkeypatch.setattr(os, "preadv", preadv)
    files = StaticFiles(root)
    for _ in range(6):
        assert ask(files, "/a.txt")[2] == TEXT
    assert reads == 2  # the first, and the one that was held
    assert ask(files, "/a.txt", "Range: bytes=98-")[2] == b"89"
    (root / "a.txt").write_bytes(b"x" * 100)
    assert ask(files, "/a.txt")[2] == b"x" * 100
    for name in ("b", "c", "d"):
        (root / name).write_bytes(TEXT)
        for _ in range(3):
            assert ask(files, f"/{name}")[2] == TEXT
    held = [found.file.content for found in files._kept.values() if found.file is not None and found.file.content is not None]
    assert len(held) == 2  # 250 bytes have no room for a third


def test_what_the_page_cache_has_in_part_is_sent_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def preadv(fd: int, room: list[memoryview], offset: int, flags: int = 0) -> int:
        return real(fd, [room[0][:30]], offset, flags)

    real = os.preadv
    monkeypatch.setattr(os, "preadv", preadv)
    files = StaticFiles(root)
    for _ in range(4):  # the third from memory
        status, _, body = ask(files, "/a.txt")
        assert (status, body) == (200, TEXT)
    assert ask(files, "/a.txt", "Range: bytes=1-")[2] == TEXT[1:]


# -- the stream's own way ------------------------------------------------------------------------------------------------------


class SendingFiles(ScriptedStream):
    """As TcpStream and KernelStream."""

    sendfile = True  # so that what is held in memory is of no use
    timeouts: tuple[Duration | None, ...] = ()
    spoil: BaseException | None = None
    short = 0

    async def send_file(self, file: int, offset: int = 0, count: int | None = None, timeout: Duration | None = None) -> int:
        assert count is not None
        self.timeouts += (timeout,)
        if self.spoil is not None:
            raise self.spoil
        self.sent += (data := os.pread(file, count - self.short, offset))
        return len(data)


def fetch(root: Path, request: bytes, **how: object) -> tuple[SendingFiles, StaticFiles, dict[str, int]]:
    files = StaticFiles(root)
    stack, server = serve(files)
    stream = SendingFiles(stack.clock, [request, b""])
    for name, value in how.items():
        setattr(stream, name, value)
    play(stack, stream)
    return stream, files, server.mib.snapshot()


BIG = bytes(range(256)) * 4096  # 1 MiB
GET = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_large_file_goes_by_the_streams_own_way_under_the_send_timeout(root: Path) -> None:
    (root / "big").write_bytes(BIG)
    stream, _, mib = fetch(root, GET + b"GET /big HTTP/1.1\r\nHost: a\r\nRange: bytes=7-99999\r\n\r\n")
    heads = stream.sent.split(b"\r\n\r\n")
    assert heads[0].startswith(b"HTTP/1.1 200 ")
    assert stream.sent.count(BIG) == 1
    assert stream.sent.endswith(b"\r\n\r\n" + BIG[7:100000])
    assert stream.timeouts == (30_000_000_000, 30_000_000_000)
    assert mib["OutBytes"] == len(stream.sent)
    assert mib["Responses"] == 2


def test_a_head_request_and_a_small_file_need_no_way_of_their_own(root: Path) -> None:
    (root / "big").write_bytes(BIG)
    stream, _, mib = fetch(root, b"HEAD /big HTTP/1.1\r\nHost: a\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"Content-Length: 1048576\r\n" in stream.sent
    assert stream.sent.endswith(TEXT)
    assert stream.timeouts == ()
    assert mib["OutBytes"] == len(stream.sent)


def test_a_file_that_became_shorter_is_cut_and_blamed(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "big").write_bytes(BIG)
    stream, files, mib = fetch(root, GET, short=1)
    assert stream.aborted
    assert mib["HandlerErrors"] == 1
    assert "shorter" in caplog.text
    files.close()


def test_a_client_that_reads_nothing_is_lost_and_a_disk_that_fails_is_ours(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "big").write_bytes(BIG)
    stream, files, mib = fetch(root, GET, spoil=TimedOut("waiting for the peer to read"))
    assert stream.aborted
    assert (mib["Broken"], mib["HandlerErrors"]) == (1, 0)
    files.close()
    stream, files, mib = fetch(root, GET, spoil=OSError(5, "a bad block"))
    assert stream.aborted
    assert (mib["Broken"], mib["HandlerErrors"]) == (0, 1)
    files.close()


# -- calls in threads ----------------------------------------------------------------------------------------------------------


def test_what_a_call_has_in_its_hands_is_cleaned_up_at_its_end_and_otherwise_at_once() -> None:
    cleaned: list[str] = []
    hold = Hold(lambda: cleaned.append("now"))
    with hold.at_work():
        hold.leave()
        assert not cleaned
    assert cleaned == ["now"]
    with pytest.raises(RuntimeError), hold.at_work():
        pass
    idle = Hold(lambda: cleaned.append("at once"))
    idle.leave()
    assert cleaned == ["now", "at once"]
