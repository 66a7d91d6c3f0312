"""dnsperf, and what it measured as a JSON object: `dnsload.py HOST PORT QUERIES SECONDS`, four clients with 100 queries under way."""

import json
import re
import subprocess
import sys

host, port, queries, seconds = sys.argv[1:]
# -W: what it complains of goes where the rest is; -e is left out, as most of a row's servers have been measured
command = ["dnsperf", "-s", host, "-p", port, "-d", queries, "-l", seconds, "-c", "4", "-q", "100", "-W"]
said = subprocess.run(command, capture_output=True, text=True)
found = re.search(r"Queries per second:\s+([\d.]+)", said.stdout)
lost = re.search(r"Queries lost:\s+(\d+)", said.stdout)
if said.returncode or found is None or lost is None:
    sys.exit(f"dnsperf: {(said.stderr or said.stdout).strip()[-300:]}")
print(json.dumps({"per_second": float(found[1]), "lost": int(lost[1])}), flush=True)
