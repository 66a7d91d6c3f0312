"""Modules that are put off until somebody looks into them.

asyncio imports much that most programs never use, TLS first of all: starting OpenSSL, reading what a traceback would need, and the
like are a fifth of all that an image imports. What `import ssl` binds in an image is an empty module that becomes the real one when
it is first asked for a name. So nothing is missing, and who uses it pays then. Only modules that import nothing with effects, and
that nobody needs by being there, are fit for that.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader  # whose import brings thirty modules along
else:
    Loader = object

PUT_OFF = frozenset(("ssl", "asyncio.sslproto", "inspect", "ipaddress", "linecache", "locale", "textwrap"))

MACHINERY = ("__file__", "__cached__", "__path__")  # what it looks for before it sets them

_lock = threading.RLock()


class Later:
    """A finder for `sys.meta_path`."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in PUT_OFF:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Empty(spec.loader)
        return spec


class _Empty(Loader):
    """Loads nothing, yet."""

    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Waiting(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Waiting(ModuleType):
    """The import machinery gives it its names with underscores; the first other one that somebody wants fills it."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if spec is None or name in MACHINERY:
            raise AttributeError(name)
        with _lock:  # other threads wait until all of it is there
            if isinstance(spec.loader, _Empty):  # neither filled meanwhile nor being filled
                empty, real = spec.loader, spec.loader.real
                self.__loader__ = spec.loader = real
                try:
                    real.exec_module(self)
                except BaseException:
                    self.__loader__ = spec.loader = empty  # the next one hears of it, too
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment]  # from now on it is one like all others
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def put_off() -> None:
    """From now on, for what isn't imported yet."""
    sys.meta_path.insert(0, Later())
