"""docs/replay.md, the README's example and the command do what they say."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from netstack.cli import main
from netstack.instant import MILLISECOND
from netstack.testing.endpoint import Endpoint
from netstack.testing.net import World

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs" / "replay.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With bug-1234.pcap: 10.1.1.9 says its name to port 4840 of 10.1.1.7, and is greeted."""
    world = World(delay=MILLISECOND)
    client, server = world.host("client", "10.1.1.9/16"), world.host("server", "10.1.1.7/16")
    link = world.link(client, server)
    file = io.BytesIO()
    link.capture(file)
    there = Endpoint(b"hello, world\n")
    server.listen(4840, lambda: there)
    here = client.connect(server, 4840, Endpoint(b"world\n"))
    world.run(until=lambda: here.is_closed and there.is_closed)
    (tmp_path / "bug-1234.pcap").write_bytes(file.getvalue())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # --app-dir goes there
    return tmp_path


def test_the_examples_run(folder, capsys):
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, "replay.md", "exec"), names)
    assert "as captured" in capsys.readouterr().out


def test_the_command_says_what_differs_and_by_its_status_whether(folder, capsys):
    assert main(["replay", "bug-1234.pcap", "--as", "10.1.1.7", "--order", "reversed", "--duplicate", "1", "--cut", "2"]) == 0
    assert "as captured" in capsys.readouterr().out
    (folder / "greeter.py").write_text("async def app(scope, receive, send): ...\n")
    assert main(["replay", "bug-1234.pcap", "--as", "10.1.1.7", "--serve", "greeter:app", "--app-dir", str(folder), "-j"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["mismatches"][0]["kind"] == "differs" and report["mismatches"][0]["offset"] == 0
    for words, says in (
        (["bug-1234.pcap"], "which host are we?"),
        (["bug-1234.pcap", "--as", "10.1.1.8"], "10.1.1.8 is not in this capture"),
        (["greeter.py", "--as", "10.1.1.7"], "greeter.py can't be read: packet 1: "),
        (["bug-1234.pcap", "--as", "10.1.1.7", "--speed", "fast"], "--speed fast is not possible"),
        (["bug-1234.pcap", "--as", "10.1.1.7", "--port", "80"], "--port says where --serve serves"),
        (["bug-1234.pcap", "--as", "10.1.1.9", "--serve", "greeter:app", "--app-dir", str(folder)], "there is nothing to serve"),
    ):
        assert main(["replay", *words]) == 2
        assert says in capsys.readouterr().err


def test_an_application_that_answers_as_captured_passes_whatever_its_date(folder, capsys):
    answer = b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"
    world = World(delay=MILLISECOND)
    client, server = world.host("client", "10.1.1.9/16"), world.host("server", "10.1.1.7/16")
    file = io.BytesIO()
    world.link(client, server).capture(file)
    there = Endpoint(answer, close=False)
    server.listen(80, lambda: there)
    here = client.connect(server, 80, Endpoint(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", close=False))
    world.run(until=lambda: len(here.received) == len(there.payload))
    (folder / "http.pcap").write_bytes(file.getvalue())
    (folder / "answering.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] != 'http':\n        return\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'2')]})\n"
        "    await send({'type': 'http.response.body', 'body': b'ok'})\n"
    )
    status = main(["replay", "http.pcap", "--as", "10.1.1.7", "--serve", "answering:app", "--app-dir", str(folder)])
    assert status == 0, capsys.readouterr()


def test_every_command_line_of_the_page_parses():
    from netstack.cli import build_parser

    lines = re.findall(r"^ {4}netstack (.+?)(?: +#.*)?$", DOCS, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        build_parser("replay").parse_args(line.split())
