"""Machines that serve examples/appliance.py, each started anew: images of ours, and Debian with the same program on the kernel's
sockets. Measured from the start of QEMU to the first byte of the page, and the bytes of all files that it boots from.

What the peers are, and what they are not. Both are made of Debian's packages as they are, unpacked without running their scripts,
with bytecode compiled as the scripts would have. Neither has systemd, udev, logs or a login: a shell script loads the same drivers,
asks for an address with busybox's udhcpc, and becomes the program.

    minbase     what debootstrap calls so: required packages and apt (119), with python3 and busybox, on an ext4 disk; a small
                initramfs loads the disk's driver. Kernel settings of ours that skip its tests are not used.
    lean        python3 and what it depends on, and busybox (42 packages), as an initramfs packed by zstd like Debian's own, with
                all our settings of the kernel, in our form that boots: what remains is user space

A rendezvous by the clock would measure the client's patience, so the program's line on the console is awaited, and the page is
asked for at that moment.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from netstack.errors import UsageError
from netstack.imaging import boot, pvh
from netstack.imaging import build as building
from netstack.imaging import kernel as kernels
from netstack.imaging.archive import Archive
from netstack.imaging.build import Recipe
from netstack.imaging.kernel import Kernel
from netstack.imaging.packages import cache, find_kernel

from .measure import Entrant, Run
from .place import Absent, Failed

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "examples" / "appliance.py"
LISTENS = b"http port 80"
ASK = b"GET / HTTP/1.0\r\n\r\n"
LONGEST = 120.0  # seconds
DISK_DRIVERS = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "crc32c_intel")
NET_DRIVERS = ("virtio_pci", "virtio_net", "af_packet")
PEER_LINE = "console=ttyS0 quiet panic=-1 net.ifnames=0 random.trust_cpu=on"
LEASE = """#!/bin/busybox sh
[ "$1" = bound ] && /bin/busybox ip addr add $ip/$mask dev $interface && /bin/busybox ip route add default via $router
exit 0
"""
INIT = """#!/bin/busybox sh
export PATH=/usr/bin:/bin
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in DRIVERS; do $b insmod /modules/$m.ko; done
$b ip link set lo up; $b ip link set eth0 up
$b udhcpc -i eth0 -s /lease -q -n -f -T 1 >/dev/null 2>&1
exec python3 -ISB /app/appliance.py
"""
TO_DISK = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for m in DRIVERS; do $b insmod /modules/$m.ko; done
$b mount -t ext4 -o ro /dev/vda /root
exec $b switch_root /root /init
"""


class Made:
    """`words` boot it, with `{port}` for the host's port; `size` is what it boots from."""

    def __init__(self, words: list[str], size: int) -> None:
        self.words = words
        self.size = size


def image(name: str, **said: object) -> Entrant:
    """Ours. `said` is of the recipe."""

    def make(folder: Path, kernel: Kernel) -> Made:
        path = folder / "app.img"
        made = building.build(Recipe(str(PROGRAM), **said), kernel)  # type: ignore[arg-type]  # of that dataclass
        path.write_bytes(made.data)
        return Made(boot.qemu(path, append="netstack.boot=timed"), path.stat().st_size)

    return booted(name, make, own=True)


def debian(name: str) -> Entrant:
    return booted(name, minbase if name == "debian, minbase" else lean, own=False)


def booted(name: str, make: Callable[[Path, Kernel], Made], *, own: bool) -> Entrant:
    def enter(lab: object) -> Run:
        if shutil.which(boot.QEMU) is None:
            raise Absent("qemu-system-x86 is not installed")
        try:
            kernel = the_kernel()
            folder = Path(tempfile.mkdtemp(dir=getattr(lab, "folder", None), prefix="boot-"))
            made = make(folder, kernel)
        except (UsageError, OSError, subprocess.CalledProcessError) as error:
            raise Absent(str(error)) from None
        return lambda _: run(made)

    return Entrant(name, enter, own=own)


def run(made: Made) -> Mapping[str, float]:
    try:
        return asyncio.run(measured(made))
    except (OSError, TimeoutError) as error:
        raise Failed(f"it has not come up: {error or type(error).__name__}") from None


async def measured(made: Made) -> Mapping[str, float]:
    """Seconds until the page's first byte, MB, and seconds on the machine's own clock at the marks of our process 1."""
    with socket_port() as port:
        words = [word.replace(boot.USER_NET, f"{boot.USER_NET},hostfwd=tcp:127.0.0.1:{port}-:80") for word in made.words]
    loop = asyncio.get_running_loop()
    began = loop.time()
    process = await asyncio.create_subprocess_exec(
        *words, "-accel", "tcg", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    marks: dict[str, float] = {}
    assert process.stdout is not None
    said = []
    try:
        async with asyncio.timeout(LONGEST):
            async for line in process.stdout:
                said.append(line)
                found = re.search(rb"netstack: ([\d.]+) (\w+)", line)
                if found is not None:
                    marks[found[2].decode()] = float(found[1])
                if LISTENS in line:
                    break
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK)
            if not await reader.read(1):
                raise OSError("no page: " + b"".join(said[-5:]).decode("utf-8", "replace"))
            seconds = loop.time() - began
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            worked = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            writer.close()
    finally:
        process.kill()
        await process.wait()
    steps = {key: marks[key] for key in ("python", "stack", "network") if key in marks}
    return {"page": seconds, "cpu": worked, "size": made.size / 1e6, **steps}


