"""The dashboard on scripted clients: its files, what a terminal gets, what nobody can smuggle in, and the paths to try a stack."""

import hashlib
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from http_world import ScriptedStack, serve

import netstack.http.dashboard.page as page_module
from netstack.adapters import Observer
from netstack.errors import UsageError
from netstack.http.dashboard.page import ASSETS, Dashboard
from netstack.http.dashboard.status import Pair, Row
from netstack.http.dashboard.text import comment, round_trip_text, uptime_text
from netstack.http.dashboard.trials import FixedBytes, fixed_bytes
from netstack.http.mib import HttpMib
from netstack.http.serve.server import HttpServer

EVIL = "--><script>alert(1)</script>"
FOLDER = Path(page_module.__file__).parent


class FakeStatus:
    ethernet = True

    def __init__(self, open: int = 1) -> None:
        self.mib = HttpMib()
        self.open = open
        self.observer: Observer | None = None

    def about(self) -> Row:
        return {"netif": "tap0", "addresses": ["192.0.2.1/24"], "build": "compiled"}

    def counters(self) -> dict[str, dict[str, int]]:
        return {"Http": self.mib.snapshot(), EVIL: {EVIL: 1234567}}

    def meanings(self) -> dict[str, dict[str, str]]:
        return {"Http": HttpMib.MEANING}

    def connections(self) -> list[dict[str, object]]:
        row = {"remote": f"192.0.2.2:{EVIL}", "state": "ESTABLISHED", "srtt": 2_340_000, "in_flight": -1, "retransmits": 64512}
        return [row | {"note": "raw"}] * self.open

    def busiest(self, most: int, words: Sequence[str]) -> tuple[int, int, Sequence[Row]]:
        return self.open, self.open, self.connections()[:most]

    def neighbours(self) -> Sequence[Row]:
        return [{"address": "192.0.2.2"}]

    def routes(self) -> Sequence[Row]:
        return []

    def listeners(self) -> Sequence[Row]:
        return []

    def pick(self, pair: Pair) -> None:
        return None

    def watch(self, observer: Observer | None) -> None:
        if observer is not None and self.observer is not None:
            raise UsageError("one looks already")
        self.observer = observer


def site(open: int = 1) -> tuple[ScriptedStack, HttpServer[ScriptedStack]]:
    return serve(Dashboard(FakeStatus(open), clock=ScriptedStack().clock))


def get(request: bytes, *more: bytes, open: int = 1) -> tuple[int, bytes, bytes]:
    stack, _ = site(open)
    head, _, body = stack.client(request, *more, b"").sent.partition(b"\r\n\r\n")
    return int(head[9:12]), head, body


def page(accept: str = "", open: int = 1) -> str:
    fields = f"Accept: {accept}\r\n" if accept else ""
    status, _, body = get(f"GET / HTTP/1.1\r\nHost: 10.0.0.9:8\r\n{fields}\r\n".encode(), open=open)
    assert status == 200
    return body.decode()


def test_a_browser_gets_the_page_as_it_lies_in_the_package() -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert page(browser) == (FOLDER / "index.html").read_text()


def test_the_page_and_its_files_need_nothing_from_elsewhere_and_nothing_inline() -> None:
    named: set[str] = set()

    class Look(HTMLParser):
        open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            said = dict(attrs)
            if tag not in ("meta", "link", "br", "input", "img"):
                self.open.append(tag)
            assert not any(name.startswith("on") or name == "style" for name in said), "the policy forbids what is inline"
            assert tag != "style"
            assert tag != "script" or said["src"]
            links = [value for name, value in attrs if name in ("src", "href") and value]
            named.update(value for value in links if value.endswith((".js", ".css", ".svg")))

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    look = Look()
    look.feed(page("text/html"))
    look.close()
    assert look.open == []
    for script in ("dashboard.js", "table.js", "draw.js"):
        named |= {f"/{name}" for name in re.findall(r'from "\./(\w+\.js)"', (FOLDER / script).read_text())}
    assert named == set(ASSETS)
    for path in ASSETS:
        status, head, body = get(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert status == 200
        assert b"Content-Security-Policy: default-src 'self';" in head
        assert b"unsafe" not in head
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)[a-z]", body), path
        assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", body), path


def test_every_element_that_the_script_asks_for_is_on_the_page() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', (FOLDER / "index.html").read_text()))
    asked = set(re.findall(r'\$\("([\w-]+)"\)', (FOLDER / "dashboard.js").read_text()))
    assert len(asked) > 30
    assert asked <= ids


def test_the_reasons_that_the_page_explains_are_those_that_tcp_gives() -> None:
    from netstack.tcp.recovery.history import REASONS

    words = (FOLDER / "words.js").read_text().partition("export const REASONS = {")[2].partition("};")[0]
    assert set(re.findall(r"^  (\w+):", words, re.MULTILINE)) == set(REASONS.values())


