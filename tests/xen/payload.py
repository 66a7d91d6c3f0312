"""What is ours of the image: the interpreter that runs this, the tree as it stands here, and what both need of this machine.

Everything lies where it lies on this machine, so a relocated Python finds its library, and an extension module the libraries that
it was linked with; the tree alone is at /payload. Modules of the standard library come as bytecode, in place of their source.
"""

import compileall
import hashlib
import importlib.util
import marshal
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .archive import Archive
from .image import NoImage, cache

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("attr", "attrs", "httptools")  # of others, which the tree imports
LEFT_OUT = {
    *("__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages", "test", "tests", "tkinter"),
    *("turtledemo", "venv", "distutils", "turtle.py", "antigravity.py", "curses", "dbm", "sqlite3", "xmlrpc", "wsgiref"),
}
WITHOUT = ("_tkinter", "_sqlite3", "_curses", "_test", "_xxtest", "_codecs_", "_dbm", "_gdbm", "readline", "nis", "xx")
ROOMS_LEFT_OUT = {"router", "explaining", "exploring", "replaying", "netsim", "captures", "bench"}  # nothing here imports them
TREE = (
    ("netstack", "netstack"),
    ("backends", "backends"),
    ("tests/unit/xen", "tests/unit/xen"),
    ("tests/xen", "tests/xen"),
    ("examples", "examples"),
)
SUFFIX = f".cpython-{sys.version_info[0]}{sys.version_info[1]}"


def interpreter() -> Path:
    """An archive of Python itself, kept in the cache."""
    binary = Path(sys.executable).resolve()
    marks = f"{sys.version} {binary} {binary.stat().st_mtime_ns} {Path(__file__).read_text()}"
    packages = [spec.origin for name in PACKAGES if (spec := importlib.util.find_spec(name)) is not None]
    kept = cache() / f"python-{hashlib.sha256((marks + repr(packages)).encode()).hexdigest()[:12]}.cpio"
    if not kept.exists():
        archive = Archive()
        archive.copy(binary)
        library = Path(sysconfig.get_path("stdlib"))
        shared = [binary]
        for path in sorted(library.rglob("*")):
            inner = path.relative_to(library).parts
            if path.is_file() and not any(part in LEFT_OUT or part.startswith("config-3") for part in inner):
                if path.suffix == ".py":
                    archive.file(f"{path}c", bytecode(path, f"{path}"))
                elif path.suffix == ".so" and not path.name.startswith(WITHOUT):
                    archive.file(str(path), stripped(path), 0o755)
                    shared.append(path)
        for name, origin in zip(PACKAGES, packages, strict=True):
            assert origin is not None
            folder = Path(origin).parent
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix in (".py", ".so"):
                    where = f"payload/site/{name}/{path.relative_to(folder)}"
                    if path.suffix == ".py":
                        archive.file(f"{where}c", bytecode(path, f"/{where}"))
                    else:
                        archive.file(where, stripped(path), 0o755)
                        shared.append(path)
        for path in needed(shared):
            archive.file(str(path), stripped(path), 0o755)
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in kept.parent.glob("python-*.cpio"):
            old.unlink()
        partial = kept.with_suffix(".part")
        partial.write_bytes(archive.pack())
        partial.rename(kept)
    return kept


def stripped(binary: Path) -> bytes:
    """Without what only a debugger reads, where the tool for that is: two thirds of what is shipped."""
    if shutil.which("strip") is not None:
        with tempfile.NamedTemporaryFile() as smaller:
            command = ["strip", "--strip-debug", "-o", smaller.name, str(binary)]
            if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
                return Path(smaller.name).read_bytes()
    return binary.read_bytes()


def needed(binaries: "list[Path]") -> "list[Path]":
    """The shared libraries that these are linked with, and the loader."""
    told = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True).stdout
    found = set()
    for line in told.splitlines():
        words = line.split()
        path = words[2] if len(words) > 2 and words[1] == "=>" else words[0] if words else ""
        if path.startswith("/") and not path.endswith(":"):
            found.add(Path(path))
    return sorted(found)


def bytecode(source: Path, name: str) -> bytes:
    """Bytecode that is taken as it is, whatever the time on its source says (PEP 552: based on a hash, and unchecked)."""
    code = compile(source.read_bytes(), name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)


