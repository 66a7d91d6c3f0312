"""What `netstack doctor` says must be what the machine does."""

import json
import os
import subprocess
import sys

import pytest

import netstack
from netstack.cli import doctor, main


def test_every_check_that_is_not_ok_says_what_to_do():
    checks = doctor.examine()
    assert [check.name for check in checks][:2] == ["python", "build"]
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.text
        assert bool(check.do) != check.ok, check


def test_json_says_the_same_as_the_table(capsys):
    status = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (status == 0) == all(check["ok"] for check in report["checks"])
    assert {"name", "ok", "text", "do"} == set(report["checks"][0])
    build = next(check for check in report["checks"] if check["name"] == "build")
    assert netstack.build_info().build in build["text"].lower()


@pytest.mark.needs_tap
def test_the_probe_makes_a_tap_in_a_namespace_and_leaves_none(netns):
    before = netns.run("ip", "-o", "link", check=True).stdout
    done = netns.run(sys.executable, "-m", "netstack.cli.namespace", check=True)
    assert json.loads(done.stdout) == {"namespace": "", "tap": "", "offload": ""}
    assert netns.run("ip", "-o", "link", check=True).stdout == before


def test_a_probe_that_fails_says_where_and_why():
    code = (
        "import netstack.cli.namespace as n, errno\n"
        "def refuse(flags): raise PermissionError(errno.EPERM, 'Operation not permitted')\n"
        "n.unshare = refuse\n"
        "print(n.probe())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert "{'namespace': 'Operation not permitted', 'tap': 'not tried', 'offload': 'not tried'}" in done.stdout
