"""Load by wrk, as a JSON object: `wrk.py load HOST PORT PATH SECONDS CONNECTIONS`; `wrk.py wait HOST PORT SECONDS` until somebody
listens there. Any answer but 2xx is a failure: what fails fast is not fast."""

import json
import re
import socket
import subprocess
import sys
import time

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
SIZES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}

what, host, port = sys.argv[1:4]
if what == "wait":
    end = time.monotonic() + float(sys.argv[4])
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            break
        except OSError:
            if time.monotonic() > end:
                sys.exit("nobody listens")
            time.sleep(0.02)
    print("{}")
    sys.exit()
path, seconds, connections = sys.argv[4:7]
url = f"http://{host}:{port}{path}"
# wrk takes whole seconds, and needs one to get under way
words = ["wrk", "-t", "1", "-c", connections, "-d", f"{max(1, round(float(seconds)))}s", url]
said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
rate = re.search(r"Requests/sec: *([0-9.]+)", said)
volume = re.search(r"Transfer/sec: *([0-9.]+)([KMG]?B)", said)
if rate is None or volume is None or "Non-2xx" in said or "Socket errors" in said:
    sys.exit(f"wrk: {' '.join(said.split())}")
print(json.dumps({"per_second": float(rate[1]), "gbit": float(volume[1]) * SIZES[volume[2]] * 8e-9}))
