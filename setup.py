"""The build: metadata, packages, entry points, and the modules that Cython compiles.

A module is compiled when a `.pxd` of the same name lies beside its `.py`; the `.py` is the truth and runs as it is. The twins
(`NEVER_COMPILED`: `raw`, `const`, `sysio` and their like) have a `.pxd` that *is* their compiled form, inlined into whoever
cimports it.

Back ends may have an extension in C over a library of others (`OPTIONAL`): it is built where the library's headers are, and its
absence is no error, here or at run time, until somebody asks for what it does.

All or nothing: a compiled module looks for the C types of the modules that it cimports when it is imported, and fails where
those are plain Python. So when one module can't be compiled, none is.

NETSTACK_CYTHON   auto (the default): compile, and install in pure Python when that fails
                  require: compile or fail                     0: pure Python
NETSTACK_CFLAGS   more flags for the C compiler; -O3 is the default, since gcc vectorises the checksum only there
NETSTACK_PURE=1   at run time: ignore what was compiled and import the `.py` files (see `netstack/_build.py`)
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.editable_wheel import editable_wheel

HERE = Path(__file__).resolve().parent
ROOTS = (Path(), Path("backends"))
NEVER_COMPILED = {"__init__", "const", "raw", "shm", "slots", "sysio", "orders", "lines"}
DIRECTIVES = {"language_level": 3, "annotation_typing": False, "boundscheck": True, "cdivision": True, "binding": False}
# a 32-bit value shifted by 32 is a wrong demultiplexing key in C and a right one in Python: refuse to build it
# C11: gcc 15 and later take C23 for granted, in which names of ours are macros and keywords
CFLAGS = ["-O3", "-g0", "-std=gnu11", "-Werror=shift-count-overflow", *os.environ.get("NETSTACK_CFLAGS", "").split()]
GENERATED = HERE / "build" / "c"  # where the C files go: the source tree stays readable

# hand-written C: the folder with all of it, what must be there to be included, and to be linked with
OPTIONAL = {
    "netstack_xen.libxen._libxen": (
        Path("backends/netstack_xen/libxen"),
        ("xengnttab.h", "xenevtchn.h", "xenstore.h", "xentoollog.h"),
        ("xengnttab", "xenevtchn", "xenstore"),
    )
}

MODE = os.environ.get("NETSTACK_CYTHON") or "auto"
if MODE not in ("0", "auto", "require"):
    sys.exit(f"NETSTACK_CYTHON={MODE!r} is not a choice: say 0, auto or require")


def compiled_modules() -> dict[str, Path]:
    """Dotted name and source, relative to this folder, of every module with a `.pxd` beside it."""
    found = {}
    for root in ROOTS:
        for pxd in sorted((HERE / root).glob("netstack*/**/*.pxd")):
            source = pxd.with_suffix(".py")
            if pxd.stem not in NEVER_COMPILED and source.exists():
                relative = source.relative_to(HERE / root)
                found[".".join(relative.with_suffix("").parts)] = root / relative
    return found


def written_in_c(folder: Path) -> list[str]:
    return [str(source.relative_to(HERE)) for source in sorted((HERE / folder).glob("*.c"))]


def sweep(keep: set[str]) -> None:
    """Remove extension modules from the source tree: of this Python all but `keep`, of any Python those without a source."""
    modules = {**compiled_modules(), **{name: folder for name, (folder, *_) in OPTIONAL.items() if written_in_c(folder)}}
    for root in ROOTS:
        for pattern in ("*.so", "*.pyd"):
            for binary in (HERE / root).glob(f"netstack*/**/{pattern}"):
                stem, _, suffix = binary.name.partition(".")
                name = ".".join((*binary.parent.relative_to(HERE / root).parts, stem))
                if name not in modules or (name not in keep and f".{suffix}" == sysconfig.get_config_var("EXT_SUFFIX")):
                    binary.unlink()


def has_headers(extension: Extension) -> bool:
    """Can the compiler include what `extension` does?"""
    _, headers, _ = OPTIONAL[extension.name]
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, *shlex.split(os.environ.get("CFLAGS", "")), "-E", "-xc", "-o", os.devnull, "-"]
    text = "".join(f"#include <{header}>\n" for header in headers)
    try:
        return subprocess.run(command, input=text, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


class BuildExt(build_ext):
    """Translates and compiles what is older than its sources; in `auto`, where that fails, leaves everything pure."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        inplace, compiler = self.inplace, self.compiler  # the base class changes them
        if inplace:
            sweep(keep={ext.name for ext in self.extensions})
        everything = self.extensions
        self.extensions = [ext for ext in everything if ext.name in OPTIONAL and has_headers(ext)]
        if self.extensions:
            super().run()  # by themselves: whether the rest can be compiled is another question
            self.inplace, self.compiler = inplace, compiler
        self.extensions = [ext for ext in everything if ext.name not in OPTIONAL]
        if not self.extensions:
            return
        try:
            self.translate()
            super().run()
        except Exception as error:
            if MODE == "require":
                raise
            self.inplace = inplace
            self.leave_pure()
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"netstack: nothing was compiled, all of it runs as pure Python: {reason}", file=sys.stderr)

    def translate(self) -> None:
        """Python and `.pxd` to C, where the C is older than any of them; all anew, objects too, where they were made otherwise."""
        try:
            import Cython
            from Cython.Build import cythonize
        except ImportError:
            raise RuntimeError("Cython is not installed (pip install cython)") from None
        stamp = GENERATED / "stamp"
        way = f"{Cython.__version__} {DIRECTIVES} {CFLAGS}\n"
        if not stamp.exists() or stamp.read_text() != way:
            self.force = True
        done = cythonize(
            [Extension(ext.name, list(ext.sources)) for ext in self.extensions],
            nthreads=os.cpu_count() or 1,
            compiler_directives=DIRECTIVES,
            include_path=[".", "backends"],
            quiet=not self.distribution.verbose,
            build_dir=str(GENERATED.relative_to(HERE)),
            force=self.force,
        )
        by_name = {ext.name: ext for ext in done}
        for ext in self.extensions:
            ext.sources = by_name[ext.name].sources
        stamp.write_text(way)

    def leave_pure(self) -> None:
        for ext in self.extensions:
            Path(self.build_lib, self.get_ext_filename(ext.name)).unlink(missing_ok=True)
        self.extensions = []
        if self.inplace:
            sweep(keep=set())


