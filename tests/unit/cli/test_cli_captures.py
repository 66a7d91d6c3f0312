"""`netstack streams` and `netstack capture`, on captures that are there."""

import json
from pathlib import Path

import pytest

from netstack.captures import read
from netstack.cli import main

PCAPS = Path(__file__).resolve().parents[3] / "pcaps"
LOSS = str(PCAPS / "linux-loss.pcap")
TCP = str(PCAPS / "linux-tcp.pcapng")


def test_streams_lists_connections_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["streams", LOSS, "-o", str(tmp_path / "out")]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("1 192.0.2.1:58210 -> 192.0.2.2:80  30000 up, 16 down in 0.0")
    assert line.endswith(" s, closed; up: 1448 bytes again, 5 segments out of order")
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(files["0001-192.0.2.1.58210-192.0.2.2.80"]) == 30_000
    assert files["0001-192.0.2.2.80-192.0.2.1.58210"] == b"got 30000 bytes\n"


def test_streams_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["streams", str(PCAPS / "linux-cooked2-cut.pcap")]) == 0
    assert "; up: 29496 bytes missing in 21 gaps, " in capsys.readouterr().out
    assert main(["streams", TCP, "-n", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["number"], found["opened"], found["closed"], found["up"]["length"]) == (2, "unanswered", "refused", 0)


def test_what_is_wrong_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(Path(LOSS).read_bytes() + b"\xff" * 16)
    assert main(["streams", str(broken)]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("1 192.0.2.1:58210") and "packet 55: a packet of " in said.err
    broken.write_bytes(Path(LOSS).read_bytes()[:-1])
    assert main(["streams", str(broken)]) == 0
    assert "ends in the middle" in capsys.readouterr().err
    assert main(["streams", LOSS, "-n", "9"]) == 2
    assert main(["streams", str(tmp_path / "none")]) == 1
    assert main(["capture", "-r", LOSS, "prot", "80"]) == 2
    assert main(["capture", "port", "80"]) == 2


def test_capture_sifts_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.pcapng"
    assert main(["capture", "-r", TCP, "-w", str(out), "port", "81", "or", "arp"]) == 0
    assert capsys.readouterr().out == f"4 of 40 packets written to {out}\n"
    before = {item.time: item for item in read(TCP)}
    after = list(read(out))
    assert [item.data for item in after] == [
        item.data for item in read(TCP) if b"\0\x51" in item.data[20:24] or item.data[:2] == b"\0\1"
    ]
    assert all(item.time in before and item.interface == before[item.time].interface for item in after)
    assert main(["capture", "-r", str(PCAPS / "linux-cooked.pcap"), "-c", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("192.0.2." in line or "ARP" in line or "datagram" in line for line in lines)


def test_capture_listens_at_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.pcapng"
    assert main(["capture", "--netif", f"pcap:{TCP}?speed=max", "-w", str(out), "tcp"]) == 0
    assert capsys.readouterr().out == f"38 of 40 packets written to {out}\n"
    assert [item.data for item in read(out)] == [item.data for item in read(TCP)][2:]
    assert main(["capture", "--netif", f"pcap:{TCP}?speed=max", "-c", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "ARP who has 192.0.2.2?" in line
