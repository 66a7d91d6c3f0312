"""`netstack-tap ctl` and `top`, against a control socket."""

import argparse
import asyncio
import json
import os
import pty
import select
import sys

import pytest
from control_lab import free_port, lab

from netstack.address import Ip4
from netstack.cli.tapping import ctl, top
from netstack.cli.tapping.asking import Refusal, shown, size
from netstack.errors import UsageError
from netstack.pcap import Decoder
from netstack.router.flow import Flow


def words(module, *said):
    parser = argparse.ArgumentParser()
    module.configure(parser)
    return parser.parse_args(said)


class Talk:
    def __init__(self, lab, capsys):
        self.lab, self.capsys = lab, capsys

    async def __call__(self, *said):
        await ctl.talk(words(ctl, "-s", self.lab.path, *said))
        return self.capsys.readouterr().out


def with_talk(test):
    def run(capsys):
        @lab
        async def body(lab):
            await test(Talk(lab, capsys))

        body()

    run.__name__ = test.__name__
    return run


@with_talk
async def test_forwards_are_added_shown_and_removed(talk):
    port = free_port()
    assert await talk("forward", f"{port}:22") == "1\n"
    assert await talk("-u", "out", "53:5353") == "2\n"
    table = (await talk("forwards")).splitlines()
    assert table[0].split() == ["ID", "PROTO", "FROM", "TO", "OPEN", "ACCEPTED"]
    assert table[1].split() == ["1", "tcp", f"127.0.0.1:{port}", "10.0.2.100:22", "0", "0"]
    assert table[2].split() == ["2", "udp", "10.0.2.2:53", "127.0.0.1:5353", "0", "0"]
    await talk("remove", "1")
    assert len(json.loads(await talk("-j", "forwards"))) == 1
    with pytest.raises(Refusal, match="There is no forward 1"):
        await talk("remove", "1")
    with pytest.raises(Refusal, match="is not a forward"):
        await talk("forward", "x:y:z")


@with_talk
async def test_everything_else_is_shown(talk):
    assert (await talk("flows")).splitlines()[1].split()[:4] == ["tcp", "10.0.2.100:40000", "192.0.2.1:443", "new"]
    assert (await talk("leases")).startswith("ADDRESS")
    await talk("name", "db.internal", "10.0.2.15")
    assert "db.internal." in await talk("zones")
    assert "netstack_Tcp_InSegs 0" in await talk("metrics")
    assert json.loads(await talk("stats"))["BytesSent"] == 0
    assert await talk("cam") == "{}\n"
    await talk("allow", "*.example")
    assert (await talk("policy")).splitlines()[0] == "  0  allow *.example"
    assert json.loads(await talk("get", "/leases")) == {}


@with_talk
async def test_frames_go_to_a_file(talk):
    path = f"{os.path.dirname(talk.lab.path)}/x.pcapng"
    await talk("pcap", path, "--live", "0.2")
    with open(path, "rb") as file:
        Decoder().feed(file.read())
    with pytest.raises(Refusal, match="No frames are kept"):
        await talk("pcap", path)


@with_talk
async def test_a_trace_goes_to_standard_output(talk):
    assert isinstance(json.loads(await talk("trace", "--seconds", "0.1")), list)
    assert (await talk("trace", "--seconds", "0.1", "--text")).startswith("# seconds host > peer what | why")


@with_talk
async def test_mistakes_are_one_sentence(talk):
    for said in (("nonsense",), ("forward",), ("flows", "x"), ("remove", "x"), ("get", "x")):
        with pytest.raises(UsageError):
            await talk(*said)


def test_a_router_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("NETSTACK_TAP_CONTROL", raising=False)
    with pytest.raises(OSError, match="is the router running"):
        ctl.run(words(ctl, "-s", str(tmp_path / "none"), "flows"))
    with pytest.raises(UsageError, match="which router"):
        ctl.run(words(ctl, "flows"))


# -- top ---------------------------------------------------------------------------------------------------------------------


def row(number, **said):
    return {
        "id": f"f{number}", "proto": "tcp", "src": "10.0.2.100", "src_port": 40000 + number, "dst": f"192.0.2.{number}",
        "dst_port": 443, "guest": "", "name": f"n{number}.example", "state": "open", "inbound": False, "age": 10.0, "idle": 1.0,
        "sent": 0, "received": 0, "note": "", "limit": None,
    } | said  # fmt: skip


def picture(time, *rows):
    return {"time": time, "total": len(rows), "kinds": {"tcp open": len(rows)}, "flows": list(rows)}


