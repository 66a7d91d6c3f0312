"""The demo page: what it says, what it escapes, and the paths for trying a stack."""

import hashlib
import json
import re
from html.parser import HTMLParser

from http_world import ScriptedStack, serve

from netstack.http.dashboard.page import DemoPage, FixedBytes, fixed_bytes
from netstack.http.dashboard.page_html import round_trip_text, uptime_text
from netstack.http.mib import HttpMib
from netstack.http.serve.server import HttpServer

ZERO_CELL = '<td class="n">0</td>'
EVIL = "</script><script>alert(1)</script>"


class FakeStatus:
    def __init__(self, open: int = 1) -> None:
        self.mib = HttpMib()
        self.open = open

    def addresses(self) -> list[str]:
        return ["192.0.2.1/24"]

    def counters(self) -> dict[str, dict[str, int]]:
        return {"http": self.mib.snapshot(), EVIL: {EVIL: 1234567}}

    def meanings(self) -> dict[str, dict[str, str]]:
        return {"http": HttpMib.MEANING}

    def connections(self) -> list[dict[str, object]]:
        row = {"remote": f"192.0.2.2:{EVIL}", "state": "ESTABLISHED", "srtt": 2_340_000, "cwnd": -1, "snd_wnd": 64512}
        return [row | {"note": "raw"}] * self.open


def site(open: int = 1) -> tuple[ScriptedStack, HttpServer[ScriptedStack]]:
    status = FakeStatus(open)
    clock = ScriptedStack().clock
    return serve(DemoPage(status, clock=clock, netif="tap0", build="compiled"))


def get(request: bytes, *more: bytes) -> tuple[int, bytes, bytes]:
    stack, _ = site()
    head, _, body = stack.client(request, *more, b"").sent.partition(b"\r\n\r\n")
    return int(head[9:12]), head, body


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    status, head, body = get(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    text = body.decode()
    assert status == 200
    assert b"Content-Security-Policy: default-src 'none'" in head
    for said in ("netstack", "tap0", "192.0.2.1/24", "compiled", "ESTABLISHED", "1,234,567", HttpMib.MEANING["Lingered"]):
        assert said in text
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)

    class Balance(HTMLParser):
        open: list[str] = []
        scripts = 0

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "link", "br", "input"):
                self.open.append(tag)
            self.scripts += tag == "script"

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert parser.scripts == 1, "a name broke out of its place"


def page(open: int = 1) -> str:
    stack, _ = site(open)
    return stack.client(b"GET / HTTP/1.1\r\nHost: 10.0.0.9:8\r\n\r\n", b"").sent.partition(b"\r\n\r\n")[2].decode()


def test_connections_are_written_for_people_and_what_is_not_drawn_stays_in_the_json() -> None:
    text = page()
    assert "<td>ESTABLISHED</td>" in text
    assert [re.sub("<.*?>", "", cell) for cell in re.findall('<td class="n">.*?</td>', text)][:3] == ["2.34 ms", "-", "64,512"]
    assert "raw" not in text
    assert "None at this moment." in page(open=0)


def test_a_crowd_of_connections_is_counted_and_not_all_drawn() -> None:
    text = page(open=5000)
    assert "5,000, of which 100 are shown" in text
    assert text.count("ESTABLISHED") == 100


def test_counters_of_0_can_be_hidden_and_a_group_of_nothing_else_too() -> None:
    text = page()
    assert f'<tbody class="zero"><tr><th colspan="3" scope="rowgroup">http</th></tr><tr class="zero">{ZERO_CELL}' in text
    assert '<tbody><tr><th colspan="3" scope="rowgroup">&lt;/script&gt;' in text


def test_what_to_try_names_the_host_that_was_asked_for() -> None:
    assert "curl -T million http://10.0.0.9:8/sha256" in page()


def test_times_are_short_and_in_the_unit_that_fits() -> None:
    assert [uptime_text(n) for n in (0, 59, 200, 7300, 90000)] == ["0 s", "59 s", "3 min 20 s", "2 h 1 min", "1 d 1 h"]
    times = [round_trip_text(n) for n in (1, 1000, 999_400, 1_500_000, 999_900_000, 2_000_000_000)]
    assert times == ["under 1 µs", "1 µs", "999 µs", "1.5 ms", "999 ms", "2 s"]


def test_the_numbers_come_as_json_too() -> None:
    status, head, body = get(b"GET /stats.json HTTP/1.1\r\nHost: a\r\n\r\n")
    stats = json.loads(body)
    assert status == 200
    assert stats["requests"] == 1
    assert stats["counters"]["http"]["Refused"] == 0
    assert stats["connections"][0]["note"] == "raw"
    assert b"Content-Type: application/json" in head


def test_bytes_are_the_same_each_time_and_have_no_short_period() -> None:
    status, head, body = get(b"GET /bytes/3000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (status, len(body)) == (200, 3_000_000)
    assert b"Content-Length: 3000000" in head
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
