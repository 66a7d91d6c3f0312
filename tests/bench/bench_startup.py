"""How long it takes until a program that imports netstack runs: the median of 15 fresh interpreters, less an empty one."""

import os
import statistics
import subprocess
import sys
import time

OPEN = "import netstack; netstack.open"
PROGRAMS = {
    "import netstack": "import netstack",
    "netstack.open, as built": OPEN,
    "netstack --version": "from netstack.cli import main; main(['--version'])",
}


def milliseconds(code: str, **environment: str) -> float:
    times = []
    for _ in range(15):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


empty = milliseconds("pass")
print(f"{'an empty program':45} {empty:7.1f} ms")
for name, code in PROGRAMS.items():
    print(f"{name:45} {milliseconds(code) - empty:+7.1f} ms")
print(f"{'netstack.open, pure':45} {milliseconds(OPEN, NETSTACK_PURE='1') - empty:+7.1f} ms")
