"""Which build is under test, proven rather than hoped for."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netstack

ROOT = Path(__file__).resolve().parents[3]
EXPECT = os.environ.get("NETSTACK_EXPECT", "")
SETUP = (ROOT / "setup.py").read_text("utf-8")
TWINS = ast.literal_eval(re.search(r"^NEVER_COMPILED = (.*)$", SETUP, re.MULTILINE)[1])
COMPILED = sorted(
    ".".join(pxd.relative_to(root).with_suffix("").parts)
    for root in (ROOT, ROOT / "backends")
    for pxd in root.glob("netstack*/**/*.pxd")
    if pxd.stem not in TWINS
)


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints, with its modules found as here."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "backends")))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_the_build_under_test_is_the_one_that_was_asked_for():
    if not EXPECT:
        pytest.skip("NETSTACK_EXPECT names no build: make test runs both")
    assert EXPECT in ("compiled", "pure")
    assert netstack.build_info().build == EXPECT


def test_every_module_comes_from_the_same_build():
    build = netstack.build_info().build
    loaded = {name: importlib.import_module(name).__file__ for name in COMPILED}
    other = [file for file in loaded.values() if file.endswith(".py") != (build == "pure")]
    assert not other, f"this is the {build} build, but: {other} (make test compiles what has changed)"


def test_the_pure_build_loads_sources_even_where_compiled_modules_lie_beside_them():
    code = f"import netstack, importlib\nfor m in {COMPILED!r}: importlib.import_module(m)\nprint(netstack.build_info())"
    assert "build='pure', compiled=()" in python(code, NETSTACK_PURE="1")


def test_build_info_counts_what_is_loaded():
    info = netstack.build_info()
    assert (info.build == "compiled") == ("netstack.cores" in info.compiled)
    assert info.python == ".".join(map(str, sys.version_info[:3]))


def test_importing_netstack_loads_nothing_heavy():
    code = "import sys, netstack; print(*sorted(sys.modules))"
    loaded = set(python(code).split())
    assert "netstack" in loaded
    assert not loaded & {"asyncio", "ssl", "attr", "attrs", "socket", "selectors", "httptools", "netstack.cores", "netstack.stack"}


def test_public_names_can_be_imported():
    missing = [name for name in netstack.__all__ if not hasattr(netstack, name)]
    assert not missing
    assert set(netstack.__all__) <= set(dir(netstack))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        netstack.opne  # noqa: B018
