"""What tests/conftest.py promises to other tests."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]


def test_a_namespace_is_apart_from_the_host(netns):
    assert netns.run("ip", "-o", "link", check=True).stdout.count("\n") == 1  # the loopback alone
    netns.run("ip", "tuntap", "add", "dev", "conftest0", "mode", "tap", check=True)
    assert "conftest0" in netns.run("ip", "-o", "link", check=True).stdout


def test_the_seed_is_the_same_all_through_a_test(seed, request):
    assert random.Random(seed).random() == random.Random(request.config.option.seed).random()


def run_elsewhere(tmp_path, text, *options):
    """pytest on a test file of its own, with our conftest and no programs to find."""
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options, str(tmp_path)]
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60).stdout


def test_what_does_not_run_is_counted_with_the_reason_and_the_way_to_get_it(tmp_path):
    text = """
import pytest
@pytest.mark.needs("curl")
@pytest.mark.parametrize("n", range(3))
def test_fetch(n): pass
@pytest.mark.needs_tap
def test_tap(): pass
def test_space(netns): pass
def test_plain(): pass
"""
    out = run_elsewhere(tmp_path, text)
    assert "1 passed, 5 skipped" in out
    section = out.partition(" not run ")[2]
    assert "    3  curl is not installed: make tools, or install curl" in section
    assert "    2  unshare is not installed: make tools, or install util-linux" in section


def test_a_failure_prints_the_seed_and_the_option_repeats_it(tmp_path):
    text = "def test_dice(seed): assert seed == 8"
    assert "repeat this run with --seed 7" in run_elsewhere(tmp_path, text, "--seed", "7")
    assert "1 passed" in run_elsewhere(tmp_path, text, "--seed", "8")
