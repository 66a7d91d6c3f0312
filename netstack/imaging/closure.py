"""Which modules a program imports: read from its source, from theirs, and so on; nothing is run.

What is found is more than what will be imported, and less than what could be:

- Statements in functions count, those under `if TYPE_CHECKING:` don't. This package puts off many imports, so that no program pays
  for what it doesn't use: those are followed, too, but not into the rooms that a host in an image has no use for unless its
  program names them (SPARED).
- A package that loads its names when they are asked for (PEP 562) tells type checkers where they come from, under TYPE_CHECKING: so
  a name of it that somebody uses, `netstack.open` or `from netstack import open`, leads to that module. The others stay out.
- `import_module(name)` can't be seen. `Closure.add` takes what a rehearsal has seen, or the user says.
- Modules of the standard library that only help developers (LEFT_OUT) are not followed from inside the standard library: `pickle`
  can run its doctests, but nobody's program does.

A module that isn't there is no error: many are tried for and done without.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import BuiltinImporter, ExtensionFileLoader, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path

from attrs import define, field

LEFT_OUT = frozenset(
    (
        "doctest", "pdb", "unittest", "pydoc", "pydoc_data", "tkinter", "idlelib", "lib2to3", "turtle", "ensurepip", "venv", "test",
        "distutils", "cProfile", "profile", "pstats", "readline", "rlcompleter", "webbrowser", "antigravity", "this", "curses",
        "bdb", "cmd", "code", "codeop", "timeit", "trace", "xmlrpc", "ftplib", "getpass", "multiprocessing", "xml", "plistlib",
        "optparse", "lzma", "_lzma", "bz2", "_bz2", "tarfile", "zipfile", "shelve", "dbm", "sqlite3", "nturl2path", "ntpath",
        "_osx_support", "winreg", "msvcrt", "_winapi", "tty", "pty", "setuptools", "pkg_resources",
    )
)  # fmt: skip
SPARED = (
    "netstack.runtime.trio", "netstack.runtime.threads", "netstack.runtime.doors", "netstack.runtime.routing",
    "netstack.runtime.virtual", "netstack.runtime.worlds", "netstack.router", "netstack.routing", "netstack.cli",
    "netstack.tracing", "netstack.testing", "netstack.netsim", "netstack.exploring", "netstack.replaying", "netstack.http",
    "netstack.http.dashboard", "netstack.http.h2", "netstack.http.ws", "netstack.tls", "netstack.dns.multicast",
    "netstack.dns.serve", "netstack.dns.authority", "netstack.dns.client.https", "netstack.imaging",
)  # fmt: skip
CORE = (  # what an interpreter imports before any program, and for any: encodings, warnings
    "encodings", "encodings.utf_8", "encodings.latin_1", "encodings.ascii", "encodings.aliases", "encodings.idna", "io", "abc",
    "codecs", "os", "stat", "posixpath", "genericpath", "_collections_abc", "zipimport", "warnings", "linecache", "traceback",
    "runpy", "signal", "threading", "_weakrefset", "weakref", "keyword", "reprlib", "operator", "stringprep", "unicodedata",
)  # fmt: skip


@define
class Module:
    """One that was found. `path` is None for what the interpreter carries in itself; `native` says that it is compiled code."""

    name: str
    path: Path | None
    package: bool = False
    native: bool = False
    source: Path | None = None  # of compiled code of ours: the .py beside it says what it imports
    why: str = ""  # who imported it first


@define
class Uses:
    """What a source says: modules (imported) and, for `import x` and `from x import y`, the names that it takes from them."""

    modules: set[str] = field(factory=set)
    later: set[str] = field(factory=set)  # imported in functions
    names: dict[str, set[str]] = field(factory=dict)  # of a module, those that are used


class Closure:
    """`paths` is where modules are looked for, as in sys.path. `without` are modules to leave out, with all below them."""

    def __init__(self, paths: Iterable[str], without: Iterable[str] = (), pure: bool = False) -> None:
        self.paths = list(paths)
        self._pure = pure  # of our own modules take the source, and not what was compiled of it
        self.without = set(without)
        self.modules: dict[str, Module] = {}
        self._missing: set[str] = set()
        self._lazy: dict[str, dict[str, str]] = {}  # of a package, names and the modules they come from
        self._queue: list[tuple[str, Uses]] = []
        self._wanted: dict[str, set[str]] = {}  # names used of packages not yet known to be lazy

    def add(self, *names: str, why: str = "") -> None:
        """Modules by name, and what they import."""
        for name in names:
            self._take(name, why)
        self._settle()

    def program(self, source: str, name: str, package: str = "") -> None:
        """What a program's text imports."""
        self._follow(uses(source, package), name)
        self._settle()

    # -- one by one -------------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        while self._queue:
            why, found = self._queue.pop()
            self._follow(found, why)

    def _follow(self, found: Uses, why: str) -> None:
        inside = self._of_library(why)
        for name in sorted(found.modules):
            if inside and name.partition(".")[0] in LEFT_OUT:
                continue
            self._take(name, why)
        for name in sorted(found.later - found.modules):
            if (inside and name.partition(".")[0] in LEFT_OUT) or (is_ours(why) and self._spared(name, why)):
                continue
            self._take(name, why)
        for module, names in sorted(found.names.items()):
            if is_ours(why) and is_ours(module) and self._spared(module, why):
                continue
            self._wanted.setdefault(module, set()).update(names)
            self._lead(module)

    def _lead(self, module: str) -> None:
        """Where the names lead that are used of a lazy package."""
        table = self._lazy.get(module)
        if table is None:
            return
        for name in sorted(self._wanted.pop(module, ())):
            if name in table:
                self._take(table[name], f"{module}.{name}")
                self._wanted.setdefault(table[name], set()).add(name)
                self._lead(table[name])

    def _take(self, name: str, why: str) -> bool:
        """False where there is no such module."""
        if name in self.modules:
            return True
        if name in self._missing or any(name == w or name.startswith(f"{w}.") for w in self.without):
            return False
        parent = name.rpartition(".")[0]
        if parent and not self._take(parent, why):
            return False
        spec = self._find(name, parent)
        if spec is None:
            self._missing.add(name)
            return False
        module = self._module(name, spec, why)
        self.modules[name] = module
        text = module.source or (module.path if not module.native else None)
        if text is not None and text.suffix == ".py":
            self._read(module, text)
        return True

    def _find(self, name: str, parent: str) -> ModuleSpec | None:
        if name in sys.builtin_module_names:
            return BuiltinImporter.find_spec(name)
        where: list[str] | None = self.paths
        if parent:
            above = self.modules[parent]
            if not above.package or above.path is None:
                return None
            where = [str(above.path.parent)] if above.path.suffix else [str(above.path)]
        try:
            spec = PathFinder.find_spec(name, where)
        except KeyError:  # a folder without __init__ in a package that isn't imported here: no module of anybody's, so far
            spec = None
        if spec is None and FrozenImporter.find_spec(name) is not None:
            spec = FrozenImporter.find_spec(name)
        return spec

    def _module(self, name: str, spec: ModuleSpec, why: str) -> Module:
        package = spec.submodule_search_locations is not None
        if spec.origin in ("built-in", "frozen") or spec.origin is None:
            folder = next(iter(spec.submodule_search_locations or ()), None)  # a namespace: a folder without a file of its own
            return Module(name, Path(folder) if folder else None, package, why=why)
        path = Path(spec.origin)
        native = isinstance(spec.loader, ExtensionFileLoader)
        beside = path.with_name(path.name.partition(".")[0] + ".py") if native else None
        if self._pure and is_ours(name) and beside is not None and beside.is_file():
            return Module(name, beside, package, why=why)
        return Module(name, path, package, native, beside if beside is not None and beside.is_file() else None, why)

    def _read(self, module: Module, path: Path) -> None:
        text = path.read_text("utf-8", "replace")
        package = module.name if module.package else module.name.rpartition(".")[0]
        try:
            self._queue.append((module.name, uses(text, package)))
            if module.package and "__getattr__" in text:
                self._lazy[module.name] = lazy_names(text, package)
                self._lead(module.name)
        except SyntaxError:  # a template, or of another Python
            return

    def _spared(self, name: str, why: str) -> bool:
        """Is this, which a module of ours imports when it is needed, in a room of which the program has said nothing?"""
        if not is_ours(name):
            return name.partition(".")[0] not in sys.stdlib_module_names  # h2, trio, uvloop: whoever wants them names them
        rooms = [room for room in SPARED if _within(name, room)]
        return any(not _within(why, room) for room in rooms)

    def _of_library(self, name: str) -> bool:
        """Is this a module of the standard library?"""
        return name.partition(".")[0] in sys.stdlib_module_names


