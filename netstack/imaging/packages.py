"""A kernel from the distribution: fetched once as a package, unpacked without installing anything, kept in a folder of the user's.

`apt-get download` and `dpkg-deb` do it, as any user and without changing the system; on other systems `--kernel` names a vmlinuz.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import UsageError
from .kernel import Kernel, load

CLOUD = "linux-image-cloud-amd64"  # the drivers of virtual machines and no others; PVH, and Xen's PV guests
INSTEAD = "name a vmlinuz with --kernel, or a folder with boot/ and lib/modules/ in it (dpkg-deb -x linux-image-….deb FOLDER)"


def cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "netstack" / "image"


def find_kernel(said: str | None) -> Kernel:
    """`said` by the user, the one in the cache, or one that is fetched now. Raises UsageError, OSError."""
    if said is not None:
        return _in(Path(said))
    kept = sorted(cache().glob("linux-image-*/boot/vmlinuz-*"))
    return _in(kept[-1] if kept else fetch(CLOUD))


def _in(path: Path) -> Kernel:
    if path.suffix == ".deb":
        path = _unpack(path, cache() / path.name.partition("_")[0])
    if path.is_dir():
        images = sorted(path.glob("boot/vmlinuz-*"))
        if not images:
            raise UsageError(f"there is no boot/vmlinuz-* in {path}: {INSTEAD}")
        path = images[-1]
    if not path.is_file():
        raise UsageError(f"there is no kernel {path}: {INSTEAD}")
    version = path.name.partition("-")[2]
    beside = path.parent.parent / "lib" / "modules" / version
    modules = beside if beside.is_dir() else Path("/lib/modules") / version
    return load(path, modules)


def fetch(name: str) -> Path:
    """The vmlinuz of the package that the package `name` stands for. Raises UsageError where there is no such distribution."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UsageError(f"a kernel can't be fetched here, there is no {tool}: {INSTEAD}")
    said = _run("apt-cache", "depends", name)
    chosen = next((line.split()[-1] for line in said.splitlines() if "Depends: linux-image-" in line), "")
    if not chosen:
        raise UsageError(f"apt knows no package {name} (apt-get update?): {INSTEAD}")
    with tempfile.TemporaryDirectory() as folder:
        _run("apt-get", "-q", "download", chosen, cwd=folder)
        packages = list(Path(folder).glob("*.deb"))
        if not packages:
            raise UsageError(f"apt-get has downloaded no {chosen}: {INSTEAD}")
        return _unpack(packages[0], cache() / chosen)


def _unpack(package: Path, to: Path) -> Path:
    """What boots, and the modules. A folder that is there is complete: it gets its name at the end."""
    if not to.is_dir():
        to.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=to.parent, prefix=".unpacking-"))
        try:
            _run("dpkg-deb", "-x", str(package), str(half))
            half.rename(to)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    images = sorted(to.glob("boot/vmlinuz-*"))
    if not images:
        raise UsageError(f"there is no kernel in the package {package.name}: {INSTEAD}")
    return images[-1]


def _run(*words: str, cwd: str | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise UsageError(f"{words[0]} said: {lines[-1]}; {INSTEAD}")
    return done.stdout
