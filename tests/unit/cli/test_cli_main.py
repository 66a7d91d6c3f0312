"""The command line: mistakes are one sentence, and the exit status says whose they were."""

import subprocess
import sys

import pytest

from netstack.cli import COMMANDS, main


def complaint(capsys, *words):
    """Exit status of `netstack words…` and what it said on standard error."""
    status = main(words)
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sevre"], "'sevre' is not a command: there are demo, serve"),
        (["serve", "--port", "99999"], "'99999' is not a port: write a number from 1 to 65535"),
        (["serve", "--port", "http"], "'http' is not a port"),
        (["serve", "--root", "/no/such/folder"], "/no/such/folder is not a folder"),
        (["serve", "--max-body", "10 GB"], "'10 GB' is not a size: write a number of bytes, or one like 20g"),
        (["serve", "--cert", "/no/such/file", "--net", "posix"], "--cert /no/such/file: No such file or directory"),
        (["serve", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["ping"], "required: HOST"),
        (["ping", "10.0.0.1", "-c", "0"], "'0' is not a count"),
        (["ping", "10.0.0.1", "-i", "-1"], "-i"),
        (["ping", "10.0.0.1", "-i", "nan"], "'nan' is not a time"),
        (["ping", "10.0.0.1", "-s", "70000"], "ask for 0 to 65507 bytes"),
        (["demo", "--mode", "magic"], "invalid choice: 'magic'"),
        (["demo", "--net", "10.0.0.0/31"], "has no room for two hosts"),
        (["demo", "--net", "10.0.0/8"], "is not an IPv4 address"),
        (["demo", "--net", "224.0.0.0/24"], "has no addresses for hosts: give a private one"),
        (["demo", "--net", "127.0.0.0/24"], "has no addresses for hosts"),
        (["ping", "nohost", "--netif", "tap:x"], "'nohost' is neither an IPv4 address nor a host that is known"),
        (["ping", "x.example", "--netif", "loopback:", "--dns", "dns.example"], "'dns.example' is not an address"),
        (["ping", "10.0.0.1", "--netif", "tap:x", "--address", "10.0.0.2"], "no prefix length: write the network too"),
        (["serve", "--netif", "tap:x?host=10.0.0.1&address=10.0.0.2/24"], "10.0.0.1 has no prefix length"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence_and_status_2(capsys, words, said):
    status, err = complaint(capsys, *words)
    assert status == 2
    assert said in err
    assert err.startswith("netstack")
    assert err.count("\n") == 1


def test_ping_takes_a_name_of_a_hosts_file(capsys, tmp_path):
    (tmp_path / "hosts").write_text("127.0.0.1 seven.example\n")
    assert main(["ping", "seven.example", "-c", "1", "--netif", "loopback:", "--hosts", str(tmp_path / "hosts")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("PING seven.example (127.0.0.1) 56(84) bytes of data.\n64 bytes from 127.0.0.1: icmp_seq=1 time=")


@pytest.mark.parametrize("command", ["ping 10.0.0.1", "serve", "smallservers"])
def test_without_a_device_the_command_says_how_to_name_one(capsys, monkeypatch, command):
    monkeypatch.delenv("NETSTACK", raising=False)
    status, err = complaint(capsys, *command.split())
    assert status == 2
    assert "on which device? Say --netif tap:tap0" in err


def test_the_environment_names_the_device_and_the_command_line_wins(capsys, monkeypatch):
    monkeypatch.setenv("NETSTACK", "nonsense:x?address=10.0.0.2/24")
    assert "'nonsense'" in complaint(capsys, "ping", "10.0.0.1")[1]
    assert "'rubbish'" in complaint(capsys, "ping", "10.0.0.1", "--netif", "rubbish:y", "--address", "10.0.0.2/24")[1]


def test_a_missing_address_is_one_sentence(capsys):
    status, err = complaint(capsys, "ping", "10.0.0.1", "--netif", "tap:nstest0")
    assert status == 2
    assert "address" in err
    assert err.count("\n") == 1


def test_no_command_shows_all_of_them_and_is_a_mistake(capsys):
    status, err = complaint(capsys)
    assert status == 2
    assert all(name in err for name in COMMANDS)


def test_version_and_help_are_no_mistakes(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("netstack 0.")
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        assert "usage: netstack" in capsys.readouterr().out


def test_a_command_loads_only_what_it_needs():
    code = "import sys; from netstack.cli import main; main(['--version']); print(*(m for m in sys.modules if 'netstack.' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("\n", 1)[1].split())
    assert "netstack.cli" in loaded
    assert not {name for name in loaded if name.startswith(("netstack.cli.", "netstack.runtime", "netstack.tcp"))}
