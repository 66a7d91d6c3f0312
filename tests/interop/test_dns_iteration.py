"""An Internet of three network namespaces with a root of its own: nsd serves the root and a top-level domain, our zones others,
and among them are servers that are lame, dead, hostile, or point at each other. The iterative resolver walks it, on the kernel's
sockets.

    the lab:    resolver (10.99.0.1) ---- bridge ---- nsd: the root, org.  (10.99.0.2)
                                            |-------- ours: com., net., and what is below  (10.99.0.3 to .8)
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.once,
    pytest.mark.needs("nsd", "ip"),
    pytest.mark.skipif(os.geteuid() != 0, reason="named network namespaces need root"),
]

ROOT_ZONE = """\
. 300 IN SOA a.root. nobody.invalid. 1 3600 600 86400 60
. 300 IN NS a.root.
a.root. 300 IN A 10.99.0.2
com. 300 IN NS ns.com.
ns.com. 300 IN A 10.99.0.3
net. 300 IN NS ns.com.
org. 300 IN NS a.root.
"""
ORG_ZONE = """\
org. 300 IN SOA a.root. nobody.invalid. 1 3600 600 86400 60
org. 300 IN NS a.root.
wide.org. 300 IN A 192.0.2.10
*.wild.org. 300 IN TXT "any name"
deep.org. 300 IN NS ns.deep.com.
alias.org. 300 IN CNAME www.good.com.
"""
NSD = """\
server:
  ip-address: 10.99.0.2
  hide-version: yes
  username: ""
  chroot: ""
  pidfile: "{folder}/nsd.pid"
  database: ""
  zonesdir: "{folder}"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/list"
  cookie-secret-file: ""
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: root.zone
zone:
  name: "org."
  zonefile: org.zone
"""

SERVERS = '''
"""Our zones, and servers with faults, on the kernel's sockets."""
import asyncio, json, sys
sys.path[:0] = {path!r}
from recursion_world import reply, serves, zone
from netstack.dns import name as names
from netstack.dns.message import decode
from netstack.dns.stream import Deframer, frame

com = zone("com.", """com. NS ns.com.
    ns.com. A 10.99.0.3
    good.com. NS ns.good.com.
    ns.good.com. A 10.99.0.4
    half.com. NS dead.half.com.
    half.com. NS lame.half.com.
    half.com. NS refuses.half.com.
    half.com. NS ns.good.com.
    dead.half.com. A 10.99.0.99
    lame.half.com. A 10.99.0.5
    refuses.half.com. A 10.99.0.6
    alllame.com. NS lame.alllame.com.
    lame.alllame.com. A 10.99.0.5
    dead.com. NS dead.dead.com.
    dead.dead.com. A 10.99.0.99
    one.com. NS ns.two.com.
    two.com. NS ns.one.com.
    evil.com. NS ns.evil.com.
    ns.evil.com. A 10.99.0.7
    mangles.com. NS ns.mangles.com.
    ns.mangles.com. A 10.99.0.8
    deep.com. NS ns.good.com.
    glueless.com. NS ns.hoster.net.""")
net = zone("net.", """net. NS ns.com.
    hoster.net. NS ns.hoster.net.
    ns.hoster.net. A 10.99.0.4""")
below = [
    zone("good.com.", """good.com. NS ns.good.com.
        ns.good.com. A 10.99.0.4
        www.good.com. A 192.0.2.1
        big.good.com. TXT """ + " ".join(['"' + "x" * 250 + '"'] * 20)),
    zone("half.com.", "www.half.com. A 192.0.2.2"),
    zone("deep.com.", "ns.deep.com. A 10.99.0.4"),
    zone("deep.org.", "www.deep.org. A 192.0.2.3"),
    zone("hoster.net.", "ns.hoster.net. A 10.99.0.4"),
    zone("glueless.com.", "www.glueless.com. A 192.0.2.4\\nold.glueless.com. DNAME good.com."),
]


def lame(q, over):
    return reply(q, "", ". NS a.root.", "a.root. A 10.99.0.2", aa=False)


def refuses(q, over):
    return reply(q, rcode=5, aa=False)


def evil(q, over):
    """Poison in every section, NXNS below attack.evil.com., a maze of aliases below maze.evil.com."""
    name = names.text(q.question[0].name).lower()
    if name.endswith("attack.evil.com."):
        return reply(q, "", "\\n".join(f"attack.evil.com. NS fake{{i}}.good.com." for i in range(100)), aa=False)
    if name.endswith("maze.evil.com."):
        return reply(q, f"{{name}} CNAME a{{hash(name) % 10**9}}.maze.evil.com.")
    return reply(q, f"{{name}} A 6.6.6.6\\nwww.good.com. A 6.6.6.6", "good.com. NS ns.evil.com.\\ncom. NS ns.evil.com.",
                 "ns.good.com. A 10.99.0.7\\nns.com. A 10.99.0.7\\nwww.good.com. A 6.6.6.6")


