"""h2load, and what it says as one line of JSON: `h2load.py HOST PORT SECONDS`. Eight connections of 32 requests at once."""

import json
import re
import subprocess
import sys


def load(host: str, port: str, seconds: float) -> dict[str, float]:
    """Requests a second; a request that failed fails the measurement."""
    words = ["h2load", "-c", "8", "-m", "32", "-D", str(max(round(seconds), 1)), f"http://{host}:{port}/"]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"([0-9.]+) req/s", out)
    failed = re.search(r"([0-9]+) failed", out)
    assert rate and failed and failed[1] == "0", out
    return {"per_second": float(rate[1])}


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