def test_a_terminal_reads_a_summary_before_the_page() -> None:
    text = page()
    assert text.startswith("<!doctype html>\n<!--\nThis was served by netstack")
    assert text.endswith((FOLDER / "index.html").read_text().partition("\n")[2])
    for said in ("tap0", "192.0.2.1/24", "compiled", "ESTABLISHED", "2.34 ms", "64,512", "curl http://10.0.0.9:8/stats.json"):
        assert said in text
    assert page("text/plain").startswith("This was served by netstack")
    assert "<" not in page("text/plain", open=0)


def test_what_peers_are_called_cannot_leave_the_comment() -> None:
    text = page()
    inside, _, rest = text.partition("<!--")[2].partition("-->")
    assert "alert(1)" in inside
    assert "<" not in inside and ">" not in inside
    assert "alert" not in rest
    assert comment("a---b-->") == "<!--\na- - -b- -)-->\n"


def test_a_crowd_of_connections_is_counted_and_not_all_told() -> None:
    text = page(open=5000)
    assert "connections  5,000" in text
    assert "and 4,980 more" in text
    assert text.count("ESTABLISHED") == 20


def test_times_are_short_and_in_the_unit_that_fits() -> None:
    assert [uptime_text(n) for n in (0, 59, 200, 7300, 90000)] == ["0 s", "59 s", "3 min 20 s", "2 h 1 min", "1 d 1 h"]
    times = [round_trip_text(n) for n in (1, 1000, 999_400, 1_500_000, 999_900_000, 2_000_000_000)]
    assert times == ["under 1 µs", "1 µs", "999 µs", "1.5 ms", "999 ms", "2 s"]


def test_the_numbers_come_as_json_too() -> None:
    status, head, body = get(b"GET /stats.json HTTP/1.1\r\nHost: a\r\n\r\n")
    stats = json.loads(body)
    assert status == 200
    assert stats["requests"] == 1
    assert (stats["netif"], stats["addresses"], stats["build"]) == ("tap0", ["192.0.2.1/24"], "compiled")
    assert stats["counters"]["Http"]["Refused"] == 0
    assert stats["connections"][0]["note"] == "raw"
    assert stats["neighbours"] == [{"address": "192.0.2.2"}]
    assert b"Content-Type: application/json" in head


def test_without_a_page_there_are_no_frames_to_download() -> None:
    status, _, body = get(b"GET /capture.pcapng HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (status, body[:36]) == (409, b"409 Frames are kept while a page is ")


@pytest.mark.parametrize("path", ["/", "/events", "/events/connection", "/capture.pcapng", "/dashboard.js", "/stats.json"])
def test_what_is_read_cannot_be_written(path: str) -> None:
    assert get(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())[0] == 405


def test_bytes_are_the_same_each_time_and_have_no_short_period() -> None:
    status, head, body = get(b"GET /bytes/3000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (status, len(body)) == (200, 3_000_000)
    assert b"Content-Length: 3000000" in head
    assert b"Netstack-Client: 192.0.2.2:50000" in head
    assert hashlib.sha256(body).hexdigest() == "bdabd0205d42a7c1936de2b24be5dbe9673aed276300ee56da5cb1bc014ccedb"
    assert body[:65536] != body[65536:131072]
    assert body[1_048_573 : 2 * 1_048_573] == body[:1_048_573]
    assert fixed_bytes(1_048_570, 1_048_580) == body[1_048_570:1_048_580]
    assert FixedBytes(7).length == 7
    for number in (b"x", b"-1", b"", b"99999999999999", b"1/2", b"%d9%a1"):
        assert get(b"GET /bytes/" + number + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 404
    assert get(b"GET /bytes/0 HTTP/1.1\r\nHost: a\r\n\r\n")[::2] == (200, b"")


def test_what_is_uploaded_is_summed_as_it_comes() -> None:
    body = bytes(range(256)) * 1000
    for method in (b"POST", b"PUT"):
        request = method + b" /sha256 HTTP/1.1\r\nHost: a\r\nContent-Length: 256000\r\n\r\n"
        assert get(request, body)[2].decode().strip() == hashlib.sha256(body).hexdigest()
    status, head, _ = get(b"GET /sha256 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status == 405
    assert b"Allow: POST, PUT" in head


def test_echo_sends_chunks_while_the_body_comes() -> None:
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n"
    _, head, rest = get(request, b"abc", b"def")
    assert head == b"HTTP/1.1 100 Continue"
    head, _, body = rest.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    assert get(b"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n")[2] == b"0\r\n\r\n"


def test_an_echo_whose_request_breaks_is_cut_and_nobody_here_is_blamed() -> None:
    stack, server = site()
    stream = stack.client(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"x\r\n", b"")
    assert stream.aborted
    assert (server.mib.HandlerErrors, server.mib.Refused) == (0, 1)


def test_other_paths_are_not_found() -> None:
    assert get(b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 404
    assert get(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 405