def mangles(q, over):
    """No EDNS, and letters in another case."""
    if q.edns is not None:
        m = reply(q, rcode=1, aa=False)
        m.edns = None
        return m
    m = reply(q, f"{{names.text(q.question[0].name).lower()}} A 192.0.2.5")
    m.question[0].name = m.question[0].name.lower()
    return m


counts = {{}}


class Udp(asyncio.DatagramProtocol):
    def __init__(self, says, who):
        self.says, self.who = says, who

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        counts[self.who] = counts.get(self.who, 0) + 1
        m = decode(data)
        self.transport.sendto(self.says(m, False).encode(512 if m.edns is None else min(m.edns.payload, 1232)), address)


async def main():
    loop = asyncio.get_running_loop()
    for address, says in {{"10.99.0.3": serves(com, net), "10.99.0.4": serves(*below), "10.99.0.5": lame, "10.99.0.6": refuses,
                          "10.99.0.7": evil, "10.99.0.8": mangles}}.items():
        await loop.create_datagram_endpoint(lambda says=says, address=address: Udp(says, address), (address, 53))

        async def stream(reader, writer, says=says):
            deframer = Deframer()
            while data := await reader.read(65536):
                for message in deframer.feed(data):
                    writer.write(frame(says(decode(message), True).encode()))
            writer.close()

        await asyncio.start_server(stream, address, 53)
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(counts), flush=True)
        counts.clear()

asyncio.run(main())
'''

ASKS = '''
"""Resolves what stands on its input, a line each, from our own root; prints what came of it as JSON."""
import asyncio, json, random, sys, time
sys.path[:0] = {path!r}
import netstack
from netstack.dns import name as names, rdata
from netstack.dns.client.resolver import Resolver
from netstack.dns.message import Question
from netstack.dns.numbers import type_number, type_text
from netstack.dns.resolve.recursion import Recursion

async def main():
    loop = asyncio.get_running_loop()
    async with netstack.open("posix:") as net:
        recursion = Recursion({{"a.root.": "10.99.0.2"}}, random.SystemRandom())
        async with Resolver(net, net, finder=recursion) as resolver:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                name, type = line.split()
                begun, sent = time.monotonic(), recursion.mib.Sent
                outcome = await resolver.seek(Question(names.parse(name), type_number(type)))
                said = [(names.text(r.name), type_text(r.type), rdata.to_text(r.type, r.rdata)) for r in outcome.answer]
                print(json.dumps(dict(
                    rcode=outcome.rcode, sent=recursion.mib.Sent - sent, seconds=time.monotonic() - begun,
                    error=None if outcome.error is None else list(outcome.error),
                    answer=[" ".join(words) for words in said], stream=outcome.over_stream,
                )), flush=True)

