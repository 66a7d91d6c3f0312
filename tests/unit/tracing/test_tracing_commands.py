"""--trace on the command line."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import pytest

import netstack
from netstack import cli
from netstack.cli.options import Traced, add_net_options, open_net
from netstack.errors import UsageError
from netstack.testing.wire import Wire


def test_a_traced_net_is_traced_to_its_last_segment(tmp_path: Path) -> None:
    async def main() -> None:
        wire = Wire()
        async with (
            netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as a,
            Traced(netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]), str(tmp_path / "b.txt")) as b,
        ):
            server = await a.start_server(lambda reader, writer: writer.close(), port=80)
            reader, writer = await b.open_connection("10.0.0.1", 80)
            assert await reader.read() == b""
            writer.close()
            server.close()

    asyncio.run(main())
    text = (tmp_path / "b.txt").read_text("utf-8")
    assert "CLOSED→SYN-SENT: active OPEN, send SYN" in text and "CLOSE-WAIT→LAST-ACK" in text


def test_the_option_is_there_and_costs_nothing_unless_it_is_used() -> None:
    parser = argparse.ArgumentParser()
    add_net_options(parser)
    assert not isinstance(open_net(parser.parse_args(["--netif", "loopback:"])), Traced)
    assert isinstance(open_net(parser.parse_args(["--netif", "loopback:", "--trace", "-"])), Traced)


def test_a_net_whose_trace_cannot_be_written_is_closed_again(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match="ends in"):
            async with Traced(netstack.open(Wire().port("a"), addresses=["10.0.0.1/24"]), "x.doc"):
                raise AssertionError("not reached")

    asyncio.run(main())


def test_a_program_is_run_and_traced(tmp_path: Path, capsys: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text("import asyncio\nasync def main(): print('ran')\nasyncio.run(main())\n")
    path = tmp_path / "t.json"
    assert cli.main(["run", "--net", "loopback:", "--trace", str(path), str(program)]) == 0
    assert capsys.readouterr().out == "ran\n" and path.read_text() == "[]\n"
    assert cli.main(["run", "--net", "loopback:", "--trace", "t.doc", str(program)]) == 2
    assert "ends in .txt" in capsys.readouterr().err