def uses(source: str, package: str = "") -> Uses:
    """What a text imports, as a module of `package`. Raises SyntaxError."""
    found = Uses()
    bound: dict[str, str] = {}  # names of modules in this text
    tree = ast.parse(source)
    for node, later in walk(tree):
        into = found.later if later else found.modules
        if isinstance(node, ast.Import):
            for alias in node.names:
                into.add(alias.name)
                bound[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, package)
            if base is None:
                continue
            into.add(base)
            for alias in node.names:
                into.add(f"{base}.{alias.name}")  # a module, perhaps; what isn't there is passed over
                found.names.setdefault(base, set()).add(alias.name)
                bound[alias.asname or alias.name] = f"{base}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            found.names.setdefault(bound[node.value.id], set()).add(node.attr)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            inner = node.value  # import netstack.http; netstack.http.HttpServer
            if isinstance(inner.value, ast.Name) and inner.value.id in bound:
                found.names.setdefault(f"{bound[inner.value.id]}.{inner.attr}", set()).add(node.attr)
    return found


def walk(tree: ast.AST, later: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes but those under TYPE_CHECKING, and whether they are in a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _checking(node.test):
            for other in node.orelse:
                yield other, later
                yield from walk(other, later)
            continue
        yield node, later
        yield from walk(node, later or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def lazy_names(source: str, package: str) -> dict[str, str]:
    """The names that a package's text tells to type checkers only, and the modules that they come from."""
    table = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and _checking(node.test):
            for line in ast.walk(node):
                if isinstance(line, ast.ImportFrom) and (base := absolute(line, package)) is not None:
                    table.update({alias.asname or alias.name: base for alias in line.names})
    return table


def absolute(node: ast.ImportFrom, package: str) -> str | None:
    """The module that `from …` means; None where it leads out of all packages."""
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return None
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def is_ours(name: str) -> bool:
    """A module of this package, or of a back end of its."""
    return name.partition(".")[0].partition("_")[0] == "netstack"


def _within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def _checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