def test_rates_are_what_changed_between_two_pictures():
    view = top.View()
    (first,) = view.feed(picture(100.0, row(1, sent=1000, received=5000)))["flows"]
    assert (first["up"], first["down"]) == (100.0, 500.0)  # since it began, ten seconds ago
    (second,) = view.feed(picture(102.0, row(1, sent=3000, received=5000)))["flows"]
    assert (second["up"], second["down"]) == (1000.0, 0.0)
    (again,) = view.feed(picture(102.0, row(1, sent=1, received=1)))["flows"]
    assert (again["up"], again["down"]) == (0.0, 0.0)


def test_rows_are_sorted_and_summed_as_the_keys_say():
    view = top.View()
    view.feed(picture(10.0, row(1, sent=10, idle=3), row(2, sent=30, idle=1, src="10.0.2.101"), row(3, sent=20, state="over")))
    names = lambda: [each["name"] for each in view.rows()]  # noqa: E731
    assert names() == ["n2.example", "n1.example"]
    view.key("f")
    assert names() == ["n2.example", "n3.example", "n1.example"]
    view.key("r")
    assert names() == ["n1.example", "n3.example", "n2.example"]
    view.key("r")
    for order in ("bytes", "idle", "name", "to", "from", "rate"):
        view.key("s")
        assert view.order == order
        assert len(names()) == 3
    view.key("g")
    assert [(each["src"], each["count"], each["sent"]) for each in view.rows()] == [("10.0.2.100", 2, 30), ("10.0.2.101", 1, 30)]
    assert "2 flows" in view.lines(100, 10)[3]
    view.key("p")
    view.feed(picture(11.0))
    assert len(view.rows()) == 2
    view.key("p")
    view.feed(picture(12.0))
    assert view.rows() == []
    view.key("q")
    assert view.quit


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_nothing_moves_the_cursor_and_nothing_is_wider_than_the_terminal(width):
    view = top.View()
    view.feed(
        picture(
            10.0, row(1, name="\x1b]0;owned\x07" + "x" * 300), row(2, name="bücher.example\r\n"), *(row(i) for i in range(3, 90))
        )
    )
    lines = view.lines(width, 24)
    assert len(lines) == 24
    assert all(len(line) <= width and line.isprintable() for line in lines)


def test_text_from_elsewhere_is_made_harmless_and_sizes_are_short():
    assert shown("a\x1b[2Jb\nc", 5) == "a?[2~"
    assert [size(n) for n in (0, 999, 1000, 12_345, 1.5e6, 9e15)] == ["0 ", "999 ", "1.0k", "12k", "1.5M", "9000T"]


def test_pictures_are_printed_without_a_terminal(capsys):
    @lab
    async def body(lab):
        lab.flows.append(Flow("udp", Ip4.parse("10.0.2.100"), 5, Ip4.parse("192.0.2.2"), 53, lab.net.now()))
        await top.print_pictures(words(top, "-n", "1"), lab.path)
        text = capsys.readouterr().out
        assert "2 flows: 1 tcp new, 1 udp new" in text
        await top.print_pictures(words(top, "-j", "-n", "2", "-d", "0.1"), lab.path)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [len(line["flows"]) for line in lines] == [2, 2]
        assert lines[0]["flows"][0]["up"] == 0.0

    body()
    for bad in (("-d", "0"), ("-n", "0")):
        with pytest.raises(UsageError):
            top.run(words(top, "-s", "/x", *bad))


def test_a_terminal_shows_flows_until_q_and_is_as_before_afterwards(monkeypatch):
    import termios

    @lab
    async def body(lab):
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("LINES", "10")
        with os.fdopen(slave, "r+b", buffering=0) as raw, open(os.dup(raw.fileno()), "w") as out:
            monkeypatch.setattr(sys, "stdin", raw)
            monkeypatch.setattr(sys, "stdout", out)
            task = asyncio.ensure_future(top.live(words(top, "-d", "0.1"), lab.path))
            shown = ""
            while "192.0.2.1:443" not in shown:
                await asyncio.sleep(0.02)
                shown += os.read(master, 65536).decode() if select.select([master], [], [], 0)[0] else ""
            os.write(master, b"sq")
            await task
            monkeypatch.undo()
            assert termios.tcgetattr(raw.fileno()) == before
            shown += os.read(master, 65536).decode()
        os.close(master)
        assert shown.startswith("\x1b[?1049h")
        assert shown.endswith("\x1b[?1049l")

    body()
