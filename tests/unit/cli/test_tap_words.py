"""What is typed to netstack-tap: addresses, forwards, guests, and a sentence for what can't be."""

import argparse
import os
import socket
import subprocess
import sys

import pytest

from netstack.cli import main as netstack
from netstack.cli import tap
from netstack.cli.tapping import options, privileges
from netstack.cli.tapping.forwarding import split
from netstack.cli.tapping.options import Addresses, services_config
from netstack.errors import UsageError
from netstack.router.guests.specs import open_guests, read_guest


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    tap.configure(parser)
    return parser.parse_args(words)


def test_addresses_are_those_that_users_of_slirp4netns_know():
    found = Addresses.read("10.0.2.0/24")
    assert [str(each) for each in (found.network, found.gateway, found.dns, found.guest)] == [
        "10.0.2.0/24", "10.0.2.2", "10.0.2.3", "10.0.2.100/24",
    ]  # fmt: skip
    small = Addresses.read("192.168.5.4/30", gateway="192.168.5.5")
    assert str(small.guest) == "192.168.5.6/30" and str(small.gateway) == "192.168.5.5"
    said = Addresses.read("10.9.0.0/16", "10.9.0.1", "10.9.0.1", "10.9.7.7")
    assert str(said.guest) == "10.9.7.7/16" and str(said.dns) == "10.9.0.1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("10.0.2.0",), "has no prefix length"),
        (("10.0.2.0/31",), "from /8 to /30"),
        (("10.0.2.0/24", "10.0.3.1"), "the gateway 10.0.3.1 is no host's address in 10.0.2.0/24"),
        (("10.0.2.0/24", "10.0.2.255"), "is no host's address"),
        (("10.0.2.0/24", None, None, "10.0.2.2"), "10.0.2.2 is the router's"),
        (("10.0.2.0/24", None, None, "10.0.2.9/16"), "another prefix than the network"),
    ],
)
def test_addresses_that_contradict_each_other_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        Addresses.read(*arguments)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("none", []),
        ("2222:22", ["2222:22"]),
        ("22,80:8080", ["22", "80:8080"]),
        ("8000-8010,~8005", ["8000-8004", "8006-8010"]),
        ("8000-8010:9000-9010,~8000,~8004-8006", ["8001-8003:9001-9003", "8007-8010:9007-9010"]),
        ("192.0.2.1/20-30,~25", ["192.0.2.1/20-24", "192.0.2.1/26-30"]),
        ("192.0.2.1/20,21", ["192.0.2.1/20", "192.0.2.1/21"]),
        ("22,25,~25", ["22"]),
        ("unix:/run/a,b:22", ["unix:/run/a,b:22"]),
    ],
)
def test_passts_lists_of_ports_are_taken_apart(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize(("text", "words"), [("all,22", "excludes nothing"), ("22,~x", "excludes nothing")])
def test_what_is_no_list_of_ports_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        split(text)


def test_the_command_line_becomes_what_services_need():
    words = [
        "tap:t",
        "-t",
        "2222:22,8000-8001",
        "-u",
        "53:5353",
        "-T",
        "5432",
        "-D",
        "9.9.9.9",
        "-S",
        "a.test",
        "--hosts",
        "db=10.0.2.7",
    ]
    args = parsed(*words, "--mtu", "9000", "--control", "/run/c", "-a", "10.0.2.15")
    config = services_config(args, options.addresses(args))
    assert config.tcp == ("2222:22", "8000-8001") and config.udp == ("53:5353",) and config.tcp_out == ("5432",)
    assert config.servers == ("9.9.9.9",) and config.search == ("a.test",) and config.hosts == {"db": "10.0.2.7"}
    assert config.mtu == 9000 and config.control == "/run/c" and str(config.leased()[0]) == "10.0.2.15"
    assert services_config(parsed("tap:t", "-D", "none"), Addresses.read("10.0.2.0/24")).dns is None


def test_the_hosts_loopback_is_shut_unless_it_is_asked_for():
    where = Addresses.read("10.0.2.0/24")
    assert not options.reaches_loopback(parsed("tap:t"), where)
    assert options.reaches_loopback(parsed("tap:t", "--map-host-loopback"), where)
    assert options.reaches_loopback(parsed("tap:t", "--map-host-loopback", "10.0.2.2"), where)
    for words in (["--map-host-loopback=10.0.2.9"], ["--map-host-loopback", "--disable-host-loopback"]):
        with pytest.raises(UsageError):
            options.reaches_loopback(parsed("tap:t", *words), where)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "which guest? Write one like tap:tap0"),
        (["tap"], 2, "'tap' does not say which guest"),
        (["nix:x"], 2, "there is no kind of device called 'nix'"),
        (["--netns", "nix"], 2, "no namespace is called 'nix'"),
        (["--netns", "4194999"], 2, "there is no process 4194999"),
        (["-m", "10", "tap:t"], 2, "'10' is not an MTU"),
        (["tap:t", "--stats=x"], 2, "'x' is not a time"),
        (["tap:t", "-e", "x"], 2, "'x' is not a descriptor"),
        (["tap:t", "-e", "9999"], 2, "--exit-fd 9999 is not open"),
        (["tap:t", "-t", "all,22"], 2, "'22' in 'all,22' excludes nothing"),
        (["tap:t", "-t", "auto"], 2, "auto needs to see who listens in the guest"),
        (["tap:t", "-o", "192.0.2.77"], 2, "nothing can leave from 192.0.2.77"),
        (["tap:t", "--timeouts", "udp=0"], 2, "'udp=0' is no time-out"),
        (["tap:t", "-t", "0:22"], 2, "ports are from 1 to 65535"),
        (["tap:t", "--hosts", "x"], 2, "'x' names no host"),
        (["tap:t", "--runas", "nobodyatall"], 2, "no user is called 'nobodyatall'"),
        (["tap:t", "--allow", "http://x/"], 2, "is a URL"),
        (["fd:9999"], 2, "descriptor 9999 is not open"),
        (["fd:web"], 2, "write the number of an open descriptor"),
        (["qemu:/nowhere/x,server"], 1, "there is no such folder"),
        (["run"], 2, "which program shall run?"),
        (["run", "--mtu", "1", "x"], 2, "'1' is not an MTU"),
    ],
)
def test_a_mistake_is_one_sentence(words, status, said, capsys):
    assert tap.main(words) == status
    out, err = capsys.readouterr()
    assert said in err and err.startswith("netstack-tap") and err.count("\n") == 1 and not out


