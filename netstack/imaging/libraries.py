"""The shared libraries that programs and extension modules need, found as the dynamic loader would find them (ld.so(8))."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError
from . import elf

OPENED = {"libc.so.6": "libgcc_s.so.1"}  # by the first, when it runs: a thread that is cancelled or exits is unwound
USUAL = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")


def needed(files: Iterable[Path]) -> dict[str, Path]:
    """Name and place of each library that `files` need, with those that these need, and the loader. Raises UsageError for one that
    is not there."""
    found: dict[str, Path] = {}
    queue = [(path, elf.read(path.read_bytes())) for path in files]
    while queue:
        path, said = queue.pop()
        if said.interpreter:
            found[said.interpreter] = Path(said.interpreter)  # under its full name: the program names it so
        opened = [OPENED[path.name]] if path.name in OPENED and find(OPENED[path.name], path) else []
        for name in (*said.needed, *opened):
            if name in found or any(name == Path(other).name for other in found):
                continue
            place = find(name, path, said.paths)
            if place is None:
                raise UsageError(f"{path} needs the library {name}, which is not where the dynamic loader looks")
            found[name] = place
            queue.append((place, elf.read(place.read_bytes())))
    return found


def find(name: str, user: Path, paths: Iterable[str] = ()) -> Path | None:
    """Where `name` lies for `user`, which asks to look in `paths` first."""
    origin = str(user.resolve().parent)
    said = [path.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for path in paths if path]
    said += [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    for folder in (*said, *USUAL, *_configured()):
        place = Path(folder, name)
        if place.is_file():
            return place
    return None


def _configured() -> list[str]:
    """/etc/ld.so.conf and what it includes."""
    lines: list[str] = []
    for path in (Path("/etc/ld.so.conf"), *sorted(Path("/etc/ld.so.conf.d").glob("*.conf"))):
        try:
            lines += path.read_text().splitlines()
        except OSError:
            continue
    return [line.strip() for line in lines if line.startswith("/")]
