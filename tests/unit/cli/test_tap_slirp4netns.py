"""slirp4netns's command line and API: replies word for word as slirp4netns 1.2.0 gives them (recorded from it)."""

import asyncio
import json
import os
import socket

import pytest

from netstack.address import Ip4
from netstack.cli import tap
from netstack.cli.tapping import slirp4netns
from netstack.cli.tapping.slirpapi import SlirpApi, bind_api
from netstack.errors import AddressInUse, UsageError


class Forwards:
    """A table without sockets."""

    def __init__(self) -> None:
        self.table: dict[int, tuple[object, ...]] = {}
        self.next = 1

    async def add(self, proto: str, host_addr: str, host_port: int, guest_addr: str, guest_port: int) -> int:
        if not 0 < host_port < 65536:
            raise UsageError("no port")
        if any(row[:3] == (proto, host_addr, host_port) for row in self.table.values()):
            raise AddressInUse("taken")
        self.next += 1
        self.table[self.next - 1] = (proto, host_addr, host_port, guest_addr, guest_port)
        return self.next - 1

    async def remove(self, number: int) -> None:
        del self.table[number]

    def list(self) -> list[object]:
        return []


def add(**arguments: object) -> bytes:
    return json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode()


BAD = '{"error":{"desc":"bad request: add_hostfwd: bad arguments.%s"}}'
TALK = [
    (add(proto="tcp", host_addr="127.0.0.1", host_port=18080, guest_port=80), '{"return":{"id":1}}'),
    (add(proto="udp", host_port=18053, guest_addr="10.0.2.100", guest_port=53), '{"return":{"id":2}}'),
    (
        add(proto="tcp", host_addr="127.0.0.1", host_port=18080, guest_port=80),
        '{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed"}}',
    ),
    (
        b'{"execute": "list_hostfwd"}',
        '{"entries":[{"id":1,"proto":"tcp","host_addr":"127.0.0.1","host_port":18080,"guest_addr":"10.0.2.100","guest_port":80},'
        '{"id":2,"proto":"udp","host_addr":"0.0.0.0","host_port":18053,"guest_addr":"10.0.2.100","guest_port":53}]}',
    ),
    (b'{"execute": "remove_hostfwd", "arguments": {"id": 1}}', '{"return":{}}'),
    (
        b'{"execute": "remove_hostfwd", "arguments": {"id": 1}}',
        '{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}}',
    ),
    (
        b'{"execute": "remove_hostfwd", "arguments": {"id": "x"}}',
        '{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}}',
    ),
    (b'{"execute": "remove_hostfwd"}', '{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}}'),
    (add(proto="sctp", host_port=1, guest_port=1), BAD % "proto"),
    (b'{"execute": "add_hostfwd"}', BAD % "proto"),  # slirp4netns falls over here
    (add(proto="tcp", guest_port=1), BAD % "host_port"),
    (add(proto="tcp", host_port="18081", guest_port=1), BAD % "host_port"),
    (add(proto="tcp", host_port=1e400, guest_port=1), BAD % "host_port"),
    (add(proto="tcp", host_port=18081), BAD % "guest_port"),
    (add(proto="tcp", host_port=18081, host_addr="x", guest_port=1), BAD % "host_addr"),
    (add(proto="tcp", host_port=18081, guest_addr="x", guest_port=1), BAD % "guest_addr"),
    (b'{"execute": "nix"}', '{"error":{"desc":"bad request: unknown execute"}}'),
    (b"{}", '{"error":{"desc":"bad request: no execute found"}}'),
    (b'{"execute": 5}', '{"error":{"desc":"bad request: no execute found"}}'),
    (b"", '{"error":{"desc":"bad request: cannot parse JSON"}}'),
    (b"{nix", '{"error":{"desc":"bad request: cannot parse JSON"}}'),
    (b"[" * 4000, '{"error":{"desc":"bad request: cannot parse JSON"}}'),
    (b"\xff\xfe", '{"error":{"desc":"bad request: cannot parse JSON"}}'),
    (b"[]", '{"error":{"desc":"bad request: json_object() failed"}}'),
    (b" " * 5000, '{"error":{"desc":"bad request: too large message"}}'),
]