def test_netstack_tap_is_also_a_command_of_netstack(capsys):
    assert netstack(["tap", "--netns", "nix"]) == 2
    assert capsys.readouterr().err.startswith("netstack-tap: no namespace")
    assert tap.main(["--help"]) == 0 and "slirp4netns" in capsys.readouterr().out
    assert tap.main(["--version"]) == 0 and capsys.readouterr().out.startswith("netstack-tap ")


def test_a_guest_may_have_a_name():
    name, spec = read_guest("web.1=qemu:/run/x?mtu=9000")
    assert name == "web.1" and spec.kind == "qemu" and spec.options == (("mtu", "9000"),)
    assert read_guest("tap:a=b")[0] == ""


def test_a_descriptor_may_be_any_kind_of_socket_and_systemds_by_name(monkeypatch):
    for kind, shown in ((socket.SOCK_STREAM, "QemuStream"), (socket.SOCK_DGRAM, "QemuDgram"), (socket.SOCK_SEQPACKET, "QemuDgram")):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        guests = open_guests([f"vm=fd:{ours.detach()}"], 1400)
        ((name, netif),) = guests.netifs
        assert name == "vm" and type(netif).__name__ == shown and netif.mtu == 1400
        guests.close()
        theirs.close()
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_FDNAMES", "control:vm.socket")
    with pytest.raises(UsageError, match=r"no descriptor is called 'x': the service manager gave control, vm\.socket"):
        open_guests(["fd:x"])
    read, write = os.pipe()
    with pytest.raises(UsageError, match="neither a tap nor a socket"):
        open_guests([f"fd:{read}"])
    os.close(read)
    os.close(write)


def test_when_one_guest_cannot_be_opened_the_others_are_closed(tmp_path):
    path = str(tmp_path / "a")
    with pytest.raises(UsageError):
        open_guests([f"qemu:{path},server", "tap:a b"])
    assert not os.path.exists(path)


def test_a_user_is_named_or_numbered():
    uid, gid = privileges.read_user("nobody")
    assert uid > 0 and privileges.read_user(f"{uid}:7") == (uid, 7) and privileges.read_user(str(uid)) == (uid, gid)
    for text in ("root", "0", "nobody:nosuchgroup"):
        with pytest.raises(UsageError):
            privileges.read_user(text)


SHUT_IN = """
import os, sys
from netstack.cli import tap
from netstack.router.policy.authority import Authority
authority = Authority.make()
tap.give_up((65534, 65534) if os.geteuid() == 0 else None, True, [], False, ())
assert not os.path.exists("/proc")
authority.context_for("late.example")  # OpenSSL reads keys from files alone
"""


def test_certificates_are_made_by_who_has_given_up_his_files_and_his_name():
    pytest.importorskip("cryptography")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", SHUT_IN], capture_output=True, text=True, timeout=30, env=environment)
    if "Operation not permitted" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("this system allows no mount namespaces")
    assert done.returncode == 0, done.stderr


PROGRAM = """
import ctypes, errno, os, socket, threading
from netstack.cli.tapping import privileges, seccomp
from netstack.router.guests import syscalls

def errno_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0

privileges.drop((privileges.CAP_NET_BIND_SERVICE,))
assert privileges.permitted() & ~(1 << privileges.CAP_NET_BIND_SERVICE) == 0
assert errno_of(os.chroot, "/tmp") == errno.EPERM
attach = ctypes.CDLL(None, use_errno=True).ptrace
pid = os.getpid()
child = os.fork()
if not child:
    os._exit(0 if attach(16, pid, 0, 0) == -1 and ctypes.get_errno() == errno.EPERM else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "it can be attached to"
status = open("/proc/self/status").read()
assert "NoNewPrivs:\\t1" in status, status
if seccomp.install():
    assert errno_of(os.execv, "/bin/true", ["true"]) == errno.EPERM
    assert errno_of(syscalls.unshare, syscalls.CLONE_NEWUSER) == errno.EPERM
    assert errno_of(socket.socket, socket.AF_PACKET, socket.SOCK_RAW) == errno.EAFNOSUPPORT
    socket.socket().close()
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    child = os.fork()
    if not child:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
print("done")
"""


def test_rights_that_were_given_up_are_gone():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, env=environment)
    assert done.stdout == "done\n", done.stderr
