"""The page and the picture: whole, escaped, bounded; and the command that makes them."""

from __future__ import annotations

import html.parser
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netstack
from netstack import cli, pcap
from netstack.errors import WireError
from netstack.explaining import page, series
from netstack.explaining.gather import Gathered, gather
from netstack.explaining.shapes import diagrams, plain, thin
from netstack.instant import MILLISECOND, SECOND
from netstack.pcap import PcapWriter
from netstack.testing.net import Endpoint, World

VOID = frozenset(("meta", "path", "rect"))


class Checker(html.parser.HTMLParser):
    """Tags that match, and nothing from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert (not name.startswith("on") and name not in ("src", "style")) or tag == "span"
            if name == "id":
                assert value not in self.ids
                self.ids.add(value or "")
            if name == "href":
                assert value is not None and value.startswith("#")
                self.links.add(value[1:])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1] in ("p", "li") and tag != self.open[-1]:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def lesson(path: Path, n: int = 200_000, loss: float = 0.03) -> Path:
    world = World(seed=4, loss=loss, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint(b"y" * 20_000)
    b.listen(80, lambda: server)
    with netstack.trace(a, to=path):
        a.connect(b, 80, Endpoint(b"x" * n))
        a.connect(b, 81, Endpoint())
        world.rest(20 * SECOND)
    return path


@pytest.fixture(scope="module")
def capture(tmp_path_factory: Any) -> Path:
    return lesson(tmp_path_factory.mktemp("explain") / "lesson.pcapng")


def check(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert not checker.open and checker.links <= checker.ids
    return checker


def test_a_page_is_whole_and_needs_nothing_else(capture: Path) -> None:
    text = "".join(page.html(gather(capture), "lesson.pcapng"))
    checker = check(text)
    for words in (
        "What the client sent",
        "Round trips of the client's data",
        "bytes in flight",
        "Throughput",
        "sent data again",
        "refused",
    ):
        assert words in checker.words
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert len(text) < 400_000


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.pcap", '"><img src=x onerror=alert(1)>', "a&b\x00\u202e.pcap"])
def test_nothing_of_a_capture_becomes_markup(capture: Path, name: str) -> None:
    found = gather(capture)
    found.trouble = name
    found.others[name] = 3
    text = "".join(page.html(found, name))
    check(text)
    assert "<script>alert" not in text and "<img" not in text
    picture = "".join(page.svg(found.talks[0], name.replace("\x00", "")))
    assert "<script" not in picture and "<img" not in picture


def test_a_picture_of_one_connection_is_lawful_svg(capture: Path) -> None:
    root = ET.fromstring("".join(page.svg(gather(capture).talks[0], "lesson.pcapng")))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join("".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "What the client sent" in words and "acknowledged by the server" in words


def test_diagrams_are_bounded_however_long_the_capture() -> None:
    found = Gathered()
    blocks: list[bytes] = []
    writer = PcapWriter(blocks.append, pcap.RAW)
    ends = b"\x0a\0\0\1\x0a\0\0\2"
    for i in range(12_000):
        seq = (1 + 1000 * i if i % 2 else 1 + 1000 * max(i - 1, 0)).to_bytes(4, "big")
        tcp = b"\x9c\x40\0\x50" + seq + b"\0\0\0\1\x50\x10\xff\xff\0\0\0\0"
        writer.packet(i * 10_000, b"\x45\0\x04\x10\0\0\0\0\x40\x06\0\0" + ends + tcp + bytes(1000))
        ack = b"\0\x50\x9c\x40\0\0\0\1" + (1 + 1000 * i).to_bytes(4, "big") + b"\x50\x10\xff\xff\0\0\0\0"
        writer.packet(i * 10_000 + 5000, b"\x45\0\0\x28\0\0\0\0\x40\x06\0\0" + ends[4:] + ends[:4] + ack)
    found = gather(io.BytesIO(b"".join(blocks)))
    (talk,) = found.talks
    assert len(talk.out.runs.lines) <= series.RUNS and len(talk.out.marks.all) <= series.MARKS
    assert talk.out.again() > series.MARKS, "all are counted"
    assert sum(len(shape.path) for d in diagrams(talk) for shape in d.shapes) < 400_000


def test_the_last_of_a_curve_and_its_extremes_survive_thinning() -> None:
    curve, steps, runs = series.Curve(), series.Steps(), series.Runs()
    for i in range(50_000):
        curve.add(i, i % 1000)
        steps.add(i, i)
        runs.add(i, 10 * i, 10 * i + 10)
    assert len(curve.points) <= series.POINTS and len(steps.points) <= series.POINTS and len(runs.lines) <= series.RUNS
    assert max(high for _, _, high in curve.points) == 999 and min(low for _, low, _ in curve.points) == 0
    assert steps.points[-1][1] == 49_999 and runs.lines[-1][3] == 500_000
    assert (runs.lines[0][1], sum(b - a for _, a, _, b in runs.lines)) == (0, 500_000), "no byte is lost between them"


def test_lines_in_one_column_become_one() -> None:
    assert thin([(1, 10, 1, 9), (1.1, 9, 1.1, 8), (5, 8, 5, 7)]) == [(1, 10, 1.1, 8), (5, 8, 5, 7)]


@pytest.mark.parametrize("text, said", [("1.00 s", "1 s"), ("0 µs", "0"), ("1.5 MB", "1.5 MB"), ("100 ms", "100 ms")])
def test_labels_of_axes_are_short(text: str, said: str) -> None:
    assert plain(text) == said


NUMBERS = st.integers(0, 2**32 - 1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 63), NUMBERS, NUMBERS, st.binary(max_size=60), NUMBERS), max_size=20))
def test_any_segments_are_explained_or_left_out(segments: list[tuple[bool, int, int, int, bytes, int]]) -> None:
    blocks: list[bytes] = []
    writer = PcapWriter(blocks.append, pcap.RAW)
    for way, flags, seq, ack, text, time in segments:
        ports = b"\x9c\x40\0\x50" if way else b"\0\x50\x9c\x40"
        offset = 0x5000 + (min(len(text) // 4, 10) << 12)
        tcp = (
            ports + seq.to_bytes(4, "big") + ack.to_bytes(4, "big") + (offset | flags).to_bytes(2, "big") + b"\x10\0\0\0\0\0" + text
        )
        ends = b"\x0a\0\0\1\x0a\0\0\2"
        total = (20 + len(tcp)).to_bytes(2, "big")
        writer.packet(
            time % 2**31 * 10**9, b"\x45\0" + total + b"\0\0\0\0\x40\x06\0\0" + (ends if way else ends[4:] + ends[:4]) + tcp
        )
    try:
        found = gather(io.BytesIO(b"".join(blocks)))
    except WireError:
        return
    text_ = "".join(page.html(found, "x"))
    check(text_)
    assert "nan" not in text_.split("<main>")[1].split("<footer>")[0]
    for talk in found.talks:
        ET.fromstring("".join(page.svg(talk, "x")))


# -- the command ------------------------------------------------------------------------------------------------------------------


def test_the_command_writes_a_page_a_picture_or_words(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", str(capture)]) == 0
    check((tmp_path / "lesson.html").read_text("utf-8"))
    assert "lesson.html: 2 connections" in capsys.readouterr().err
    assert cli.main(["explain", str(capture), "-o", "two.svg", "--connection", "2"]) == 0
    assert ":81" in (tmp_path / "two.svg").read_text("utf-8")
    assert cli.main(["explain", str(capture), "-o", "-"]) == 0
    assert "! The client sent data again." in capsys.readouterr().out


@pytest.mark.parametrize("arguments, status, words", [
    (["{}", "-o", "x.pdf"], 2, "ends in .html or .svg"),
    (["{}", "-c", "9"], 2, "there is no connection 9"),
    (["/nowhere.pcap"], 1, "No such file"),
    ([__file__], 1, "neither pcapng nor pcap"),
])  # fmt: skip
def test_mistakes_of_the_command_are_one_sentence(
    arguments: list[str], status: int, words: str, capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", *(each.format(capture) for each in arguments)]) == status
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
