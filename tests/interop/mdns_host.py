"""Run in a namespace by test_mdns_avahi.py: avahi on the kernel's side of a tap, which is 10.79.0.1 and kernel.local, and ours on
the other, 10.79.0.2. Each scenario asserts what it wants; what goes wrong is the exit status and stands on standard error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import netstack
from netstack.dns.message import Message, Question, decode
from netstack.dns.multicast.mdns import Mdns
from netstack.dns.multicast.service import Service
from netstack.dns.numbers import Type
from netstack.errors import Unreachable

BUS = """<busconfig><type>system</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>"""
AVAHI = """[server]
host-name=kernel
use-ipv6=no
allow-interfaces=tap0
[publish]
publish-hinfo=no
publish-workstation=no
"""

Net = netstack.Net


async def command(*words: str, timeout: float = 20) -> str:
    """What a program prints; it may end with any status."""
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    return output.decode()


@contextlib.asynccontextmanager
async def daemon(*words: str, until: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """A program in the foreground, ended with the block; entered when it has said `until`."""
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(20):
            while until and until.encode() not in said:
                line = await process.stdout.readline()
                assert line, f"{words[0]} has ended: {said.decode()}"
                said += line
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@contextlib.asynccontextmanager
async def avahi() -> AsyncIterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # of this mount namespace only
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bus.conf").write_text(BUS.format(folder=folder))
        Path(folder, "avahi.conf").write_text(AVAHI)
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={folder}/bus"
        bus = ("dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile", "--print-address")
        plain = ("--no-drop-root", "--no-chroot", "--no-rlimits")
        async with daemon(*bus, until="unix:"), daemon("avahi-daemon", "-f", f"{folder}/avahi.conf", *plain, until="complete"):
            yield


# -- scenarios -----------------------------------------------------------------------------------------------------------------


async def seen(net: Net) -> None:
    """Avahi's tools resolve our name both ways, and find our service with all that it has."""
    async with net.mdns("ours") as m:
        web = m.register(Service("Büro Web", "_http._tcp", 8080, txt={"path": "/x", "flag": True}, subtypes=("_office",)))
        assert await web.settled(10) == "Büro Web._http._tcp.local"
        resolved = await command("avahi-resolve", "-4", "-n", "ours.local")
        assert resolved.split() == ["ours.local", "10.79.0.2"], resolved
        back = await command("avahi-resolve", "-a", "10.79.0.2")
        assert back.split() == ["10.79.0.2", "ours.local"], back
        listed = await command("avahi-browse", "-rptk", "_http._tcp")
        line = next(line for line in listed.splitlines() if line.startswith("="))
        fields = line.split(";")
        assert fields[4:6] == ["_http._tcp", "local"], line
        assert fields[6:9] == ["ours.local", "10.79.0.2", "8080"], line
        assert '"path=/x"' in fields[9], line
        assert '"flag"' in fields[9], line
        assert "B\\195\\188ro\\032Web" in fields[3], line
        by_subtype = await command("avahi-browse", "-ptk", "_office._sub._http._tcp")
        assert "ro\\032Web" in by_subtype, by_subtype
        web.update(txt={"path": "/y"})
        await asyncio.sleep(1.5)
        listed = await command("avahi-browse", "-rptk", "_http._tcp")
        assert '"path=/y"' in listed, listed
        assert "path=/x" not in listed, listed
        web.withdraw()
        await asyncio.sleep(1.5)
        listed = await command("avahi-browse", "-ptk", "_http._tcp")
        assert "Web" not in listed, listed
        mib = m.mib
        assert mib.Conflicts == mib.Renamed == mib.InMangled == 0, mib.snapshot()


async def sees(net: Net) -> None:
    """We resolve avahi's name, and browse what it publishes, until it is gone."""
    async with net.mdns() as m:
        assert await m.resolve("kernel.local") == ["10.79.0.1"]
        (back,) = await m.look_up("1.0.79.10.in-addr.arpa", Type.PTR)
        assert back.rdata == b"\6kernel\5local\0"
        assert (await net.getaddrinfo("kernel.local", 80))[0][4] == ("10.79.0.1", 80)
        browse = m.browse("_http._tcp")
        publish = ("avahi-publish", "-s", "Kernel Web", "_http._tcp", "8080", "path=/k", "n=1", "--sub=_office._sub._http._tcp")
        async with daemon(*publish, until="Established"):
            async with asyncio.timeout(10):
                sighting = await anext(browse)
            found = sighting.service
            assert (sighting.kind, found.instance, found.host, found.port) == ("added", "Kernel Web", "kernel.local", 8080)
            assert (found.addresses, found.txt) == (("10.79.0.1",), {"path": b"/k", "n": b"1"})
            async with asyncio.timeout(10), m.browse("_http._tcp", "_office") as office:
                assert (await anext(office)).service.instance == "Kernel Web"
            assert "_http._tcp" in await m.types()
        async with asyncio.timeout(10):
            gone = await anext(browse)
        assert (gone.kind, gone.service.instance) == ("removed", "Kernel Web")
        browse.close()
        assert m.mib.InMangled == 0


