"""Name servers of others, and ours, in a namespace; and zones to serve, signed by BIND's tools."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = Path(__file__).with_name("dns_host.py")
KERNEL, STACK = "10.79.0.1", "10.79.0.2"
TAP = f"tap:dns0?host={KERNEL}/24&address={STACK}/24"
SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"

# asks until somebody answers, which a server does when it has read its zones
WAIT = """
import socket, sys, time
host, port, name = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
end = time.monotonic() + 20
while time.monotonic() < end:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(0.1)
        peer.connect((host, port))
        try:
            peer.send(b"\\1\\2\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0" + name + b"\\0\\6\\0\\1")
            answer = peer.recv(4096)
        except OSError:
            time.sleep(0.05)
            continue
        if answer[3] & 15 != 2:
            sys.exit(0)
        time.sleep(0.05)
sys.exit(1)
"""


def wire(origin):
    labels = origin.rstrip(".").split(".") if origin != "." else []
    return b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"


def sign(folder, origin, text, *options):
    """The zone `text` in folder/NAME.signed, one record a line, and folder/NAME.anchor for delv. Gives (path, path)."""
    name = origin.rstrip(".") or "root"
    path = folder / f"{name}.zone"
    path.write_text(text)

    def tool(*words):
        return subprocess.run(
            words, cwd=folder, capture_output=True, text=True, check=True, env={"PATH": SBIN, "TZ": "UTC"}
        ).stdout.strip()

    ksk = tool("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", origin)
    tool("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", origin)
    signed = folder / f"{name}.signed"
    tool("dnssec-signzone", "-q", "-S", "-O", "full", "-o", origin, *options, "-f", str(signed), str(path))
    key = next(line for line in (folder / f"{ksk}.key").read_text().splitlines() if not line.startswith(";"))
    words = key.split()
    at = words.index("DNSKEY")
    anchor = folder / f"{name}.anchor"
    said = " ".join([*words[at + 1 : at + 4], f'"{"".join(words[at + 4 :])}"'])
    anchor.write_text(f'trust-anchors {{ "{origin}" static-key {said}; }};\n')
    return signed, anchor


@contextlib.contextmanager
def running(netns, *words, ready=None, **options):
    """A program, from when it answers until the end of the block. `ready`: (host, port, origin), or None for its first line."""
    process = netns.start(*words, **options)
    try:
        if ready is None:
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        else:
            host, port, origin = ready
            done = netns.run(sys.executable, "-c", WAIT, host, str(port), wire(origin).hex())
            if done.returncode:
                process.kill()
                raise AssertionError(f"{words[0]} does not answer: {''.join(process.communicate())[-2000:]}")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def ours(netns, **said):
    """Our server; `net` is the kernel's unless told. What it has to complain of fails the test."""
    said = {"net": "posix:", **said}
    command = ("env", f"PYTHONPATH={ROOT}:{ROOT / 'backends'}", sys.executable, str(HOST), json.dumps(said))
    process = netns.start(*command, stdin=subprocess.PIPE)
    line = process.stdout.readline()
    if line != "ready\n":
        process.kill()
        raise AssertionError(process.communicate()[1])
    try:
        yield process
    finally:
        try:
            _, errors = process.communicate("", timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, errors) == (0, "")


@contextlib.contextmanager
def served(netns, port, zones=None, forward=(), net="posix", words=()):
    """`netstack dns`: the command. What it has to complain of fails the test."""
    said = [
        *words,
        *(f"--zone={origin}={path}" for origin, path in (zones or {}).items()),
        *(f"--forward={one}" for one in forward),
    ]
    command = ("env", f"PYTHONPATH={ROOT}:{ROOT / 'backends'}", sys.executable, "-m", "netstack", "dns", "--net", net)
    process = netns.start(*command, "--port", str(port), *said)
    line = process.stdout.readline()
    if not line.startswith("serving "):
        process.kill()
        raise AssertionError(process.communicate()[1])
    try:
        yield process
    finally:
        process.terminate()
        try:
            _, errors = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, errors) == (0, "")


def program(name):
    return shutil.which(name, path=SBIN)


def nsd(netns, folder, zones, port=53, host="127.0.0.1"):
    lines = [
        "server:", f" ip-address: {host}@{port}", ' username: ""', f' zonesdir: "{folder}"', f' pidfile: "{folder}/nsd.pid"',
        ' database: ""', f' xfrdfile: "{folder}/xfrd"', f' xfrdir: "{folder}"', f' zonelistfile: "{folder}/zl"', " server-count: 1",
        "remote-control:", " control-enable: no",
    ]  # fmt: skip
    for origin, path in zones.items():
        lines += ["zone:", f' name: "{origin}"', f' zonefile: "{path}"']
    config = folder / f"nsd-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    return running(netns, program("nsd"), "-d", "-c", str(config), ready=(host, port, next(iter(zones))))


def knotd(netns, folder, zones, port=53, host="127.0.0.1"):
    lines = [
        "server:", f"    listen: {host}@{port}", f'    rundir: "{folder}"', "    udp-workers: 1", "    tcp-workers: 1",
        "database:", f'    storage: "{folder}/knot"', "zone:",
    ]  # fmt: skip
    for origin, path in zones.items():
        lines += [f"  - domain: {origin}", f'    file: "{path}"']
    config = folder / f"knot-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    return running(netns, program("knotd"), "-c", str(config), ready=(host, port, next(iter(zones))))


def named(netns, folder, zones=None, port=53, host="127.0.0.1", forward=None, options="", more=""):
    def forwarder(where):
        return f"forward only; forwarders port {where[1]} {{ {where[0]}; }};"

    lines = [
        f'options {{ directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ {host}; }}; '
        "listen-on-v6 { none; }; dnssec-validation no; allow-query { any; }; "
        f"recursion {'no' if zones else 'yes; allow-recursion { any; }'}; "
        f"{forwarder(forward) if forward else ''} {options} }};",
        f"controls {{ }}; {more}",
    ]
    for origin, path in (zones or {}).items():
        lines.append(f'zone "{origin}" {{ type primary; file "{path}"; }};')
    config = folder / f"named-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    ready = (host, port, next(iter(zones)) if zones else "version.bind.")
    return running(netns, program("named"), "-g", "-c", str(config), "-n", "1", "-U", "1", ready=ready, cwd=folder)


def unbound(netns, folder, port=53, host="127.0.0.1", forward=None, anchor="", ask="example."):
    lines = [
        "server:", f" interface: {host}@{port}", ' username: ""', ' chroot: ""', f' directory: "{folder}"', ' pidfile: ""',
        " do-daemonize: no", " use-syslog: no", " access-control: 0.0.0.0/0 allow", " do-not-query-localhost: no",
        " num-threads: 1", f' module-config: "{"validator iterator" if anchor else "iterator"}"', " do-ip6: no",
        ' local-zone: "example." nodefault', *([f' trust-anchor-file: "{anchor}"'] if anchor else []),
        "remote-control:", " control-enable: no",
    ]  # fmt: skip
    if forward:
        lines += ["forward-zone:", ' name: "."', f" forward-addr: {forward[0]}@{forward[1]}"]
    config = folder / f"unbound-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    return running(netns, program("unbound"), "-d", "-c", str(config), ready=(host, port, ask))
