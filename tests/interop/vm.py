"""A Debian cloud kernel with a busybox for all of its userland, under QEMU's software emulation.

The kernel is that of the package linux-image-cloud-amd64, installed, unpacked in a folder that $NETSTACK_TEST_KERNEL names
(`dpkg -x linux-image-*-cloud-amd64*.deb FOLDER`), or the one that `netstack image` has fetched. The initramfs is made here:
busybox, the drivers of a virtio network card, and a script.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from netstack.imaging.packages import cache

MODULES = (  # in the order in which they are loaded
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover",
    "virtio_net",
)  # fmt: skip
APPLETS = ("sh", "mount", "insmod", "ip", "udhcpc", "wget", "ping", "cat", "echo", "poweroff", "md5sum", "nslookup", "sleep", "nc")
LEASE = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
[ -n "$router" ] && ip route add default via $router
for s in $dns; do echo "nameserver $s"; done > /etc/resolv.conf
echo "LEASE $ip/$mask router $router dns $dns mtu $mtu"
"""


def kernel() -> "tuple[Path, Path] | None":
    """The kernel and the folder of its modules."""
    fetched = sorted(cache().glob("linux-image-*-cloud-amd64"), reverse=True)
    for root in filter(None, (os.environ.get("NETSTACK_TEST_KERNEL"), "/", *fetched)):
        for image in sorted(Path(root, "boot").glob("vmlinuz-*-cloud-amd64"), reverse=True):
            modules = Path(root, "lib/modules", image.name.removeprefix("vmlinuz-"))
            if modules.is_dir():
                return image, modules
    return None


def busybox() -> "str | None":
    """One that needs no library: nothing else is there to run."""
    path = shutil.which("busybox")
    if path is None:
        return None
    return None if b"/ld-linux" in Path(path).read_bytes()[:4096] else path  # its interpreter stands in front


def missing() -> str:
    """What this machine lacks to start a guest, and what to do; an empty string when nothing."""
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86"
    if busybox() is None:
        return "no busybox that needs no library: apt-get install busybox-static"
    if kernel() is None:
        return "no Debian cloud kernel: apt-get install linux-image-cloud-amd64, or unpack it where $NETSTACK_TEST_KERNEL says"
    return ""


def initramfs(script: str) -> bytes:
    """A cpio archive whose init brings up eth0's driver and lo, runs `script`, and switches the machine off."""
    found, box = kernel(), busybox()
    assert found is not None and box is not None
    archive = Cpio()
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "lib"):
        archive.add(folder, b"", stat.S_IFDIR | 0o755)
    archive.add("dev/console", b"", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("bin/busybox", Path(box).read_bytes(), stat.S_IFREG | 0o755)
    for applet in APPLETS:
        archive.add(f"bin/{applet}", b"/bin/busybox", stat.S_IFLNK | 0o777)
    names = []
    for name in MODULES:
        for path in found[1].rglob(f"{name}.ko"):
            archive.add(f"lib/{name}.ko", path.read_bytes(), stat.S_IFREG | 0o644)
            names.append(name)
    archive.add("bin/lease", LEASE.encode(), stat.S_IFREG | 0o755)
    init = "#!/bin/sh\nmount -t proc proc /proc\nmount -t sysfs sys /sys\n"
    init += "".join(f"insmod /lib/{name}.ko\n" for name in names)
    init += f"ip link set lo up\nip link set eth0 up\n{script}\npoweroff -f\n"
    archive.add("init", init.encode(), stat.S_IFREG | 0o755)
    return archive.close()


class Cpio:
    """An archive in the form that kernels unpack: "newc" (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.count = 0

    def add(self, name: str, content: bytes, mode: int, device: tuple[int, int] = (0, 0)) -> None:
        self.count += 1
        raw = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(raw), 0)
        self._put(b"070701" + b"".join(b"%08x" % field for field in fields) + raw)
        self._put(content)

    def _put(self, piece: bytes) -> None:
        self.data += piece + bytes(-(len(self.data) + len(piece)) % 4)

    def close(self) -> bytes:
        self.add("TRAILER!!!", b"", 0)
        return bytes(self.data)


def start(folder: Path, script: str, netdev: str, *options: str) -> "subprocess.Popen[str]":
    """The guest, at work: what its script says is on standard output. `netdev` describes the network with the id `n`."""
    found = kernel()
    assert found is not None
    image = folder / "initramfs"
    image.write_bytes(initramfs(script))
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-nographic", "-accel", "tcg", "-cpu", "max",
        "-m", "192", "-kernel", str(found[0]), "-initrd", str(image), "-serial", "stdio", "-monitor", "none",
        "-append", "console=ttyS0 quiet panic=-1 tsc=unstable no_timer_check net.ifnames=0 ipv6.disable=1 random.trust_cpu=on",
        "-netdev", netdev, "-device", "virtio-net-pci,netdev=n,romfile=", *options,
    ]  # fmt: skip
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
