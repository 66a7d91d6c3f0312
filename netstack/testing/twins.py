"""Two builds in one process: a pure copy of the package beside the compiled one.

`load_pure()` imports the `.py` files once more, under another name, whatever lies compiled beside them; its classes are a tree
of their own. The package imports its own modules relatively, and so the copy stays with itself.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PURE = "netstack_twin"
ROOT = Path(__file__).resolve().parent.parent


class SourceOnly:
    """A finder for one renamed package that never looks at extension modules."""

    def __init__(self, alias: str, root: Path) -> None:
        self.alias = alias
        self.root = root

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.alias and not name.startswith(self.alias + "."):
            return None
        where = self.root.joinpath(*name.split(".")[1:])
        package = where / "__init__.py"
        if package.exists():
            return spec_from_file_location(name, package, submodule_search_locations=[str(where)])
        file = where.with_suffix(".py")
        return spec_from_file_location(name, file, loader=SourceFileLoader(name, str(file))) if file.exists() else None


def load_pure(module: str = "") -> ModuleType:
    """The pure copy of `netstack.<module>`, or of the package itself: `load_pure("testing.rawtwin")`."""
    if not any(isinstance(finder, SourceOnly) and finder.alias == PURE for finder in sys.meta_path):
        sys.meta_path.insert(0, SourceOnly(PURE, ROOT))
    return importlib.import_module(f"{PURE}.{module}" if module else PURE)