def cached_bytecode(source: Path, name: str) -> bytes:
    """As above, from the bytecode that lies beside the source where it is of today: to compile a tree takes a while."""
    beside = Path(importlib.util.cache_from_source(str(source)))
    status = source.stat()
    stamp = struct.pack("<III", 0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    try:
        data = beside.read_bytes()
    except OSError:
        data = b""
    if data[:16] == importlib.util.MAGIC_NUMBER + stamp:
        return data[:4] + (1).to_bytes(4, "little") + bytes(8) + data[16:]
    return bytecode(source, name)


def tree(environment: "dict[str, str]") -> bytes:
    """An archive of the tree, with `environment` for the programs inside."""
    for folder, _ in TREE:
        compileall.compile_dir(str(ROOT / folder), quiet=2)
    archive = Archive()
    for folder, where in TREE:
        for path in sorted((ROOT / folder).rglob("*")):
            inner = path.relative_to(ROOT / folder)
            if "__pycache__" in inner.parts or inner.parts[0] in ROOMS_LEFT_OUT or not path.is_file():
                continue
            target = f"payload/{where}/{inner}"
            if path.suffix == ".py":
                archive.copy(path, target)
                pyc = f"{Path(target).parent}/__pycache__/{path.stem}{SUFFIX}.pyc"
                archive.file(pyc, cached_bytecode(path, f"/{target}"))
            elif path.suffix == ".so" or "static" in inner.parts or path.suffix in (".html", ".css", ".js", ".svg"):
                archive.copy(path, target)
    archive.file("payload/tests/__init__.py", b"")
    variables = {
        "PYTHON": str(Path(sys.executable).resolve()),
        "PYTHONPATH": "/payload:/payload/backends:/payload/site",
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    archive.file("payload/env", "".join(f"export {name}='{value}'\n" for name, value in variables.items()).encode())
    return archive.pack()


SANITIZERS = ("libasan.so", "libubsan.so")
REPORTS = Path("/run/report")  # what a sanitizer has to say, with a process's number behind it


def watched() -> bytes:
    """An archive, to be added last, with the C extension under AddressSanitizer and UBSan, and a Python that begins with their
    libraries. Leaks are not looked for: at its end an interpreter has them, and tests/unit/xen/test_libxen_strained.py does.
    Raises NoImage."""
    archive = Archive()
    source = ROOT / "backends/netstack_xen/libxen"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "_libxen.abi3.so")
        command = ["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1"]
        command += ["-DPy_LIMITED_API=0x030B0000", f"-I{sysconfig.get_path('include')}", "-shared", "-fPIC", "-o", str(target)]
        command += [*map(str, sorted(source.glob("*.c"))), "-lxengnttab", "-lxenevtchn", "-lxenstore"]
        try:
            subprocess.run(command, check=True)
            found = [subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True) for name in SANITIZERS]
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoImage(f"the extension was not built with sanitizers: {error}") from error
        archive.copy(target, "payload/backends/netstack_xen/libxen/_libxen.abi3.so")
    libraries = [Path(each.stdout.strip()).resolve() for each in found]
    for path in {*libraries, *needed(libraries)}:
        archive.file(str(path), path.read_bytes(), 0o755)
    options = f"log_path={REPORTS}:handle_segv=2:handle_abort=2:quarantine_size_mb=8:detect_leaks=0"
    script = [
        "#!/bin/busybox sh",
        f"export LD_PRELOAD='{' '.join(map(str, libraries))}' PYTHONMALLOC=malloc",
        f"export ASAN_OPTIONS={options} UBSAN_OPTIONS=log_path={REPORTS}:print_stacktrace=1",
        f'exec {Path(sys.executable).resolve()} "$@"\n',
    ]
    archive.file("payload/watched", "\n".join(script).encode(), 0o755)
    return archive.pack()


def appliance(archive: Archive) -> None:
    """What `netstack image --target xen` makes of examples/appliance.py, with the kernel that it fetches. Raises NoImage."""
    from netstack.errors import NetstackError
    from netstack.imaging.build import Recipe, build
    from netstack.imaging.packages import find_kernel
    from netstack.imaging.xen import write_pair

    try:
        made = build(Recipe(str(ROOT / "examples" / "appliance.py"), "xen"), find_kernel(None))
    except (NetstackError, OSError) as error:
        raise NoImage(str(error)) from error
    with tempfile.TemporaryDirectory() as folder:
        for path in write_pair(made, Path(folder, "appliance.img")):
            archive.copy(path, f"guest/appliance/{path.name}")
