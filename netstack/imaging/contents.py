"""What goes into an image: files by the name that they have inside, and a list that says what they weigh.

One folder holds all modules, those of the standard library, of extensions, of packages: where there is one folder, nobody searches
five. They are there as bytecode without a source, except the program's own: tracebacks show its lines.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field

from ..errors import UsageError
from . import elf, libraries
from .archive import Archive
from .closure import Closure, Module

HOME = f"usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}"
PYTHON = f"usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
APP = "app"
UNCHECKED = (1).to_bytes(4, "little")  # by hash, and nobody looks


@define
class Contents:
    """Files to be: name, bytes, mode. `weights` say what each part of the list weighs."""

    files: dict[str, tuple[bytes, int]] = field(factory=dict)
    weights: dict[str, int] = field(factory=dict)

    def add(self, part: str, name: str, data: bytes, mode: int = 0o644) -> None:
        self.files[name] = (data, mode)
        self.weights[part] = self.weights.get(part, 0) + len(data)

    def archive(self) -> bytes:
        """As an initramfs."""
        made = Archive()
        for folder in ("proc", "sys", "dev", "tmp"):
            made.folder(folder)
        made.device("dev/console", 0o600, 5, 1)  # the kernel opens it for process 1, before anybody has mounted devtmpfs
        made.device("dev/urandom", 0o666, 1, 9)  # where Python looks whose processor has no random numbers for it
        for name in ("bin", "lib"):
            made.link(name, f"usr/{name}")
        made.link("lib64", "usr/lib")  # where the dynamic loader is named
        for name, (data, mode) in sorted(self.files.items()):
            made.file(name, data, mode)
        return made.close()


def add_modules(contents: Contents, closure: Closure) -> None:
    """All modules of a closure, and the data files that packages of ours read."""
    natives = []
    for module in closure.modules.values():
        if module.path is None:
            continue
        if module.path.is_dir():
            continue
        part = part_of(module.name)
        name = f"{HOME}/{module.name.replace('.', '/')}"
        if module.native:
            contents.add(part, f"{name}.so", elf.stripped(module.path.read_bytes()), 0o755)
            natives.append(module.path)
        else:
            contents.add(part, f"{name}/__init__.pyc" if module.package else f"{name}.pyc", bytecode(module))
    add_libraries(contents, natives)


def add_interpreter(contents: Contents) -> None:
    path = Path(sys._base_executable if hasattr(sys, "_base_executable") else sys.executable).resolve()
    contents.add("interpreter", PYTHON, elf.stripped(path.read_bytes()), 0o755)
    add_libraries(contents, [path], "interpreter")


def add_libraries(contents: Contents, users: Iterable[Path], part: str = "libraries") -> None:
    for name, place in libraries.needed(users).items():
        inside = f"usr/lib/{Path(name).name}"
        if inside not in contents.files:
            contents.add(part, inside, elf.stripped(place.read_bytes()), 0o755)


def add_program(contents: Contents, program: Path) -> str:
    """The program's file, with its source, and what it is compiled to; gives its name inside."""
    name = f"{APP}/{program.name}"
    source = program.read_bytes()
    contents.add("program", name, source)
    contents.add("program", f"{name}c", compiled(program, source, f"/{name}"))
    return f"/{name}"


def bytecode(module: Module) -> bytes:
    """Compiled here, whatever lies in some __pycache__: without asserts' loss, without machine paths."""
    assert module.path is not None
    if module.path.suffix == ".pyc":
        return module.path.read_bytes()
    shown = f"/{HOME}/{module.name.replace('.', '/')}{'/__init__' if module.package else ''}.py"
    return compiled(module.path, module.path.read_bytes(), shown)


def compiled(path: Path, source: bytes, shown: str) -> bytes:
    """The bytes of a .pyc of `path`, whose code says that it is from `shown`. Raises UsageError."""
    try:
        code = compile(source, shown, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise UsageError(f"{path} can't be compiled: {error}") from None
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)


def part_of(name: str) -> str:
    """In which part of the list a module is counted."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return "standard library"
    return "netstack" if top.partition("_")[0] == "netstack" else f"package {top}"
