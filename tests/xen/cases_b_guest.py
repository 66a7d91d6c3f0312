"""A guest whose only network is ours, and domain 0's kernel as its client; then the two without any network, by vchan.

The guest is made of what this domain was started from, and boots while the cases before these run.
"""

import asyncio
import hashlib
import os
import socket
import stat
import struct
import subprocess
import threading
import urllib.request
from pathlib import Path

import netstack
from netstack.http import HttpClient

from . import guest
from .archive import Archive
from .harness import Bench, lasting, say, until

KERNELS = "10.98.0.1"
CONFIGURATION = """
name = "guest"
type = "pv"
kernel = "/guest/vmlinuz"
ramdisk = "/run/guest.cpio"
cmdline = "console=hvc0 quiet loglevel=4 panic=1"
memory = 320
vcpus = 1
vif = ["mac=00:16:3e:00:00:77,script=/etc/xen/vif-up"]
on_poweroff = "destroy"
on_crash = "destroy"
"""
HOTPLUG = f"""#!/bin/sh
[ "$1" = online ] || exit 0
ip addr add {KERNELS}/24 dev $vif; ip link set $vif up
xenstore-write $XENBUS_PATH/hotplug-status connected
"""
CONSOLE = Path("/var/log/xen/console/guest-guest.log")


def pack(archive: Archive) -> bytes:
    """The files of this domain, but what it has mounted, and what only domain 0 needs."""
    for top in ("init", "bin", "sbin", "lib", "lib64", "usr", "etc", "modules", "payload", "root", "var"):
        for folder, folders, files in os.walk(f"/{top}") if Path(f"/{top}").is_dir() and not Path(f"/{top}").is_symlink() else ():
            for name in (*files, *(each for each in folders if Path(folder, each).is_symlink())):
                add(archive, Path(folder, name))
        if not Path(f"/{top}").is_dir() or Path(f"/{top}").is_symlink():
            archive.entries[top] = (os.lstat(f"/{top}").st_mode, contents(Path(f"/{top}")))
    for name in ("proc", "sys", "dev", "tmp", "run/lock"):
        archive.folder(name)
    return archive.pack()


def add(archive: Archive, path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        archive.link(str(path), os.readlink(path))
    elif stat.S_ISREG(mode):
        archive.file(str(path), path.read_bytes(), mode & 0o777)


def contents(path: Path) -> bytes:
    return os.readlink(path).encode() if path.is_symlink() else path.read_bytes()


class Guest:
    def __init__(self) -> None:
        self._created = threading.Event()
        self._failure = "it was never started"
        self.domid = -1

    def prepare(self) -> None:
        """Begin to start it, beside what else is done."""
        threading.Thread(target=self._create, daemon=True).start()

    def _create(self) -> None:
        try:
            Path("/run/guest.cpio").write_bytes(pack(Archive()))
            Path("/run/guest.cfg").write_text(CONFIGURATION)
            script = Path("/etc/xen/vif-up")
            script.write_text(HOTPLUG)
            script.chmod(0o755)
            command = "xenconsoled --log=guest --log-dir=/var/log/xen/console && xl create /run/guest.cfg && rm /run/guest.cpio"
            done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self._failure = done.stdout if done.returncode else ""
            if not done.returncode:
                self.domid = int(subprocess.run(["xl", "domid", "guest"], stdout=subprocess.PIPE, text=True, check=True).stdout)
        except Exception as error:
            self._failure = repr(error)
        self._created.set()

    def wait(self, bench: Bench) -> None:
        """Until it serves."""
        assert self._created.wait(90), "xl create did not end"
        assert not self._failure, self._failure
        path = f"/local/domain/{self.domid}/data/tests"
        try:
            until(lambda: bench.tools.store.read(path) == "ready", "the guest serves", 180)
        except AssertionError:
            say(CONSOLE.read_text(errors="replace")[-4000:] if CONSOLE.exists() else "the guest has said nothing")
            raise

    def end(self, bench: Bench) -> None:
        path = f"/local/domain/{self.domid}/data/tests"
        bench.tools.store.write(path, "stop")
        until(lambda: bench.tools.store.read(path) in ("over", None), "the guest ends")
        subprocess.run(["xl", "destroy", "guest"], stderr=subprocess.DEVNULL)


GUEST = Guest()
prepare = GUEST.prepare


@lasting(300)
def a_guest_serves_the_kernel_http_over_netfront(bench: Bench) -> None:
    GUEST.wait(bench)
    with urllib.request.urlopen(f"http://{guest.ADDRESS}/", timeout=20) as page:
        assert page.status == 200 and page.read() == b"<title>a guest</title>"
    with urllib.request.urlopen(f"http://{guest.ADDRESS}/big", timeout=40) as page:
        assert hashlib.sha256(page.read()).digest() == hashlib.sha256(guest.big()).digest()
    bench.shell(f"ping -c 3 -i 0.2 -s 3000 -W 3 {guest.ADDRESS}")


@lasting(60)
def a_guest_answers_the_kernel_for_its_name(bench: Bench) -> None:
    GUEST.wait(bench)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        name = b"".join(bytes([len(label)]) + label.encode() for label in guest.NAME.split(".")) + b"\0"
        udp.sendto(struct.pack(">6H", 0x1234, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), (guest.ADDRESS, 53))
        answer = udp.recv(512)
    ident, flags, questions, answers, _, _ = struct.unpack_from(">6H", answer)
    assert (ident, flags & 0x860F, questions, answers) == (0x1234, 0x8400, 1, 1), answer
    assert socket.inet_aton(guest.ADDRESS) in answer


@lasting(120)
def two_domains_talk_http_on_a_vchan(bench: Bench) -> None:
    GUEST.wait(bench)

    async def main() -> None:
        async with netstack.open("vchan:") as net, HttpClient(net) as client:
            page = await client.get(f"http://{GUEST.domid}/")
            assert page.status == 200 and await page.read() == b"<title>a guest</title>"
            big = await client.get(f"http://{GUEST.domid}/big")
            assert hashlib.sha256(await big.read()).digest() == hashlib.sha256(guest.big()).digest()

    asyncio.run(main())


@lasting(60)
def a_guest_leaves_in_order(bench: Bench) -> None:
    GUEST.wait(bench)
    GUEST.end(bench)