async def conflicts(net: Net) -> None:
    """Who comes later takes another name: we after avahi, and avahi after us."""
    publish = ("avahi-publish", "-s", "Web", "_http._tcp", "8080")
    async with daemon(*publish, until="Established"), net.mdns("kernel") as m:
        web = m.register(Service("Web", "_http._tcp", 80))
        assert await m.settled(10) == "kernel-2.local"
        assert await web.settled(10) == "Web (2)._http._tcp.local"
        assert (await command("avahi-resolve", "-4", "-n", "kernel-2.local")).split()[1] == "10.79.0.2"
        assert (await command("avahi-resolve", "-4", "-n", "kernel.local")).split()[1] == "10.79.0.1"
        listed = await command("avahi-browse", "-rptk", "_http._tcp")
        ends = {line.split(";")[3]: line.split(";")[7] for line in listed.splitlines() if line.startswith("=")}
        assert ends == {"Web": "10.79.0.1", "Web\\032\\0402\\041": "10.79.0.2"}, listed
        ours = m.register(Service("Taken", "_http._tcp", 80))
        await ours.settled(10)
        await asyncio.sleep(2)
        async with daemon("avahi-publish", "-s", "Taken", "_http._tcp", "8080", until="Established under name 'Taken #2'"):
            pass
        assert ours.name == "Taken._http._tcp.local"
        assert m.mib.Renamed == 2


async def unicast(net: Net) -> None:
    """Resolvers of unicast DNS, by the group and by our address."""
    async with net.mdns("ours") as m:
        web = m.register(Service("Web", "_http._tcp", 80))
        await web.settled(10)
        dig = ("dig", "-b", "10.79.0.1", "-p", "5353", "+tries=1", "+time=1", "+noall", "+answer")
        answer = await command(*dig, "@10.79.0.2", "ours.local", "A")
        assert answer.split() == ["ours.local.", "10", "IN", "A", "10.79.0.2"], answer
        await command(*dig, "@224.0.0.251", "ours.local", "A")  # this dig takes no answer from another address than it asked
        assert m.mib.OutLegacy == 2
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.79.0.1"))
            query = Message(0x1234, 0x0100)
            query.question = [Question(b"\3Web\5_http\4_tcp\5local\0", 33)]
            await loop.sock_sendto(sock, query.encode(), ("224.0.0.251", 5353))
            async with asyncio.timeout(5):
                data, source = await loop.sock_recvfrom(sock, 9000)
        answer = decode(data)
        assert source == ("10.79.0.2", 5353)
        assert (answer.id, [q.name for q in answer.question]) == (0x1234, [b"\3Web\5_http\4_tcp\5local\0"])
        assert [(r.type, r.ttl, r.rclass) for r in answer.answer] == [(33, 10, 1)]


async def shared(net: Net) -> None:
    """Ours on the kernel's own sockets, beside avahi on the same port, and ours on a stack across the tap: all see each other."""
    async with netstack.open("posix:?address=10.79.0.1") as posix, Mdns(posix, "third") as k, net.mdns("ours") as m:
        a, b = k.register(Service("On sockets", "_http._tcp", 81)), m.register(Service("On a stack", "_http._tcp", 82))
        await a.settled(10)
        await b.settled(10)
        assert await k.resolve("ours.local") == ["10.79.0.2"]
        assert await m.resolve("third.local") == ["10.79.0.1"]
        assert await k.resolve("kernel.local") == ["10.79.0.1"]
        for browsing in (k, m):
            browse = browsing.browse("_http._tcp")
            async with asyncio.timeout(10):
                names = {(await anext(browse)).service.instance for _ in range(2)}
            assert names == {"On sockets", "On a stack"}
        listed = await command("avahi-browse", "-rptk", "_http._tcp")
        assert "On\\032a\\032stack" in listed, listed
        assert "On\\032sockets" in listed, listed
        assert k.mib.Conflicts == m.mib.Conflicts == 0
        with contextlib.suppress(Unreachable):
            await m.look_up("third.local", "AAAA")
            raise AssertionError("there is no AAAA record")


async def zeroconf(net: Net) -> None:
    """python-zeroconf on the kernel's side in place of avahi's tools."""
    from zeroconf import IPVersion, ServiceInfo
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    async with net.mdns("ours") as m:
        web = m.register(Service("Web", "_http._tcp", 8080, txt={"path": "/x"}))
        await web.settled(10)
        theirs = AsyncZeroconf(interfaces=["10.79.0.1"], ip_version=IPVersion.V4Only)
        try:
            info = AsyncServiceInfo("_http._tcp.local.", "Web._http._tcp.local.")
            assert await info.async_request(theirs.zeroconf, 5000)
            assert (info.server, info.port, info.parsed_addresses()) == ("ours.local.", 8080, ["10.79.0.2"])
            assert info.properties == {b"path": b"/x"}
            offered = ServiceInfo(
                "_http._tcp.local.", "Theirs._http._tcp.local.", 90, addresses=[socket.inet_aton("10.79.0.1")],
                server="theirs.local.", properties={"a": "b"},
            )  # fmt: skip
            await (await theirs.async_register_service(offered))
            async with asyncio.timeout(10), m.browse("_http._tcp") as browse:
                found = {(sighting := await anext(browse)).service.instance: sighting.service for _ in range(2)}
            assert (found["Theirs"].port, found["Theirs"].addresses, found["Theirs"].txt) == (90, ("10.79.0.1",), {"a": b"b"})
        finally:
            await theirs.async_close()


SCENARIOS: dict[str, Callable[[Net], Awaitable[None]]] = {
    f.__name__: f for f in (seen, sees, conflicts, unicast, shared, zeroconf)
}


async def main(name: str) -> None:
    async with avahi(), netstack.open("tap:tap0", addresses=["10.79.0.2/24"]) as net:
        await SCENARIOS[name](net)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
