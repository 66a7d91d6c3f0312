"""The real kernel at the other end of a tap: what a user would try in the first hour.

NETSTACK_FULL=1 runs the sizes of the promise (200 MB files, a million SYNs); without it they are a tenth, so that the suite
stays quick.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import KERNEL, STACK, Lab, laboratory
from peers import NEVER_READS, SYN_FLOOD, VANISH

pytestmark = [pytest.mark.needs_tap, pytest.mark.timeout(600)]

FULL = bool(os.environ.get("NETSTACK_FULL"))
FILE_SIZE = (200 if FULL else 20) * 1000 * 1000
FAULTY_SIZE = (20 if FULL else 1) * 1000 * 1000
SYNS = 1_000_000 if FULL else 100_000
FAULTS = "loss=0.02,delay=10ms,reorder=0.02,duplicate=0.01,seed=7"
PAGE = "<h1>it works</h1>"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder to serve, with a big file in which no two blocks are alike."""
    root = tmp_path / "site"
    root.mkdir()
    block = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(31250))
    with (root / "big.bin").open("wb") as big:
        for i in range(FILE_SIZE // len(block)):
            big.write(i.to_bytes(8, "big") + block[8:])
    (root / "faulty.bin").write_bytes((root / "big.bin").read_bytes()[:FAULTY_SIZE])
    (root / "index.html").write_text(PAGE)
    return root


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def answers(lab: Lab) -> None:
    assert lab.run("curl", "-sS", "--max-time", "20", f"http://{STACK}/") == PAGE


@pytest.mark.needs("ping")
def test_a_thousand_pings_at_a_millisecond_are_all_answered(lab: Lab) -> None:
    with lab.service("smallservers"):
        out = lab.run("ping", "-n", "-q", "-c", "1000", "-i", "0.001", "-W", "2", STACK)
    assert " 0% packet loss" in out


@pytest.mark.needs("ping")
def test_pings_of_60000_bytes_cross_in_fragments_both_ways(lab: Lab) -> None:
    with lab.service("smallservers"):
        out = lab.run("ping", "-n", "-q", "-c", "20", "-i", "0.01", "-s", "60000", "-W", "2", STACK)
    assert " 0% packet loss" in out


@pytest.mark.parametrize("size", ["56", "60000"])
def test_our_own_ping_reaches_the_kernel(lab: Lab, size: str) -> None:
    words = ("ping", "--netif", "tap:tap0", "--address", f"{STACK}/24", "-c", "3", "-i", "0.05", "-s", size, KERNEL)
    assert "3 received" in lab.run(sys.executable, "-m", "netstack", *words)


@pytest.mark.needs("curl")
def test_a_big_file_crosses_both_ways_unharmed(lab: Lab, site: Path, tmp_path: Path) -> None:
    with lab.service("serve", "--root", str(site), "--upload"):
        lab.run("curl", "-sS", "-f", "-o", str(tmp_path / "down"), f"http://{STACK}/big.bin", timeout=300)
        assert digest(tmp_path / "down") == digest(site / "big.bin")
        lab.run("curl", "-sS", "-f", "-T", str(site / "big.bin"), f"http://{STACK}/up.bin", timeout=300)
        assert digest(site / "up.bin") == digest(site / "big.bin")


@pytest.mark.needs("curl")
def test_a_file_crosses_both_ways_through_loss_delay_reordering_and_duplication(lab: Lab, site: Path, tmp_path: Path) -> None:
    with lab.service("serve", "--root", str(site), "--upload", "--fault", FAULTS):
        lab.run("curl", "-sS", "-f", "-o", str(tmp_path / "down"), f"http://{STACK}/faulty.bin", timeout=500)
        assert digest(tmp_path / "down") == digest(site / "faulty.bin")
        lab.run("curl", "-sS", "-f", "-T", str(site / "faulty.bin"), f"http://{STACK}/up.bin", timeout=500)
        assert digest(site / "up.bin") == digest(site / "faulty.bin")


@pytest.mark.needs("curl")
@pytest.mark.parametrize("faults", ["", FAULTS], ids=["clean", "faulty"])
def test_two_hundred_clients_at_once_all_get_their_page(lab: Lab, site: Path, tmp_path: Path, faults: str) -> None:
    options = ("--fault", faults) if faults else ()
    with lab.service("serve", "--root", str(site), *options):
        command = ["curl", "-sS", "-f", "-Z", "--parallel-immediate", "--parallel-max", "200", "--max-time", "200"]
        for i in range(200):
            command += ["-o", str(tmp_path / f"page{i}"), f"http://{STACK}/index.html"]
        lab.run(*command, timeout=250)
    assert {(tmp_path / f"page{i}").read_text() for i in range(200)} == {PAGE}


@pytest.mark.needs("curl")
def test_peers_that_vanish_cost_bounded_memory_and_no_answers(lab: Lab, site: Path) -> None:
    with lab.service("serve", "--root", str(site)) as service:
        answers(lab)
        before = service.memory()
        lab.python(VANISH, STACK, "10.79.0.77")
        lab.wait(2)
        answers(lab)
        assert service.memory() - before < 40_000_000


@pytest.mark.needs("curl")
def test_peers_that_never_read_cost_bounded_memory_and_no_answers(lab: Lab, site: Path) -> None:
    with lab.service("serve", "--root", str(site)) as service:
        answers(lab)
        before = service.memory()
        lab.python(NEVER_READS, STACK)
        answers(lab)
        assert service.memory() - before < 60_000_000


@pytest.mark.needs("curl")
def test_a_syn_flood_leaves_the_server_answering_and_memory_as_before(lab: Lab, site: Path) -> None:
    with lab.service("serve", "--root", str(site)) as service:
        answers(lab)
        neighbour = lab.run("ip", "neigh", "show", STACK)
        found = re.search(r"lladdr (\S+)", neighbour)
        assert found, neighbour
        mine = lab.run("cat", "/sys/class/net/tap0/address").strip()
        before = service.memory()
        lab.python(SYN_FLOOD, str(SYNS), mine, found[1], timeout=300)
        lab.wait(1)
        answers(lab)
        assert service.memory() - before < 16_000_000


@pytest.mark.needs("nmap", "curl")
def test_a_port_scan_finds_our_ports_and_the_server_still_answers(lab: Lab, site: Path) -> None:
    with lab.service("serve", "--root", str(site)) as service:
        answers(lab)
        before = service.memory()
        for kind in ("-sS", "-sT", "-sF", "-sN", "-sX", "-sA"):
            out = lab.run("nmap", "-n", "-Pn", "-T5", "--max-retries", "1", kind, "-p", "1-1000", STACK, timeout=200)
            if kind in ("-sS", "-sT"):
                assert re.search(r"80/tcp +open", out), out
        lab.run("nmap", "-n", "-Pn", "-T5", "--max-retries", "1", "-sU", "-p", "1-50", STACK, timeout=200)
        answers(lab)
        assert service.memory() - before < 16_000_000
