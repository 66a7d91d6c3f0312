"""`netstack dns`: what it refuses before anything is opened, and a server on the loopback that is told to reload and to end."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netstack.cli import main
from netstack.dns import name
from netstack.dns.message import Message, Question, Record, decode

ROOT = Path(__file__).resolve().parents[3]
ZONE = "$TTL 300\n@ IN SOA ns hostmaster {} 7200 900 1209600 300\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.{}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "what is to be served? Say --zone FILE"),
        ("--zone /no/such/file", "/no/such/file: No such file"),
        ("--forward nobody", "'nobody' in 'nobody' is not an address"),
        ("--forward 10.0.0.1 --resolve x", "choose one"),
        ("--secondary example.", "write it like example.@10.0.0.1"),
        ("--secondary example.@10.0.0.1#key", "there is no --key of that name"),
        ("--forward 10.0.0.1 --allow-transfer nonsense", "'nonsense' is not a network"),
        ("--forward 10.0.0.1 --allow-recursion nonsense", "'nonsense' is not a network"),
        ("--forward 10.0.0.1 --key nonsense", "a TSIG key is written like"),
        ("--forward 10.0.0.1 --rrl 0", "'0' is not a count"),
        ("--origin example. --zone a --zone b", "--origin is for one zone file"),
        ("--forward 10.0.0.1 --port 99999", "is not a port"),
        ("--forward 10.0.0.1", "on which device?"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, monkeypatch, words, said):
    monkeypatch.delenv("NETSTACK", raising=False)
    assert main(["dns", *words.split()]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_zone_that_is_not_lawful_is_said_with_its_line(capsys, tmp_path):
    path = tmp_path / "zone"
    path.write_text(ZONE.format(7, "80") + "www A nonsense\n")
    assert main(["dns", "--zone", f"example.={path}", "--net", "posix"]) == 2
    assert ":6" in capsys.readouterr().err


def free_port() -> int:
    """That is free for UDP and TCP on the loopback."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]


def ask(port: int, text: str) -> Message:
    m = Message(7, 0x0100)
    m.question.append(Question(name.parse(text), 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(m.encode(), ("127.0.0.1", port))
        return decode(s.recv(65535))


def test_a_server_reloads_its_zone_and_keeps_the_old_one_when_the_new_one_is_not_lawful(tmp_path):
    path, pid, port = tmp_path / "zone", tmp_path / "pid", free_port()
    path.write_text(ZONE.format(7, "80"))
    words = f"dns --net posix --listen 127.0.0.1 --port {port} --zone example.={path} --pid {pid} --stats".split()
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backends'}"}
    with subprocess.Popen(
        [sys.executable, "-m", "netstack", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as server:
        try:
            assert server.stdout is not None and server.stderr is not None
            assert server.stdout.readline().startswith(f"serving example. (7) on port {port}")
            assert int(pid.read_text()) == server.pid
            assert ask(port, "www.example.").answer[0].rdata == bytes((192, 0, 2, 80))
            path.write_text(ZONE.format(8, "81"))
            server.send_signal(signal.SIGHUP)
            assert server.stderr.readline() == f"netstack: {path}: serial 8\n"
            assert ask(port, "www.example.").answer[0].rdata == bytes((192, 0, 2, 81))
            path.write_text(ZONE.format(9, "nonsense"))
            server.send_signal(signal.SIGHUP)
            assert server.stderr.readline().endswith("the old zone stays\n")
            assert ask(port, "www.example.").answer[0].rdata == bytes((192, 0, 2, 81))
            server.send_signal(signal.SIGHUP)
            assert server.stderr.readline() == f"netstack: {path}: unchanged\n"
            server.terminate()
            rest = server.stderr.read()
            assert "netstack: Door.Hits" in rest and "netstack: Door.Fills 2\n" in rest
            assert server.wait(20) == 0
            assert not pid.exists()
        finally:
            server.kill()


def serving(words: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backends'}"}
    command = [sys.executable, "-m", "netstack", "dns", "--net", "posix", "--listen", "127.0.0.1", *words.split()]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert server.stdout is not None and server.stderr is not None
    assert server.stdout.readline().startswith("serving"), server.stderr.read()
    return server


def update(port: int, text: str, address: bytes) -> int:
    m = Message(8, 5 << 11)
    m.question.append(Question(name.parse("example."), 6))
    m.authority.append(Record(name.parse(text), 1, 1, 60, address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(m.encode(), ("127.0.0.1", port))
        return decode(s.recv(65535)).rcode


def end(server: subprocess.Popen[str], how: int) -> None:
    with server:
        server.send_signal(how)


def test_updates_are_there_after_a_crash_and_copies_without_their_primary(tmp_path):
    path, copy, port, other = tmp_path / "zone", tmp_path / "copy", free_port(), free_port()
    path.write_text(ZONE.format(7, "80"))
    words = f"--port {port} --zone example.={path} --allow-update any --allow-transfer any"
    server = serving(words)
    try:
        assert update(port, "new.example.", b"\xc0\0\2\7") == 0
        end(server, signal.SIGKILL)
        server = serving(words)
        assert ask(port, "new.example.").answer[0].rdata == b"\xc0\0\2\7"
        assert path.read_text() == ZONE.format(7, "80"), "the zone file is the user's"
        path.write_text(ZONE.format(9, "81"))
        server.send_signal(signal.SIGHUP)
        assert server.stderr is not None and server.stderr.readline().endswith("was updated since, and would lose that\n")
        second = serving(f"--port {other} --secondary example.@127.0.0.1:{port}={copy}")
        try:
            for _ in range(500):
                if copy.exists():
                    break
                time.sleep(0.02)
            end(server, signal.SIGTERM)
            end(second, signal.SIGKILL)
            second = serving(f"--port {other} --secondary example.@127.0.0.1:{port}={copy}")
            assert ask(other, "new.example.").answer[0].rdata == b"\xc0\0\2\7"
        finally:
            end(second, signal.SIGKILL)
    finally:
        end(server, signal.SIGKILL)