class socket_port:
    """A port of the host that is free at the moment."""

    def __enter__(self) -> int:
        import socket

        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *exc: object) -> None:
        self._socket.close()


# -- Debian ---------------------------------------------------------------------------------------------------------------------


def fetch() -> None:
    """What wants a network: the kernel, and the peers' packages. Raises Absent."""
    try:
        the_kernel()
        minbase_root()
        lean_root()
    except (UsageError, OSError, subprocess.CalledProcessError) as error:
        raise Absent(str(error)) from None


def the_kernel() -> Kernel:
    return find_kernel(os.environ.get("NETSTACK_TEST_KERNEL"))


def minbase_root() -> Path:
    said = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    required = re.findall(r"^Package: (\S+)(?:\n(?!Package:).+)*\nPriority: required$", said, re.MULTILINE)
    return unpacked("minbase", ["python3", "busybox-static", "apt", *sorted(set(required))])


def lean_root() -> Path:
    return unpacked("lean", ["python3", "busybox-static"])


def minbase(folder: Path, kernel: Kernel) -> Made:
    root = minbase_root()
    complete(root, kernel)
    disk, start, small = folder / "disk", folder / "vmlinuz", folder / "initrd"
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", str(root), str(disk), f"{int(size * 1.3) >> 10}k"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    archive = Archive()
    add_start(archive, root, kernel, TO_DISK, DISK_DRIVERS)
    start.write_bytes(kernel.image)
    small.write_bytes(zstd(archive.close()))
    words = [boot.QEMU, "-nodefaults", "-no-reboot", "-nographic", "-serial", "stdio", "-cpu", "max", "-m", "512"]
    words += ["-kernel", str(start), "-initrd", str(small), "-append", PEER_LINE]
    words += ["-drive", f"file={disk},if=virtio,format=raw,snapshot=on", "-netdev", boot.USER_NET]
    words += ["-device", "virtio-net-pci,netdev=n,romfile="]
    return Made(words, start.stat().st_size + small.stat().st_size + disk.stat().st_blocks * 512)


def lean(folder: Path, kernel: Kernel) -> Made:
    root = lean_root()
    complete(root, kernel)
    archive = Archive()
    archive.device("dev/console", 0o600, 5, 1)
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            archive.link(name, os.readlink(path))
        elif path.is_dir():
            archive.folder(name)
        else:
            archive.file(name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    made = folder / "lean.img"
    line = building.COMMAND_LINE["qemu"].replace(" ipv6.disable=1", "")
    made.write_bytes(pvh.make(kernel, zstd(archive.close()), line, emulated=building.EMULATED))
    return Made(boot.qemu(made, memory=512), made.stat().st_size)


def unpacked(name: str, packages: list[str]) -> Path:
    """A root of these packages and of what they depend on, kept. apt is asked as if nothing were installed."""
    root = cache() / f"debian-{name}"
    if root.is_dir():
        return root
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        Path(work, "status").touch()
        Path(work, "kept/partial").mkdir(parents=True)  # what apt has in its own store it would not name
        nothing = ["-o", f"Dir::State::status={work}/status", "-o", f"Dir::Cache::archives={work}/kept"]
        nothing += ["-o", "APT::Install-Recommends=0"]
        asked = ["apt-get", "-qq", "-y", *nothing, "--print-uris"]
        uris = subprocess.run([*asked, "install", *packages], capture_output=True, text=True, check=True).stdout
        names = [line.split()[1].partition("_")[0] for line in uris.splitlines() if line.startswith("'")]
        subprocess.run(["apt-get", "-q", "download", *names], cwd=work, check=True, capture_output=True)
        half = Path(tempfile.mkdtemp(dir=cache(), prefix=".unpacking-"))
        for package in Path(work).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(half)], check=True)
    words = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(half), "-p", "/"]
    subprocess.run([sys.executable, *words, str(half / "usr/lib/python3.11"), str(half / "usr/lib/python3")], check=False)
    half.chmod(0o755)
    half.rename(root)
    return root


def complete(root: Path, kernel: Kernel) -> None:
    """The program, its drivers, and who starts it."""
    for folder in ("proc", "sys", "dev", "tmp", "app", "modules"):
        (root / folder).mkdir(exist_ok=True)
    shutil.copy(PROGRAM, root / "app")
    chosen = kernels.select(kernel.modules, NET_DRIVERS)
    for name, data in chosen:
        (root / "modules" / f"{name}.ko").write_bytes(data)
    for path, text in (("init", INIT), ("lease", LEASE)):
        (root / path).write_text(text.replace("DRIVERS", " ".join(name for name, _ in chosen)))
        (root / path).chmod(0o755)


def add_start(archive: Archive, root: Path, kernel: Kernel, text: str, drivers: tuple[str, ...]) -> None:
    chosen = kernels.select(kernel.modules, drivers)
    for folder in ("dev", "root"):
        archive.folder(folder)
    archive.device("dev/console", 0o600, 5, 1)
    archive.file("bin/busybox", (root / "bin/busybox").read_bytes(), 0o755)
    for name, data in chosen:
        archive.file(f"modules/{name}.ko", data)
    archive.file("init", text.replace("DRIVERS", " ".join(name for name, _ in chosen)).encode(), 0o755)


def zstd(data: bytes) -> bytes:
    return building.pack(data, "zstd" if shutil.which("zstd") else "gzip")
