"""dnsperf, and what it measured as a JSON object: `dnsload.py HOST PORT QUERIES SECONDS`: four clients, 100 queries under way.

QUERIES is a file; `strangers`, names that are not there and that nobody has asked for before; or `wait`: until there is an answer.
"""

import json
import random
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.bench.peers.dnszone import ORIGIN

QUESTION = bytes.fromhex("0001 0000 0001 0000 0000 0000") + b"\5bench\4test\0" + bytes.fromhex("0006 0001")
MOST = 400_000  # a second: more than anybody answers


def wait(host: str, port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        while time.monotonic() < end:
            with suppress(OSError):
                sock.sendto(QUESTION, (host, port))
                if sock.recv(4096)[3] & 15 == 0:
                    return
            time.sleep(0.02)
    sys.exit("no answer")


def strangers(beside: Path, seconds: float) -> str:
    dice = random.Random()
    path = beside.with_name("strangers")
    with open(path, "w") as file:
        for _ in range(int(MOST * seconds)):
            file.write(f"x{dice.getrandbits(48):x}.{ORIGIN} A\n")
    return str(path)


def main(host: str, port: str, queries: str, seconds: str) -> None:
    if queries == "wait":
        wait(host, int(port), float(seconds))
        print("{}", flush=True)
        return
    if queries.endswith("strangers"):
        queries = strangers(Path(queries), float(seconds))
    command = ["dnsperf", "-s", host, "-p", port, "-d", queries, "-l", seconds, "-c", "4", "-q", "100", "-W"]
    said = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Queries per second:\s+([\d.]+)", said.stdout)
    if said.returncode or found is None:
        sys.exit(f"dnsperf: {(said.stderr or said.stdout).strip()[-300:]}")
    print(json.dumps({"per_second": float(found[1])}), flush=True)


main(*sys.argv[1:])
