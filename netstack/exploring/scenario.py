"""What is explored: an async function of one argument, a `netsim`; or a test that is one.

Processes get it by its name, as `pickle` sends functions, so it stands at the top of a module that they can import. Of a test its
marks are read: the faults of `@pytest.mark.netsim(loss=0.2)`, and `@pytest.mark.trio` for the runtime.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs

from ..errors import UsageError

Function = Callable[[Any], Awaitable[object]]
RUNTIMES = ("asyncio", "trio")


@attrs.frozen
class Scenario:
    """`faults` and `topology` are those of its mark."""

    function: Function
    runtime: str
    faults: dict[str, Any]
    topology: Any = None

    @property
    def name(self) -> str:
        """`module:function`, as it is imported."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def place(self) -> str:
        """How a command line names it: `path.py::function` where it stands in a file that is no installed package."""
        file = inspect.getsourcefile(self.function)
        if file is None or not Path(file).is_relative_to(Path.cwd()):
            return self.name
        return f"{Path(file).relative_to(Path.cwd())}::{self.function.__qualname__}"

    @property
    def source(self) -> str:
        """A digest of the file in which it stands: what was found in another version of it is not believed."""
        file = inspect.getsourcefile(self.function)
        try:
            return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()[:16]
        except OSError:
            return ""


def read_scenario(function: object, runtime: str | None = None) -> Scenario:
    """Raises UsageError where it can't be run."""
    if isinstance(function, str):
        function = find(function)
    name = getattr(function, "__qualname__", repr(function))
    if not callable(function) or not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise UsageError(f"{name} is no scenario: write async def {getattr(function, '__name__', 'scenario')}(netsim): ...")
    parameters = inspect.signature(function).parameters.values()
    wanted = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(wanted) != 1:
        listed = ", ".join(p.name for p in wanted) or "nothing"
        raise UsageError(f"{name} takes {listed}: what is explored takes a netsim and nothing else; give the rest defaults")
    said: dict[str, Any] = {}
    marks = getattr(function, "pytestmark", [])
    for mark in marks if isinstance(marks, list) else [marks]:
        if mark.name == "netsim":
            said |= mark.kwargs
        elif mark.name == "trio" and runtime is None:
            runtime = "trio"
    runtime = runtime or "asyncio"
    if runtime not in RUNTIMES:
        raise UsageError(f"runtime={runtime!r} is none: write asyncio or trio")
    topology = said.pop("topology", None)
    for ours in ("seed", "schedule", "capture"):
        said.pop(ours, None)
    return Scenario(function, runtime, said, topology)


def find(text: str) -> object:
    """What `package.module:function`, `path/to/file.py::function` or `path/to/file.py:function` names. Raises UsageError.

    A file is imported as pytest does: the folder above its outermost package goes on the path, and so other processes find it.
    """
    where, _, name = text.replace("::", ":").rpartition(":")
    if not where or not name:
        raise UsageError(f"{text!r} names no function: write tests/test_x.py::test_y, or package.module:function")
    module = _import_file(Path(where)) if where.endswith(".py") else _import(where, text)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise UsageError(f"there is no {name} in {where}")
    return found


def _import_file(path: Path) -> Any:
    path = path.resolve()
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    parts = [path.stem]
    top = path.parent
    while (top / "__init__.py").exists():
        parts.insert(0, top.name)
        top = top.parent
    if str(top) not in sys.path:
        sys.path.insert(0, str(top))
    return _import(".".join(parts), str(path))


def _import(name: str, said: str) -> Any:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise UsageError(f"{said!r}: there is no module {error.name}") from error
        raise
