"""`netstack wire` between the kernel and a stack of ours, in a network namespace of each test's own."""

import re
import signal
import sys
from pathlib import Path

import pytest

from netstack.cli import main
from netstack.pcap import Decoder

ROOT = Path(__file__).resolve().parents[2]
KERNEL, STACK = "10.79.0.1", "10.79.0.2"


@pytest.fixture
def wire(netns):
    """Starts a wire from the kernel's `left` to `right`, which a bridge joins to `ours`, where our stacks are."""
    started = []

    def start(*options):
        process = netns.start(sys.executable, "-m", "netstack", "wire", "tap:left", "tap:right", *options, cwd=ROOT)
        started.append(process)
        assert process.stdout.readline() == "left and right are joined; end with Ctrl-C or SIGTERM\n"
        for words in (
            f"addr add {KERNEL}/24 dev left",
            "link add between type bridge",
            "tuntap add dev ours mode tap",
            "link set right master between",
            "link set ours master between up",
            "link set between up",
        ):
            netns.run("ip", *words.split(), check=True)
        # the kernel is at both ends here; it shall answer for its address only at the end where it has it
        netns.run("sysctl", "-qw", "net.ipv4.conf.between.arp_ignore=1", check=True)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ping(netns, *words):
    command = ["ping", KERNEL, "--netif", f"tap:ours?address={STACK}/24", *words]
    return netns.run(sys.executable, "-m", "netstack", *command).stdout


@pytest.mark.needs("ip")
def test_what_crosses_takes_the_delay_of_each_direction_and_is_counted(netns, wire, tmp_path):
    capture = tmp_path / "wire.pcapng"
    process = wire("--fault", "delay=30ms", "--back", "delay=10ms", "--pcap", str(capture))
    out = ping(netns, "-c", "3", "-i", "0.05")
    times = [float(text) for text in re.findall(r"time=([\d.]+) ms", out)]
    assert len(times) == 3
    assert min(times) >= 40  # and how much more is the machine's affair
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    there, back, late = out.splitlines()
    came = [int(n) for n in re.findall(r"(\d+) frames came", there + back)]
    assert re.match(r"left -> right: \d+ frames came, \d+ went on$", there)
    assert re.match(r"right -> left: \d+ frames came, \d+ went on$", back)
    assert min(came) >= 4  # three echoes, and who has the address
    assert late.startswith("the latest frame left ")
    assert len(Decoder().feed(capture.read_bytes())) == sum(came)


@pytest.mark.needs("ip")
def test_a_wire_that_loses_all_says_so(netns, wire):
    process = wire("--fault", "loss=100%")
    assert "100% packet loss" in ping(netns, "-c", "2", "-i", "0.05", "-W", "0.2")
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert re.search(r"right -> left: (\d+) frames came, 0 went on, \1 Lost", out)


@pytest.mark.needs("ip")
def test_a_device_that_is_taken_away_ends_the_wire_with_a_sentence(netns, wire):
    process = wire()
    netns.run("ip", "link", "del", "right", check=True)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "the device is gone" in err
    assert err.count("\n") == 1
    assert "frames came" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tap:x", "tap:x"], "tap:x is named twice"),
        (["tap:x", "nonsense:y"], "'nonsense'"),
        (["tap:x"], "required: B"),
        (["tap:x", "tap:y", "--fault", "loss=2"], "loss=2.0 is not a probability"),
        (["tap:x", "tap:y", "--back", "rain=1"], "'rain' is not a fault"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, words, said):
    assert main(["wire", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
