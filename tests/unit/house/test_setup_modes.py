"""What setup.py does when it can't compile, on a package of two modules."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def load_both():
    """tests/both.py, which is no module on the path."""
    spec = importlib.util.spec_from_file_location("both", ROOT / "tests" / "both.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


both = load_both()
needs_compiler = pytest.mark.skipif(bool(both.why_not_compiled()), reason=both.why_not_compiled() or "-")
needs_cython = pytest.mark.skipif(importlib.util.find_spec("Cython") is None, reason="Cython is not installed: make installs it")


class Tree:
    """A checkout of a very small netstack."""

    def __init__(self, folder):
        self.folder = folder
        package = folder / "netstack"
        package.mkdir()
        (folder / "backends").mkdir()
        shutil.copy(ROOT / "setup.py", folder)
        for name in ("__init__.py", "__init__.pxd", "one.pxd", "two.pxd"):
            (package / name).touch()
        (package / "one.py").write_text("def one():\n    return 1\n")
        (package / "two.py").write_text("def two():\n    return 2\n")

    def build(self, **environment):
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        environment = {**os.environ, "NETSTACK_CFLAGS": "-O0", "CI": "", **environment}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)

    def binaries(self):
        return sorted(path.name.partition(".")[0] for path in (self.folder / "netstack").glob("*.so"))

    def leave(self, name):
        """A binary from an earlier build."""
        (self.folder / "netstack" / f"{name}{SUFFIX}").write_bytes(b"old")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@needs_cython
def test_without_a_compiler_everything_stays_pure_and_a_line_says_so(tree):
    tree.leave("one")
    done = tree.build(CC="/no/such/compiler")
    assert done.returncode == 0
    assert tree.binaries() == []
    told = [line for line in done.stderr.splitlines() if line.startswith("netstack: nothing was compiled")]
    assert len(told) == 1 and "/no/such/compiler" in told[0]


@needs_cython
def test_require_fails_where_auto_goes_on(tree):
    assert tree.build(CC="/no/such/compiler", NETSTACK_CYTHON="require").returncode != 0


@needs_cython
@needs_compiler
def test_one_module_that_fails_leaves_none_compiled_and_mending_it_compiles_all(tree):
    pxd = tree.folder / "netstack" / "two.pxd"
    pxd.write_text("cdef class Broken(\n")
    done = tree.build()
    assert done.returncode == 0
    assert "netstack: nothing was compiled" in done.stderr
    assert tree.binaries() == []
    pxd.write_text("")
    assert tree.build().returncode == 0
    assert tree.binaries() == ["one", "two"]


def test_zero_removes_what_was_compiled_before(tree):
    tree.leave("one")
    assert tree.build(NETSTACK_CYTHON="0").returncode == 0
    assert tree.binaries() == []


def test_a_binary_whose_source_is_gone_is_removed(tree):
    tree.leave("renamed")
    assert tree.build(CC="/no/such/compiler").returncode == 0
    assert "renamed" not in tree.binaries()


@needs_cython
@needs_compiler
def test_an_extension_over_a_library_without_headers_is_left_out_and_nothing_is_said(tree):
    source = tree.folder / "backends" / "netstack_xen" / "libxen" / "_libxen.c"
    source.parent.mkdir(parents=True)
    source.write_text("#error this was not to be compiled\n")
    compiler = tree.folder / "cc"  # one that finds no headers but Python's
    compiler.write_text('#!/bin/sh\ncase "$*" in *-E*) exit 1;; esac\nexec cc "$@"\n')
    compiler.chmod(0o755)
    done = tree.build(CC=str(compiler))
    assert done.returncode == 0 and "libxen" not in done.stderr
    assert tree.binaries() == ["one", "two"] and not list(source.parent.glob("*.so"))


def test_a_mode_that_does_not_exist_is_refused_with_the_choices(tree):
    done = tree.build(NETSTACK_CYTHON="maybe")
    assert done.returncode != 0
    assert "say 0, auto or require" in done.stderr


class Passed:
    def finish(self):
        return True, "passed"


def test_both_builds_are_tested_side_by_side_and_the_quiet_one_is_heard(monkeypatch, capfd):
    monkeypatch.setattr(both, "compile_in_place", lambda: True)
    monkeypatch.setattr(both, "side_by_side", lambda arguments: True)
    assert both.main(["--version"]) == 0
    assert both.main(["--no-such-option"]) == 1
    heard = capfd.readouterr().out
    assert "the pure build, which ran beside it" in heard and "compiled: passed in" in heard and "pure: FAILED" in heard


def test_one_processor_runs_one_build_after_the_other(monkeypatch, capfd):
    monkeypatch.setattr(both, "compile_in_place", lambda: True)
    monkeypatch.setattr(both, "side_by_side", lambda arguments: False)
    assert both.main(["--version"]) == 0
    heard = capfd.readouterr().out
    assert heard.index("the compiled build") < heard.index("the pure build") and "beside" not in heard


def test_the_parts_of_a_suite_are_the_whole_of_it():
    memory, waiting = both.parts([])
    assert [f"--ignore={path}" for path in waiting] == memory and all((ROOT / path).is_dir() for path in waiting)
    assert both.parts(["-k", "arp"]) == [["-k", "arp"]]


def test_a_run_without_a_compiler_tests_the_pure_build_and_fails_only_under_ci(monkeypatch, capsys):
    monkeypatch.setenv("CC", "/no/such/compiler")
    runs = []
    monkeypatch.setattr(both, "Suite", lambda build, arguments: runs.append(build) or Passed())
    monkeypatch.delenv("CI", raising=False)
    assert both.main([]) == 0
    monkeypatch.setenv("CI", "true")
    assert both.main([]) == 1
    assert runs == ["pure", "pure"]
    assert "compiled: NOT RUN, there is no C compiler" in capsys.readouterr().out
