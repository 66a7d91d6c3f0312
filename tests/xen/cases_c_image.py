"""An image of `netstack image --target xen`, started by xl from the page that it wrote: examples/appliance.py as process 1 of a PV
guest, on a netfront of ours, and domain 0's kernel as its client.
"""

import re
import socket
import subprocess
import urllib.request
from pathlib import Path

from .harness import Bench, lasting, say, until

FOLDER = Path("/guest/appliance")  # where run.py has put it
NAME = "appliance"
ADDRESS, KERNELS = "10.97.0.2", "10.97.0.1"
CONSOLE = Path(f"/var/log/xen/console/guest-{NAME}.log")
QUESTION = bytes.fromhex("00070100000100000000000009") + b"appliance\x04test\0\0\1\0\1"
HOTPLUG = f"""#!/bin/sh
[ "$1" = online ] || exit 0
ip addr add {KERNELS}/24 dev $vif; ip link set $vif up
xenstore-write $XENBUS_PATH/hotplug-status connected
"""


def said() -> str:
    return CONSOLE.read_text(errors="replace").replace("\r", "") if CONSOLE.exists() else ""


def domid() -> str:
    return subprocess.run(["xl", "domid", NAME], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


@lasting(280)
def an_image_is_a_guest_that_serves_http_and_dns(bench: Bench) -> None:
    script = Path("/etc/xen/image-up")
    script.write_text(HOTPLUG)
    script.chmod(0o755)
    page = (FOLDER / f"{NAME}.cfg").read_text()
    page = re.sub(r'(kernel|ramdisk) = "[^"]*/', rf'\1 = "{FOLDER}/', page)
    page = page.replace('vif = [ "" ]', f'vif = [ "mac=00:16:3e:00:00:78,script={script}" ]')
    page = page.replace('cmdline = "', f'cmdline = "netstack.ip={ADDRESS}/24 netstack.boot=timed ')
    Path("/run/appliance.cfg").write_text(page)
    if b"xenconsoled" not in subprocess.run(["ps"], stdout=subprocess.PIPE).stdout:
        bench.shell("xenconsoled --log=guest --log-dir=/var/log/xen/console")
    bench.shell("xl create /run/appliance.cfg")
    try:
        until(lambda: "appliance: http port 80" in said(), "the image serves", 200)
        with urllib.request.urlopen(f"http://{ADDRESS}/", timeout=20) as answer:
            assert answer.read() == b"<h1>A machine of its own</h1>\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(10)
            udp.sendto(QUESTION, (ADDRESS, 53))
            words = udp.recv(512)
        assert words[:4] == b"\0\7\x84\0" and words[-4:] == socket.inet_aton(ADDRESS), words
        bench.shell(f"ping -c 2 -i 0.2 -s 3000 -W 3 {ADDRESS}")
        subprocess.run(["xl", "shutdown", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        until(lambda: not domid(), "the image ends when it is told to", 30)
        assert "has ended with status 143" in said(), said()[-1000:]
        say(*re.findall(r"netstack: ([\d.]+ \w+)\n", said()))
    except BaseException:
        say(said()[-4000:] or "the image has said nothing")
        raise
    finally:
        subprocess.run(["xl", "destroy", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
