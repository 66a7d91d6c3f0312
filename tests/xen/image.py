"""The parts of the machine that are not ours: Xen, a kernel, and a first file system with Xen's programs and a shell.

Made of Debian's packages without installing any: `apt-get download` and `dpkg-deb --fsys-tarfile` need no root. 83 MB are fetched
once, and 28 MB are kept, in the user's cache: a run needs no network after the first. linux-image-cloud-amd64 would be smaller, and
can't be domain 0 (no CONFIG_XEN_DOM0).
"""

import fnmatch
import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from .archive import Archive, merged

XEN = "4.17"  # of Debian 12
HYPERVISOR = f"xen-hypervisor-{XEN}-amd64"
UTILS = f"xen-utils-{XEN}"
LIBRARIES = (
    *(f"libxenmisc{XEN}", "libxenstore4", "libxencall1", "libxenevtchn1", "libxengnttab1", "libxenforeignmemory1"),
    *("libxendevicemodel1", "libxentoolcore1", "libxentoollog1", "libxenhypfs1", "libyajl2", "libuuid1", "liblzma5", "libzstd1"),
    *("zlib1g", "libc6", "libgcc-s1", "libbz2-1.0"),
)
MODULES = ("xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs", "xen-netback", "xen-netfront")
PROGRAMS = ("xenstored", "xenconsoled", "xen-init-dom0", "xl", "vchan-socket-proxy")
APPLETS = (
    *(
        "cat",
        "cp",
        "dmesg",
        "echo",
        "env",
        "grep",
        "head",
        "insmod",
        "ip",
        "kill",
        "ln",
        "ls",
        "lsmod",
        "mkdir",
        "mount",
        "nc",
        "nslookup",
    ),
    *("ping", "poweroff", "ps", "rm", "rmmod", "sh", "sleep", "tail", "timeout", "umount", "uname", "wget"),
)
FOLDERS = ("proc", "sys", "dev", "tmp", "run/lock", "root", "etc/xen", "var/run", "var/log/xen/console", "var/lib/xen", "modules")
INIT = Path(__file__).with_name("init")


class NoImage(Exception):
    """It can't be made here; the message says what is missing."""


class Image(NamedTuple):
    xen: Path
    kernel: Path
    base: Path


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "netstack" / "xen"


def made() -> Image:
    """The image, made if it isn't there. Raises NoImage."""
    recipe = hashlib.sha256(Path(__file__).read_bytes() + INIT.read_bytes()).hexdigest()[:12]
    folder = cache() / f"image-{recipe}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            build(Path(unfinished))
            for old in folder.parent.glob("image-*"):
                shutil.rmtree(old, ignore_errors=True)
            os.chmod(unfinished, 0o755)
            os.rename(unfinished, folder)
            os.mkdir(unfinished)  # for the end of the block
    return Image(folder / "xen", folder / "vmlinuz", folder / "base.cpio")


def kernel_package() -> str:
    told = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True).stdout
    found = [line.split()[-1] for line in told.splitlines() if "Depends: linux-image-" in line]
    if not found:
        raise NoImage("apt knows no linux-image-amd64: run apt-get update, on Debian 12")
    return found[0]


def download(folder: Path, packages: "list[str]") -> None:
    done = subprocess.run(["apt-get", "-q", "download", *packages], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        why = "no network, old lists (apt-get update), or no Debian 12"
        raise NoImage(f"apt-get download failed, which means {why}: {done.stderr.strip()}")


def members(package: Path, *patterns: str) -> "dict[str, str | bytes]":
    """Files of a package whose place matches, each as its bytes, or the target of a link."""
    found: dict[str, str | bytes] = {}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        for member in tar:
            name = merged(member.name)
            if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                continue
            if member.islnk():
                found[name] = f"/{merged(member.linkname)}"
            elif member.issym():
                found[name] = member.linkname
            elif member.isfile():
                stream = tar.extractfile(member)
                assert stream is not None
                found[name] = stream.read()
    if not found:
        raise NoImage(f"{package.name} has none of {', '.join(patterns)}")
    return found


def build(folder: Path) -> None:
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NoImage(f"{tool} was not found: the image is made of Debian 12's packages, on Debian 12 or in a container of it")
    kernel = kernel_package()
    with tempfile.TemporaryDirectory(dir=folder.parent) as packages:
        download(Path(packages), [kernel, HYPERVISOR, UTILS, "xenstore-utils", "busybox-static", *LIBRARIES])
        found = {path.name.partition("_")[0]: path for path in Path(packages).glob("*.deb")}
        root = Archive()
        for top, target in {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}.items():
            root.entries[top] = (0o120777, target.encode())
        for empty in FOLDERS:
            root.folder(empty)
        root.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        root.file("etc/xen/xl.conf", b"")
        for name in LIBRARIES:
            _add(root, members(found[name], "usr/lib/x86_64-linux-gnu/*.so*", "usr/lib64/*"), 0o755)
        bin_of_xen = f"usr/lib/xen-{XEN}/bin"
        _add(root, members(found[UTILS], *(f"{bin_of_xen}/{name}" for name in PROGRAMS)), 0o755)
        for name in PROGRAMS:
            root.link(f"usr/bin/{name}", f"../lib/xen-{XEN}/bin/{name}")
        _add(root, members(found["xenstore-utils"], "usr/bin/xenstore*"), 0o755)
        _add(root, members(found["busybox-static"], "usr/bin/busybox"), 0o755)
        for name in APPLETS:
            root.link(f"usr/bin/{name}", "busybox")
        parts = members(found[kernel], "boot/vmlinuz-*", *(f"*/{name}.ko" for name in MODULES))
        for name, data in parts.items():
            assert isinstance(data, bytes)
            if name.startswith("boot/"):
                (folder / "vmlinuz").write_bytes(data)
            else:
                root.file(f"modules/{Path(name).name}", data)
        [(_, packed)] = members(found[HYPERVISOR], f"boot/xen-{XEN}-amd64.gz").items()
        assert isinstance(packed, bytes)
        (folder / "xen").write_bytes(gzip.decompress(packed))  # QEMU's multiboot wants the ELF file itself
        root.copy(INIT, "init")
        root.entries["init"] = (0o100755, root.entries["init"][1])
        (folder / "base.cpio").write_bytes(root.pack())


def _add(root: Archive, files: "dict[str, str | bytes]", mode: int) -> None:
    for name, data in files.items():
        if isinstance(data, bytes):
            root.file(name, data, mode)
        else:
            root.link(name, data)
