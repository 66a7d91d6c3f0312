"""Two kernels with a router between them that translates: ours on two taps, or a third kernel's with nft on two veths."""

from __future__ import annotations

import shutil
import subprocess
import sys

from .entrants import Job
from .measure import Entrant, Run
from .place import READY, Absent, Failed, Lab, Namespace

LAN, INSIDE = "10.81.0.1", "10.81.0.2"
WAN, WORLD = "10.82.0.1", "10.82.0.2"
RULES = 'table ip nat {\n chain post {\n type nat hook postrouting priority 100\n oifname "wan0" masquerade\n }\n}\n'


def set_up(inside: Namespace, world: Namespace, lan: str, wan: str) -> None:
    inside.ip("address", "add", f"{INSIDE}/24", "dev", lan)
    inside.ip("link", "set", lan, "up")
    inside.ip("route", "add", "default", "via", LAN)
    world.ip("address", "add", f"{WORLD}/24", "dev", wan)
    world.ip("link", "set", wan, "up")


def routed_ours(name: str, job: Job, kind: str) -> Entrant:
    """server.c in the world, and `netstack-tap route --nat` on the way."""

    def enter(lab: Lab) -> Run:
        inside, middle, world = lab.namespace(), lab.namespace(), lab.namespace()
        lan = f"lan=tap:lan0?address={LAN}/24&up=no"
        wan = f"wan=tap:wan0?address={WAN}/24&gateway={WORLD}&up=no"
        words = [sys.executable, "-m", "netstack.cli.tapping.route", lan, wan, "--nat", "-j"]
        router = lab.start(words, middle, environment={"NETSTACK_PURE": "0"}, ready=None)
        if not router.answer(READY).get("ready"):
            raise Failed("the router did not begin")
        middle.ip("link", "set", "lan0", "netns", inside.path)
        middle.ip("link", "set", "wan0", "netns", world.path)
        set_up(inside, world, "lan0", "wan0")
        lab.start([str(lab.programs / "server"), kind, str(job.port)], world)
        return job.ask(lab, inside, WORLD)

    return Entrant(name, enter, own=True)


def routed_kernel(name: str, job: Job, kind: str) -> Entrant:
    """The same with the kernel's forwarding and masquerade."""

    def enter(lab: Lab) -> Run:
        if shutil.which("nft") is None:
            raise Absent("nft (apt-get install nftables)")
        inside, middle, world = lab.namespace(), lab.namespace(), lab.namespace()
        for device, far, address in (("lan0", inside, LAN), ("wan0", world, WAN)):
            middle.ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", far.path)
            middle.ip("address", "add", f"{address}/24", "dev", device)
            middle.ip("link", "set", device, "up")
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward && nft -f -"
        done = subprocess.run(["sh", "-c", forward], input=RULES, preexec_fn=middle.enter, capture_output=True, text=True)
        if done.returncode:
            raise Absent(f"a kernel that translates: {done.stderr.strip().splitlines()[0]}")
        set_up(inside, world, "eth0", "eth0")
        lab.start([str(lab.programs / "server"), kind, str(job.port)], world)
        return job.ask(lab, inside, WORLD)

    return Entrant(name, enter)
