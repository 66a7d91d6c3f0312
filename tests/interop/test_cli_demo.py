"""`make run`, each of its three ways. The host's network is never touched: the first two run in a namespace of the test's own."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "netstack", "demo"]


def shows_the_page(out):
    return "HTTP/1.1 200 OK" in out and "<!doctype html>" in out.lower() and "the whole page: " in out and "NOT" not in out


def test_on_a_tap_the_kernel_fetches_the_page(netns):
    done = netns.run(*DEMO, "--once", "--mode", "tap")
    assert done.returncode == 0, done.stderr
    assert "GET http://10.79.0.2/ through the kernel's sockets" in done.stdout
    assert shows_the_page(done.stdout)
    assert "nstap0" not in netns.run("ip", "-o", "link", check=True).stdout


def test_rootless_it_makes_a_namespace_and_leaves_the_one_around_alone(netns):
    before = netns.run("ip", "-o", "addr", check=True).stdout
    done = netns.run(*DEMO, "--once", "--mode", "rootless")
    assert done.returncode == 0, done.stderr
    assert "in a namespace of our own" in done.stdout
    assert shows_the_page(done.stdout)
    assert netns.run("ip", "-o", "addr", check=True).stdout == before


def test_in_memory_it_needs_nothing():
    done = subprocess.run([*DEMO, "--once", "--mode", "memory"], capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "A wire in memory" in done.stdout
    assert shows_the_page(done.stdout)


def test_a_taken_name_and_a_taken_network_are_one_sentence_each(netns):
    netns.run("ip", "tuntap", "add", "dev", "nstap0", "mode", "tap", check=True)
    taken = netns.run(*DEMO, "--once", "--mode", "tap")
    assert (taken.returncode, taken.stderr.count("\n")) == (2, 1)
    assert "there is an interface nstap0 already: choose another name with --tap NAME" in taken.stderr
    netns.run("ip", "addr", "add", "10.79.0.200/25", "dev", "nstap0", check=True)
    netns.run("ip", "link", "set", "nstap0", "up", check=True)
    overlap = netns.run(*DEMO, "--once", "--mode", "tap", "--tap", "other0")
    assert (overlap.returncode, overlap.stderr.count("\n")) == (2, 1)
    assert "10.79.0.128/25 on nstap0 overlaps" in overlap.stderr
    elsewhere = netns.run(*DEMO, "--once", "--mode", "tap", "--tap", "other0", "--net", "10.80.0.0/24")
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert "http://10.80.0.2/" in elsewhere.stdout


@pytest.mark.needs("curl", "ping")
def test_it_goes_on_until_ctrl_c_and_can_be_reached_meanwhile(netns):
    demo = netns.start(*DEMO, "--mode", "tap", cwd=ROOT)
    try:
        for line in demo.stdout:
            if line.startswith("packets in"):
                break
        assert "0% packet loss" in netns.run("ping", "-c", "2", "-i", "0.2", "10.79.0.2", check=True).stdout
        assert "<!doctype html>" in netns.run("curl", "-sS", "http://10.79.0.2/", check=True).stdout.lower()
    finally:
        demo.send_signal(signal.SIGINT)
        _, err = demo.communicate(timeout=20)
    assert (demo.returncode, err) == (0, "")


@pytest.mark.needs("curl", "nsenter")
def test_the_way_into_the_rootless_namespace_is_the_one_it_prints(netns):
    demo = netns.start(*DEMO, "--mode", "rootless", cwd=ROOT)
    try:
        said = []
        for line in demo.stdout:
            said.append(line)
            if line.startswith("packets in"):
                break
        enter = re.search(r"nsenter [^#]*?(?=\s{2,}#)", "".join(said))[0].split()
        got = subprocess.run([*enter, "curl", "-sS", "http://10.79.0.2/"], capture_output=True, text=True, timeout=30, check=True)
        assert "<!doctype html>" in got.stdout.lower()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=20)


def test_a_capture_that_cannot_be_written_is_not_taken_for_a_missing_device(netns, tmp_path):
    done = netns.run(*DEMO, "--once", "--pcap", str(tmp_path / "no" / "x.pcapng"))
    assert done.returncode == 1
    assert "x.pcapng: No such file or directory" in done.stderr
    assert done.stdout == ""
