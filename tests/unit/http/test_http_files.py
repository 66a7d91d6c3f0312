"""Files over HTTP: what is found, what is not, conditions, ranges, and uploads that are whole or not there."""

import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_world import ScriptedStack, ScriptedStream, play, serve

from netstack.errors import PeerReset, UsageError
from netstack.http.config import HttpConfig, HttpLimits
from netstack.http.date import format_date, parse_date
from netstack.http.serve.files import StaticFiles
from netstack.http.serve.server import HttpServer
from netstack.runtime.fileblocks import BLOCK


class Site:
    def __init__(self, root: Path, upload: bool = False, listing: bool = True) -> None:
        self.root = root
        self.stack: ScriptedStack
        self.server: HttpServer[ScriptedStack]
        self.stack, self.server = serve(StaticFiles(root, upload, listing))

    def ask(self, path: str, method: str = "GET", *fields: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and body of the one response."""
        lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        stream = self.stack.client("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""), b"")
        head, _, rest = stream.sent.partition(b"\r\n\r\n")
        status, *got = head.decode().split("\r\n")
        return int(status.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in got)}, rest


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder with something beside it that must not be seen."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "rootless").mkdir()
    (tmp_path / "rootless" / "secret.txt").write_text("secret")
    (root / "a.txt").write_bytes(b"0123456789")
    os.utime(root / "a.txt", (784111777, 784111777))
    (root / "page").mkdir()
    (root / "page" / "index.html").write_text("<h1>page</h1>")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "x.json").write_text("{}")
    (root / ".hidden").write_text("secret")
    (root / "<b>&.txt").write_text("odd")
    open_before = len(os.listdir("/proc/self/fd"))
    yield root
    gc.collect()  # a server and its sessions are a ring
    assert len(os.listdir("/proc/self/fd")) == open_before, "a descriptor leaked"


def test_a_file_is_served_with_type_date_and_tag(root: Path) -> None:
    status, fields, body = Site(root).ask("/a.txt")
    assert (status, body) == (200, b"0123456789")
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert fields["content-length"] == "10"
    assert fields["last-modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert fields["etag"].startswith('"')
    assert Site(root).ask("/a.txt", "HEAD") == (200, fields, b"")
    assert Site(root).ask("/deep/er/x.json?query")[1]["content-type"] == "application/json"


def test_a_folder_has_its_index_or_a_listing_and_a_slash(root: Path) -> None:
    site = Site(root)
    assert site.ask("/page/")[2] == b"<h1>page</h1>"
    status, fields, _ = site.ask("/page?a=b")
    assert (status, fields["location"]) == (301, "/page/?a=b")
    listing = site.ask("/")[2].decode()
    assert '<a href="./%3Cb%3E%26.txt">&lt;b&gt;&amp;.txt</a>' in listing
    assert "<b>" not in listing
    assert ".hidden" not in listing
    assert '<a href="./deep/">deep/</a>' in listing
    assert '<a href="../">' in site.ask("/deep/")[2].decode()
    assert site.ask("/%3Cb%3E%26.txt")[2] == b"odd"
    assert Site(root, listing=False).ask("/deep/")[0] == 404


def test_a_redirect_never_leads_to_another_host(root: Path) -> None:
    (root / "evil.example").mkdir()
    status, fields, _ = Site(root).ask("//evil.example")
    assert (status, fields["location"]) == (301, "/evil.example/")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/deep/../../secret.txt",
        "/deep/..%2f..%2fsecret.txt",
        "/..%00/secret.txt",
        "/a.txt%00.html",
        "/a.txt/",
        "/a.txt/b",
        "/.hidden",
        "/%2ehidden",
        "/deep%2fer",
        "/../rootless/secret.txt",
        "/nothing",
        "/" + "x" * 300,
        "/out.txt",
        "/outfolder/secret.txt",
        "/loop",
        "/pipe",
        "/%ff%fe",
        "/sibling/secret.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_there_is_no_way_out_of_the_root(root: Path, path: str, method: str) -> None:
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "outfolder").symlink_to("..")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    (root / "sibling").symlink_to("../rootless")  # its real path begins like the root's
    (root / "less").mkdir()
    (root / "less" / "secret.txt").write_text("secret")
    status, _, body = Site(root).ask(path, method)
    assert status == 404
    assert b"secret" not in body


def test_links_within_the_root_are_followed_and_listed_and_others_are_not(root: Path) -> None:
    (root / "link.txt").symlink_to("deep/er/x.json")
    (root / "folder").symlink_to("deep")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "nowhere").symlink_to("nothing")
    site = Site(root)
    assert site.ask("/link.txt")[2] == b"{}"
    assert site.ask("/folder/er/x.json")[2] == b"{}"
    listing = site.ask("/")[2]
    assert b"link.txt" in listing
    assert b'href="./folder/"' in listing
    assert b"out.txt" not in listing
    assert b"nowhere" not in listing


def test_conditions_spare_what_the_client_has(root: Path) -> None:
    site = Site(root)
    etag = site.ask("/a.txt")[1]["etag"]
    for field in (f"If-None-Match: {etag}", f'If-None-Match: "x", W/{etag}', "If-None-Match: *"):
        status, fields, body = site.ask("/a.txt", "GET", field)
        assert (status, body, fields["etag"]) == (304, b"", etag)
        assert "content-length" not in fields
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert site.ask("/a.txt", "GET", f"If-Modified-Since: {date}")[0] == 304
    assert site.ask("/a.txt", "GET", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT")[0] == 200
    assert site.ask("/a.txt", "GET", "If-Modified-Since: yesterday")[0] == 200
    assert site.ask("/a.txt", "GET", f"If-Modified-Since: {date}", 'If-None-Match: "x"')[0] == 200  # the tag goes before the date
    assert site.ask("/a.txt", "GET", 'If-Match: "x"')[0] == 412
    assert site.ask("/a.txt", "GET", f"If-Match: {etag}")[0] == 200
    assert site.ask("/a.txt", "GET", f"If-Match: W/{etag}")[0] == 412
    assert site.ask("/a.txt", "GET", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT")[0] == 412


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-4", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=a-b", 200, b"0123456789", None),
        ("bytes=" + "9" * 50 + "-", 200, b"0123456789", None),
    ],
)
def test_one_range_is_served(root: Path, asked: str, status: int, body: bytes | None, content_range: str | None) -> None:
    got, fields, sent = Site(root).ask("/a.txt", "GET", f"Range: {asked}")
    assert (got, fields.get("content-range")) == (status, content_range)
    assert body is None or sent == body
    assert int(fields["content-length"]) == len(sent)


def test_a_range_of_another_version_of_the_file_is_not_served(root: Path) -> None:
    site = Site(root)
    etag = site.ask("/a.txt")[1]["etag"]
    for condition, status in (
        (etag, 206),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 206),
        ('"x"', 200),
        (f"W/{etag}", 200),
        ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
    ):
        assert site.ask("/a.txt", "GET", "Range: bytes=0-3", f"If-Range: {condition}")[0] == status


def test_a_200_mb_file_is_streamed_and_never_held(root: Path) -> None:
    size = 200 * 1024 * 1024
    with open(root / "big", "wb") as file:
        file.truncate(size)
    stack, _ = serve(StaticFiles(root))
    taken = 0

    class Counting(ScriptedStream):
        async def send_all(self, data: bytes, timeout: object = None) -> None:
            nonlocal taken
            taken += len(data)
            assert len(data) <= BLOCK

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream = Counting(stack.clock, [b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", b""])
    play(stack, stream)
    assert size < taken < size + 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB


def test_a_file_that_shrinks_while_it_is_sent_cuts_the_stream(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "big").write_bytes(bytes(3 * BLOCK))
    files = StaticFiles(root)
    stack, server = serve(files)

    class Shrinking(ScriptedStream):
        async def send_all(self, data: bytes, timeout: object = None) -> None:
            os.truncate(root / "big", BLOCK)

    stream = Shrinking(stack.clock, [b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", b""])
    play(stack, stream)
    assert stream.aborted
    assert server.mib.HandlerErrors == 1
    assert "shorter" in caplog.text
    files.close()  # the log holds the traceback, and that everything else


def test_put_is_not_allowed_unless_it_is(root: Path) -> None:
    site = Site(root)
    status, fields, _ = site.ask("/new.txt", "PUT", body=b"x")
    assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert site.ask("/", "OPTIONS")[1]["allow"] == "GET, HEAD, OPTIONS"
    assert site.ask("/a.txt", "DELETE")[0] == 405
    assert not (root / "new.txt").exists()


def test_put_makes_a_file_and_then_replaces_it(root: Path) -> None:
    site = Site(root, upload=True)
    status, fields, _ = site.ask("/deep/n%20w.txt", "PUT", body=b"first")
    assert (status, fields["location"]) == (201, "/deep/n%20w.txt")
    assert (root / "deep" / "n w.txt").read_bytes() == b"first"
    assert site.ask("/deep/n%20w.txt")[1]["etag"] == fields["etag"]
    assert site.ask("/deep/n%20w.txt", "PUT", body=b"second")[0] == 204
    assert (root / "deep" / "n w.txt").read_bytes() == b"second"
    assert site.ask("/deep/n%20w.txt")[1]["content-security-policy"] == "sandbox"
    assert sorted(os.listdir(root / "deep")) == ["er", "n w.txt"]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/", (), 409),
        ("/deep", (), 409),
        ("/new/", (), 409),
        ("/nothing/x", (), 409),
        ("/a.txt/x", (), 409),
        ("/../x", (), 404),
        ("/..%2fx", (), 404),
        ("/.x", (), 404),
        ("/x", ("Content-Range: bytes 0-3/10",), 400),
        ("/a.txt", ("If-None-Match: *",), 412),
        ("/nope.txt", ("If-Match: *",), 412),
        ("/out/x", (), 409),
        ("/" + "x" * 256, (), 404),
    ],
)
def test_a_put_that_is_refused_leaves_no_trace(root: Path, path: str, fields: tuple[str, ...], status: int) -> None:
    (root / "out").symlink_to("..")
    before = sorted(str(each) for each in root.parent.rglob("*"))
    assert Site(root, upload=True).ask(path, "PUT", *fields, body=b"data")[0] == status
    assert sorted(str(each) for each in root.parent.rglob("*")) == before
    assert (root / "a.txt").read_bytes() == b"0123456789"


def test_put_over_a_link_replaces_the_link_and_not_what_it_leads_to(root: Path) -> None:
    (root / "link.txt").symlink_to("../secret.txt")
    assert Site(root, upload=True).ask("/link.txt", "PUT", body=b"mine")[0] == 204
    assert (root.parent / "secret.txt").read_text() == "secret"
    assert (root / "link.txt").read_bytes() == b"mine"
    assert not (root / "link.txt").is_symlink()


@pytest.mark.parametrize("end", [b"", PeerReset(), b"zz"])
def test_a_broken_upload_leaves_the_old_file_and_nothing_else(root: Path, end: bytes | Exception) -> None:
    stack, server = serve(StaticFiles(root, upload=True))
    request = b"PUT /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    stack.client(request, end)
    assert (root / "a.txt").read_bytes() == b"0123456789"
    assert sorted(os.listdir(root)) == [".hidden", "<b>&.txt", "a.txt", "deep", "page"]
    assert server.mib.HandlerErrors == 0


def test_an_upload_beyond_the_bound_is_413(root: Path) -> None:
    stack, _ = serve(StaticFiles(root, upload=True), HttpConfig(limits=HttpLimits(body=8)))
    head = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    stream = stack.client(head, b"8\r\n12345678\r\n1\r\nx\r\n0\r\n\r\n", b"")
    assert stream.sent.startswith(b"HTTP/1.1 413 ")
    assert not (root / "x").exists()


def test_a_root_that_is_no_folder_is_refused_at_once(root: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        StaticFiles(root / "a.txt")


def test_dates_are_read_in_the_three_forms_and_written_in_one() -> None:
    for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert parse_date(text) == 784111777
    assert format_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    for text in ("", "0", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC"):
        assert parse_date(text) is None
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT") == 1483228799  # a leap second
