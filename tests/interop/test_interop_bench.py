"""`make bench` runs: what it measures is nobody's business here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.needs("gcc", "ip", "unshare")
@pytest.mark.needs_tap
def test_a_row_of_the_bench_is_measured_beside_its_peer_and_leaves_no_device_behind(tmp_path):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backends'}"}
    devices = Path("/proc/net/dev").read_text().count("\n")
    command = [sys.executable, "-m", "tests.bench.run", "--quick", "plain-receive", "--to", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "bench.json").read_text())
    assert document["missing"] == {}
    (goal,) = document["goals"]
    assert goal["measured"][0] > 0
    assert (tmp_path / "bench.html").read_text().startswith("<!doctype html>")
    assert Path("/proc/net/dev").read_text().count("\n") == devices


def test_a_name_that_nothing_has_is_answered_with_what_there_is():
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backends'}"}
    command = [sys.executable, "-m", "tests.bench.run", "no-such-row"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert "pure-receive" in done.stdout
    assert "bench_idle" in done.stdout
