"""What the measurements need besides this project: C programs, compiled on the spot, and pmd-pytcp in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .place import ROOT, Absent, Failed

SOURCES = Path(__file__).resolve().parent / "peers"
FOLDER = ROOT / "build" / "bench"
LIBRARIES = {"lwip": ("-I/usr/include/lwip", "-llwip")}
PMD = ROOT / ".venv-pmd"
PMD_REQUIREMENT = "pmd-pytcp>=0.3.8,<0.4"


def compile_programs(folder: Path = FOLDER) -> Path:
    """The folder with what `peers/*.c` became. Raises Absent without a compiler."""
    compiler = os.environ.get("CC") or next((name for name in ("gcc", "cc", "clang") if shutil.which(name)), None)
    if compiler is None:
        raise Absent("a C compiler: the client of all measurements is a C program (on Debian: apt-get install gcc libc6-dev)")
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.c")):
        program = folder / source.stem
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            continue
        needs = LIBRARIES.get(source.stem, ())
        command = [*compiler.split(), "-O3", "-march=native", "-Wall", "-o", str(program), str(source), *needs]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode and not needs:  # without its library a peer is absent: see `built`
            raise Failed(f"{source.name} could not be compiled: {done.stderr.strip()}")
    return folder


def built(folder: Path, name: str, package: str) -> str:
    """The program that `name`.c became with a library of the system's. Raises Absent."""
    program = folder / name
    if not program.exists():
        raise Absent(f"{name} (on Debian: apt-get install {package})")
    return str(program)


def pmd_python() -> Path:
    """A Python that has pmd-pytcp. Raises Absent."""
    if _pmd_version() != PMD_REQUIREMENT:
        raise Absent("pmd-pytcp: it could not be installed")
    return PMD / "bin" / "python"


def _pmd_version() -> str:
    stamp = PMD / ".ready"
    return stamp.read_text() if stamp.exists() else ""


def install_pmd() -> None:
    """An environment with pmd-pytcp, if there is none yet. Raises Absent where the package index can't be reached."""
    if _pmd_version() == PMD_REQUIREMENT:
        return
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(PMD)],
        [str(PMD / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", PMD_REQUIREMENT],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            raise Absent("pmd-pytcp: the package index didn't answer") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no reason given"]
            raise Absent(f"pmd-pytcp: {lines[-1]}")
    (PMD / ".ready").write_text(PMD_REQUIREMENT)


def find(name: str, package: str) -> str:
    """Where a program of the system is. Raises Absent."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise Absent(f"{name} (on Debian: apt-get install {package})")
    return found
