"""The build: packages, entry points, and the modules that Cython compiles.

A module is compiled when a `.pxd` of the same name lies beside its `.py`; the `.py` is the truth and runs as it is. The twins
`raw` and `const` are never compiled: their `.pxd` *is* their compiled form, inlined into whoever cimports it.

NETSTACK_CYTHON   auto (the default): compile, and go on in pure Python when that fails
                  require: compile or fail                     0: pure Python
NETSTACK_CFLAGS   more flags for the C compiler; -O3 is the default, since gcc vectorises the checksum only there
NETSTACK_PURE=1   at run time: ignore what was compiled and import the `.py` files
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
ROOTS = (Path(), Path("backends"))
NEVER_COMPILED = {"__init__", "const", "raw"}
DIRECTIVES = {"language_level": 3, "annotation_typing": False, "boundscheck": True, "cdivision": True, "binding": False}

MODE = os.environ.get("NETSTACK_CYTHON", "auto")
if MODE not in ("0", "auto", "require"):
    sys.exit(f"NETSTACK_CYTHON={MODE!r} is not a choice: say 0, auto or require")


def compiled_modules() -> list[tuple[str, Path]]:
    """Dotted name and source of every module with a `.pxd` beside it."""
    found = []
    for root in ROOTS:
        for pxd in sorted((HERE / root).glob("netstack*/**/*.pxd")):
            source = pxd.with_suffix(".py")
            if pxd.stem not in NEVER_COMPILED and source.exists():
                relative = source.relative_to(HERE / root)
                found.append((".".join(relative.with_suffix("").parts), root / relative))
    return found


class optional_build_ext(build_ext):
    """In `auto` a module that does not compile is left pure, and the build says so."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception as error:
            if MODE == "require":
                raise
            print(f"netstack: {ext.name} stays pure Python: {error}", file=sys.stderr)


def extensions() -> list[Extension]:
    if MODE == "0":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if MODE == "require":
            sys.exit("NETSTACK_CYTHON=require, but Cython is not installed: pip install cython")
        print("netstack: Cython is not installed, everything stays pure Python", file=sys.stderr)
        return []
    # a 32-bit value shifted by 32 is a wrong demultiplexing key in C and a right one in Python: refuse to build it
    flags = ["-O3", "-g0", "-Werror=shift-count-overflow", *os.environ.get("NETSTACK_CFLAGS", "").split()]
    modules = [Extension(name, [str(path)], extra_compile_args=flags) for name, path in compiled_modules()]
    return cythonize(modules, nthreads=os.cpu_count() or 1, compiler_directives=DIRECTIVES, include_path=[".", "backends"])


setup(
    packages=find_packages(".", include=["netstack", "netstack.*"]) + find_packages("backends"),
    package_dir={"": ".", **{name: f"backends/{name}" for name in find_packages("backends")}},
    ext_modules=extensions(),
    cmdclass={"build_ext": optional_build_ext},
)