class EditableWheel(editable_wheel):
    """An editable install with NETSTACK_CYTHON=0 must not find what an earlier one compiled."""

    def run(self) -> None:
        if MODE == "0":
            sweep(keep=set())
        super().run()


def extensions() -> list[Extension]:
    if MODE == "0":
        return []
    modules = [Extension(name, [str(path)], extra_compile_args=CFLAGS) for name, path in compiled_modules().items()]
    for name, (folder, _, libraries) in OPTIONAL.items():
        if sources := written_in_c(folder):
            limited = {"define_macros": [("Py_LIMITED_API", "0x030B0000")], "py_limited_api": True}
            depends = [str(header.relative_to(HERE)) for header in (HERE / folder).glob("*.h")]
            modules.append(Extension(name, sources, libraries=list(libraries), depends=depends, optional=True, **limited))
    return modules


if __name__ == "__main__":
    os.chdir(HERE)
    backends = find_packages("backends")
    packages = find_packages(".", include=["netstack", "netstack.*"]) + backends
    setup(
        name="netstack",
        version="0.1.0",
        description="A TCP/IP stack that you import",
        long_description=(HERE / "README.md").read_text("utf-8") if (HERE / "README.md").exists() else "",
        long_description_content_type="text/markdown",
        license="ISC",
        classifiers=[
            "Framework :: AsyncIO",
            "Operating System :: POSIX :: Linux",
            "Programming Language :: Cython",
            "Programming Language :: Python :: 3",
            "Topic :: System :: Networking",
            "Typing :: Typed",
        ],
        python_requires=">=3.11",
        install_requires=[
            "attrs>=23.1,<27",
            "httptools>=0.6,<0.10",
            "python-pytun>=2.4,<3; sys_platform == 'linux'",
        ],
        extras_require={
            "test": [
                "pytest>=8,<10",
                "pytest-timeout>=2.2,<3",
                "hypothesis>=6.100,<7",
                "scapy>=2.5,<3",
                "h11>=0.14,<0.17",
                "h2>=4.1,<5",
                "dnspython>=2.4,<3",
                "zeroconf>=0.130,<1",
                "trustme>=1.1,<2",
                "cryptography>=42",
                "trio>=0.25,<0.40",
                "pytest-trio>=0.8,<0.9",
                "pytest-asyncio>=1.0,<2",
                "anyio>=4.6,<5",
                "httpx>=0.27,<0.29",
                "uvloop>=0.19,<1",
                "wsproto>=1.2,<2",
                "websockets>=14,<18",
                "starlette>=0.40,<2",
                "dulwich>=0.22,<2",
                "dask[distributed]>=2024.8",
            ],
            "http2": ["h2>=4.1,<5"],
            "websocket": ["wsproto>=1.2,<2"],
            "intercept": ["cryptography>=42"],
            "dns": ["dnspython>=2.4,<3"],
            "trio": ["trio>=0.25,<0.40"],
            "compat": [  # other people's programs, run unchanged: tests/compat
                "aiohttp>=3.10,<4",
                "aioquic>=1.2,<2",
                "aiosmtpd>=1.4.6,<2",
                "anyio>=4.6,<5",
                "asyncpg>=0.30,<0.40",
                "asyncssh>=2.18,<3",
                "fastapi>=0.115,<1",
                "h2>=4.1,<5",
                "httpx>=0.27,<0.30",
                "hypercorn[trio]>=0.17,<0.20",
                "playwright>=1.45,<2",  # drives the system's chromium, and downloads none
                "redis>=5.1,<9",
                "slixmpp>=1.10,<2",
                "trustme>=1.1,<2",
                "uvicorn>=0.30,<0.60",
                "uvloop>=0.19,<1",
                "websockets>=14,<18",
            ],
            "lint": ["mypy>=1.13,<3", "ruff>=0.8,<0.20"],
        },
        entry_points={
            "console_scripts": ["netstack = netstack.cli:main", "netstack-tap = netstack.cli.tap:main"],
            "netstack.netif": [
                "tap = netstack_tuntap:open_tap",
                "tun = netstack_tuntap:open_tun",
                "pcap = netstack_pcap:open_pcap",
                "qemu = netstack_qemu:open_qemu",
                "packet = netstack_packet:open_packet",
                "xen = netstack_xen:open_xen",
                "xenback = netstack_xen:open_xenback",
            ],
            "netstack.stack": ["posix = netstack_sockets:open_posix", "vchan = netstack_xen.vchan:open_vchan"],
            "pytest11": ["netsim = netstack.netsim.plugin"],
        },
        packages=packages,
        package_dir={"": ".", **{name: f"backends/{name.replace('.', '/')}" for name in backends}},
        package_data={name: ["*.pxd", "*.pyi", "py.typed", "*.html", "*.css", "*.js", "*.svg"] for name in packages},
        ext_modules=extensions(),
        cmdclass={"build_ext": BuildExt, "editable_wheel": EditableWheel},
        zip_safe=False,
    )