def test_the_api_answers_word_for_word():
    async def main() -> None:
        api = SlirpApi(Forwards(), Ip4.parse("10.0.2.100"))
        for request, reply in TALK:
            assert (await api.answer(request)).decode() == reply, request[:80]

    asyncio.run(main())


def test_a_client_need_not_close_its_end_and_one_that_says_nothing_holds_up_nobody(tmp_path):
    path = str(tmp_path / "api")

    async def main() -> None:
        api = SlirpApi(Forwards(), Ip4.parse("10.0.2.100"))
        await api.start(bind_api(path))
        silent = await asyncio.open_unix_connection(path)
        for end in (True, False):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b'{"execute": ')
            await asyncio.sleep(0)
            writer.write(b'"list_hostfwd"}')
            if end:
                writer.write_eof()
            assert await reader.read() == b'{"entries":[]}'
            writer.close()
        await api.aclose()
        assert await silent[0].read() == b""
        silent[1].close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which namespace?"),
        (["1"], "which interface?"),
        (["nix", "tap0"], "'nix' is not a process id"),
        (["-m", "999999", "1", "tap0"], "MTU must be a positive integer (< 65522)"),
        (["-m", "x", "1", "tap0"], "MTU must be a positive integer (< 65522)"),
        (["-e", "x", "1", "tap0"], "exit-fd must be a non-negative integer"),
        (["-r", "9999", "1", "tap0"], "ready-fd 9999 is not open"),
        (["--cidr", "10.0.2.0/33", "1", "tap0"], "/33"),
        (["--cidr", "10.0.2.0/26", "1", "tap0"], "from /8 to /25"),
        (["--cidr", "10.0.2.9/24", "1", "tap0"], "write the network"),
        (["--netns-type", "nix", "1", "tap0"], "write pid or path"),
        (["--target-type", "bess", "-c", "/tmp/x"], "leave --configure"),
        (["--macaddress", "02:00:00:00:00:01", "1", "tap0"], "it needs --configure"),
        (["--nix", "1", "tap0"], "--nix"),
    ],
)
def test_mistakes_end_with_1_and_the_usage_on_standard_output(words, said, capsys):
    assert tap.main(["slirp4netns", *words]) == 1
    out, err = capsys.readouterr()
    assert said in err and out.startswith("Usage: slirp4netns [OPTION]... PID|PATH [TAPNAME]\n")


def test_callers_find_the_features_that_they_look_for(capsys):
    assert tap.main(["slirp4netns", "--help"]) == 0
    shown = capsys.readouterr().out
    for feature in (
        "--mtu",
        "--disable-host-loopback",
        "--enable-sandbox",
        "--enable-seccomp",
        "--enable-ipv6",
        "--netns-type",
        "--cidr",
    ):
        assert feature in shown
    assert tap.main(["slirp4netns", "--version"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "slirp4netns version 1.2.0"


def test_a_namespace_that_is_not_there_is_status_1_without_the_usage(capsys):
    assert tap.main(["slirp4netns", "4194999", "tap0"]) == 1
    assert capsys.readouterr() == ("", "slirp4netns: /proc/4194999/ns/net: No such file or directory\n")


def test_it_says_what_slirp4netns_says():
    args = slirp4netns.build_parser().parse_args(["-c", "-a", "/tmp/s", "-m", "1400", "1", "tap0"])
    assert slirp4netns.banner(args, slirp4netns.check(args)).splitlines() == [
        "Starting slirp",
        "* MTU:             1400",
        "* Network:         10.0.2.0",
        "* Netmask:         255.255.255.0",
        "* Gateway:         10.0.2.2",
        "* DNS:             10.0.2.3",
        "* DHCP begin:      10.0.2.15",
        "* DHCP end:        10.0.2.30",
        "* Recommended IP:  10.0.2.100",
        "* API Socket:      /tmp/s",
        "WARNING: 127.0.0.1:* on the host is accessible as 10.0.2.2"
        " (set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)",
    ]


def test_what_stood_at_the_apis_path_is_replaced(tmp_path):
    path = str(tmp_path / "api")
    for _ in range(2):
        bind_api(path).close()
    with pytest.raises(OSError, match="No such file"):
        bind_api(str(tmp_path / "no" / "api"))
    assert os.path.exists(path)
    with socket.socket(socket.AF_UNIX) as s, pytest.raises(ConnectionRefusedError):
        s.connect(path)