asyncio.run(main())
'''


class Program:
    """A Python program in a namespace, asked by lines and answering by lines."""

    def __init__(self, space, source):
        path = [str(HERE), str(HERE / "backends"), str(HERE / "tests/unit/dns")]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", space, sys.executable, "-c", textwrap.dedent(source.format(path=path))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self):
        line = self.process.stdout.readline()
        assert line, "the program has ended"
        return line.strip()

    def ask(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.line()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """`ask(name, type)` and `counts()`, of queries at each of our servers since last time."""
    folder = tmp_path_factory.mktemp("nsd")
    (folder / "root.zone").write_text(ROOT_ZONE)
    (folder / "hints").write_text(". 3600000 IN NS a.root.\na.root. 3600000 IN A 10.99.0.2\n")
    (folder / "org.zone").write_text(ORG_ZONE)
    (folder / "nsd.conf").write_text("".join(
        line for line in NSD.format(folder=folder).splitlines(keepends=True) if "cookie-secret" not in line
    ))  # fmt: skip
    tag = f"nsi{os.getpid() % 100000}"
    spaces = [f"{tag}{kind}" for kind in ("r", "n", "o")]

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    with contextlib.ExitStack() as stack:
        for space in spaces:
            ip("netns", "add", space)
            stack.callback(ip, "netns", "del", space)
            ip("-n", space, "link", "set", "lo", "up")
        resolver, nsd, ours = spaces
        ip("-n", resolver, "link", "add", "br0", "type", "bridge")
        ip("-n", resolver, "link", "set", "br0", "up")
        ip("-n", resolver, "addr", "add", "10.99.0.1/24", "dev", "br0")
        for i, (space, addresses) in enumerate(((nsd, [2]), (ours, range(3, 9)))):
            ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{i}", "netns", resolver)
            ip("-n", resolver, "link", "set", f"port{i}", "master", "br0", "up")
            for n in addresses:
                ip("-n", space, "addr", "add", f"10.99.0.{n}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
        daemon = subprocess.Popen(
            ["ip", "netns", "exec", nsd, shutil.which("nsd"), "-d", "-c", str(folder / "nsd.conf")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        stack.callback(daemon.stdout.close)
        stack.callback(daemon.wait, 10)
        stack.callback(daemon.terminate)
        servers = Program(ours, SERVERS)
        stack.callback(servers.close)
        assert servers.line() == "ready"
        asks = Program(resolver, ASKS)
        stack.callback(asks.close)

        class Lab:
            def ask(self, name, type="A"):
                return json.loads(asks.ask(f"{name} {type}"))

            space, hints = resolver, folder / "hints"

            def counts(self):
                return json.loads(servers.ask())

        for _ in range(50):  # until nsd has read its zones
            assert daemon.poll() is None, daemon.stdout.read()
            if Lab().ask("wide.org.")["answer"]:
                break
            time.sleep(0.1)
        yield Lab()


def test_names_are_found_from_the_root_across_nsd_and_our_servers(lab):
    assert lab.ask("wide.org.")["answer"] == ["wide.org. A 192.0.2.10"]
    assert lab.ask("www.good.com.")["answer"] == ["www.good.com. A 192.0.2.1"]
    assert lab.ask("some.wild.org.", "TXT")["answer"] == ['some.wild.org. TXT "any name"']
    again = lab.ask("www.good.com.")
    assert (again["answer"], again["sent"]) == (["www.good.com. A 192.0.2.1"], 0)


def test_delegations_without_glue_lead_through_other_domains(lab):
    assert lab.ask("www.glueless.com.")["answer"] == ["www.glueless.com. A 192.0.2.4"]
    assert lab.ask("www.deep.org.")["answer"] == ["www.deep.org. A 192.0.2.3"]


def test_aliases_lead_from_nsd_to_ours(lab):
    assert lab.ask("alias.org.")["answer"] == ["alias.org. CNAME www.good.com.", "www.good.com. A 192.0.2.1"]
    assert lab.ask("www.old.glueless.com.")["answer"] == [
        "old.glueless.com. DNAME good.com.", "www.old.glueless.com. CNAME www.good.com.", "www.good.com. A 192.0.2.1",
    ]  # fmt: skip


def test_what_is_not_there_is_denied_by_who_knows(lab):
    assert (lab.ask("nothing.org.")["rcode"], lab.ask("nothing.good.com.")["rcode"], lab.ask("no.such.tld.")["rcode"]) == (3, 3, 3)
    assert lab.ask("www.good.com.", "MX") | {"seconds": 0, "sent": 0} == {
        "rcode": 0, "answer": [], "error": None, "stream": False, "seconds": 0, "sent": 0,
    }  # fmt: skip


def test_what_is_too_long_for_a_datagram_comes_over_tcp(lab):
    big = lab.ask("big.good.com.", "TXT")
    assert len(big["answer"][0]) > 5000 and big["stream"]


def test_dead_and_lame_servers_are_passed_over(lab):
    found = lab.ask("www.half.com.")
    assert found["answer"] == ["www.half.com. A 192.0.2.2"] and found["seconds"] < 8


@pytest.mark.parametrize("name", ["www.alllame.com.", "www.dead.com.", "www.one.com."])
def test_what_nobody_serves_fails_and_is_remembered(lab, name):
    failed = lab.ask(name)
    assert (failed["rcode"], failed["sent"] <= 16, failed["seconds"] < 12) == (2, True, True)
    again = lab.ask(name)
    assert (again["rcode"], again["sent"], again["error"][0]) == (2, 0, 13)


def test_a_hostile_server_poisons_nothing(lab):
    assert lab.ask("x.evil.com.")["answer"] == ["x.evil.com. A 6.6.6.6"]
    lab.counts()
    assert lab.ask("other.good.com.")["rcode"] == 3 and lab.ask("www.good.com.", "AAAA")["answer"] == []
    assert lab.ask("www.good.com.")["answer"] == ["www.good.com. A 192.0.2.1"]
    assert "10.99.0.7" not in lab.counts()


def test_a_hostile_server_can_not_make_us_work_much(lab):
    lab.counts()
    assert lab.ask("www.attack.evil.com.")["rcode"] == 2
    counts = lab.counts()
    assert 1 <= counts["10.99.0.4"] <= 4  # the victim of a hundred names
    assert lab.ask("a.maze.evil.com.")["rcode"] == 2
    assert lab.counts()["10.99.0.7"] <= 24


def test_a_server_without_edns_that_can_not_keep_letters_is_understood(lab):
    assert lab.ask("www.mangles.com.")["answer"] == ["www.mangles.com. A 192.0.2.5"]


@pytest.mark.needs("dig")
def test_a_server_that_resolves_from_the_root_answers_dig(lab):
    inside = ["ip", "netns", "exec", lab.space]
    serving = ["--net", "posix:", "--listen", "10.99.0.1", "--allow-recursion", "10.99.0.0/24", "--resolve", str(lab.hints)]
    command = [*inside, sys.executable, "-m", "netstack", "dns", *serving]
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE / 'backends'}", "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout.readline()

        def dig(*words):
            return subprocess.run([*inside, "dig", "@10.99.0.1", *words], capture_output=True, text=True, timeout=20).stdout

        assert dig("+short", "alias.org").split() == ["www.good.com.", "192.0.2.1"]
        assert "status: NXDOMAIN" in dig("nothing.good.com")
        assert "status: SERVFAIL" in (failed := dig("www.one.com")) and "EDE" in failed
        assert len(dig("+short", "big.good.com", "TXT")) > 5000
    finally:
        server.terminate()
        server.communicate(timeout=20)
