"""Which build runs: what Cython compiled, or the `.py` files themselves.

Both can stand in one tree. An extension module wins over the `.py` beside it, as everywhere in Python; with NETSTACK_PURE=1 in
the environment the finder below comes first, and it knows only `.py` files. It serves `netstack` and the back ends, whose
packages must import `netstack` before modules of their own: half a tree of each build does not run.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import NamedTuple


class BuildInfo(NamedTuple):
    """What `build_info()` found."""

    build: str
    """"compiled" or "pure"."""
    compiled: tuple[str, ...]
    """The compiled modules that are loaded by now, sorted."""
    python: str
    """Version of the interpreter."""


class SourceOnly:
    """A finder for `sys.meta_path` that never looks at extension modules of this project."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Only submodules: packages themselves are never compiled, and where they lie is for others to find."""
        top, dot, _ = name.partition(".")
        if path is None or not dot or not (top == "netstack" or top.startswith("netstack_")):
            return None
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def wants_pure() -> bool:
    """Does the environment ask for the pure build?"""
    return os.environ.get("NETSTACK_PURE", "") not in ("", "0")


def install() -> None:
    """Called once, by `netstack/__init__`, before any other module of the package is imported."""
    if wants_pure():
        sys.meta_path.insert(0, SourceOnly())


def is_compiled(module: ModuleType) -> bool:
    """Was it loaded from an extension module?"""
    return (getattr(module, "__file__", None) or "").endswith(tuple(EXTENSION_SUFFIXES))


def build_info() -> BuildInfo:
    """The build that this process runs. All or nothing was compiled, so one module that everybody imports tells."""
    from . import cores

    ours = [(name, module) for name, module in list(sys.modules.items()) if name.partition(".")[0].partition("_")[0] == "netstack"]
    return BuildInfo(
        build="compiled" if is_compiled(cores) else "pure",
        compiled=tuple(sorted(name for name, module in ours if is_compiled(module))),
        python=".".join(map(str, sys.version_info[:3])),
    )
