"""Real programs in a guest of netstack-tap, and the same behind the kernel's own routing: what one sees the other sees."""

import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from worldlab import ROUTER, RULES, WORLD, Lab, authority, lab, missing

pytestmark = [
    pytest.mark.once,
    pytest.mark.needs_tap,
    pytest.mark.needs("ip", "nft"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "all is there"),
    pytest.mark.timeout(120),
]
HERE = Path(__file__).resolve().parent
NGINX = """
daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/nginx.err; user root;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {0}/body;
    server {{ listen 80; listen 443 ssl http2; ssl_certificate {0}/site.pem; ssl_certificate_key {0}/site.key; root {0}/site; }} }}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "site").mkdir()
    (folder / "site/3m").write_bytes(os.urandom(3_000_000))
    servers = [sys.executable, str(HERE / "world_servers.py")]
    with lab(folder, "--control", str(folder / "control")) as made, made.server(*servers, ready="ready"):
        yield made


@pytest.fixture(scope="module")
def names(place: Lab) -> Iterator[None]:
    words = ["--no-daemon", "--no-hosts", "--no-resolv", f"--listen-address={WORLD}", "--bind-interfaces", "--conf-file=/dev/null"]
    words += ["--user=root", f"--pid-file={place.folder}/dnsmasq.pid", "--local=/test/", f"--host-record=site.test,{WORLD}"]
    words += ["--txt-record=word.test,a word", "--mx-host=site.test,mail.test,10"]
    with place.server("dnsmasq", *words, ready="udp:53"):
        yield


@pytest.fixture(scope="module")
def site(place: Lab, names: None) -> Iterator[None]:
    authority(place.folder, "site.test")
    conf = place.folder / "nginx.conf"
    conf.write_text(NGINX.format(place.folder))
    with place.server("nginx", "-c", str(conf), ready="tcp:443"):
        yield


def test_refusal_silence_and_resets_look_the_same_from_inside(place: Lab) -> None:
    (place.folder / "rules").write_text(RULES)
    place.world.run("nft", "-f", str(place.folder / "rules"), check=True)
    command = [sys.executable, str(HERE / "world_failures.py"), WORLD]
    running = [space.start(*command) for space in (place.other, place.guest)]
    said = [process.communicate(timeout=60) for process in running]
    kernel, ours = (json.loads(out) for out, _ in said)
    assert {name: each[0] for name, each in ours.items()} == {name: each[0] for name, each in kernel.items()}
    late = {name: (ours[name], kernel[name]) for name in ours if abs(ours[name][1] - kernel[name][1]) > 1.5}
    assert not late, late
    assert kernel["tcp reset at once"][0] == "ECONNRESET" and kernel["tcp no such neighbour"][0] == "EHOSTUNREACH"


@pytest.mark.needs("curl", "nginx", "openssl", "dnsmasq")
def test_curl(place: Lab, site: None) -> None:
    for words in ("http://site.test", "--cacert ca.pem --http1.1 https://site.test", "--cacert ca.pem --http2 https://site.test"):
        said = place.both(f"curl -sS -o got -w '%{{http_version}} %{{http_code}} ' {words}/3m; md5sum < got; curl -sS {words}/none")
        assert said.startswith(("1.1 200 ", "2 200 ")) and "404 Not Found" in said
    assert place.both("curl -sS -m 5 http://none.test/ 2>&1; echo $?").endswith("6\n")  # could not resolve
    assert place.both("curl -sS -m 5 https://site.test/ >/dev/null 2>&1; echo $?") == "60\n"  # nobody told it of our authority


@pytest.mark.needs("git", "nginx", "openssl", "dnsmasq")
def test_git_over_https_and_over_its_own_protocol(place: Lab, site: None) -> None:
    work, bare = place.folder / "work", place.folder / "site/r.git"
    commands = f"""git init -q {work} && cd {work} && head -c 400000 /dev/urandom > file && git add . &&
        git -c user.name=a -c user.email=a@b.test commit -qm one && git clone -q --bare . {bare} &&
        git -C {bare} update-server-info && touch {bare}/git-daemon-export-ok"""
    subprocess.run(["sh", "-c", commands], check=True, capture_output=True)
    with place.server("git", "daemon", "--export-all", f"--base-path={place.folder}/site", ready="tcp:9418"):
        for url in ("git://site.test/r.git", "https://site.test/r.git"):
            clone = f"rm -rf clone && GIT_SSL_CAINFO=$PWD/ca.pem git clone -q {url} clone && md5sum clone/file"
            assert place.both(clone).endswith(" clone/file\n")


@pytest.mark.needs("ssh", "sshd", "ssh-keygen", "dnsmasq")
def test_ssh(place: Lab, names: None) -> None:
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place.folder / key)], check=True)
    if not Path("/run/sshd").is_dir():
        Path("/run/sshd").mkdir()
    daemon = [shutil.which("sshd") or "", "-D", "-e", "-h", str(place.folder / "host"), "-f", "/dev/null", "-p", "2222"]
    daemon += ["-o", f"AuthorizedKeysFile={place.folder}/user.pub", "-o", "StrictModes=no", "-o", "PidFile=none", "-o", "UsePAM=no"]
    with place.server(*daemon, ready="tcp:2222"):
        ssh = "ssh -q -i user -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@site.test"
        said = place.both(f"{ssh} 'head -c 3000000 {place.folder}/site/3m' | md5sum; {ssh} md5sum < site/3m; {ssh} exit 7; echo $?")
        one, two, status = said.splitlines()
        assert one == two and status == "7"


@pytest.mark.needs("dig", "dnsmasq")
def test_dig(place: Lab, names: None) -> None:
    for words in ("site.test", "+tcp site.test", "txt word.test", "mx site.test", "aaaa site.test", "+bufsize=1232 none.test"):
        said = place.both(f"dig +noall +answer +comments +nocookie {words} | grep -v '^;;.*id:\\|EDNS\\|PSEUDO\\|flags' ; true")
        asked_there = f"dig @{WORLD} +short {words}"
        assert place.both(asked_there) is not None and (said or "none" in words)


@pytest.mark.needs("ping")
def test_ping(place: Lab) -> None:
    quiet = "grep -o '[0-9]* received\\|Time to live exceeded\\|Destination .*'"
    for words, heard in (
        (WORLD, "1 received"), (f"-s 4000 {WORLD}", "1 received"), (f"-M do -s 1472 {WORLD}", "1 received"),
        (f"-t 1 {WORLD}", "Time to live exceeded\n0 received"), ("192.88.77.1", "Destination Net Unreachable\n0 received"),
        ("192.88.78.1", "Destination Host Unreachable\n0 received"),
        ("-W 5 203.0.113.77", "Destination Host Unreachable\n0 received"),
    ):  # fmt: skip
        assert place.both(f"ping -n -c 1 -W 2 {words} | {quiet}").strip() == heard


@pytest.mark.needs("traceroute")
def test_traceroute(place: Lab) -> None:
    """The way is the same but for its first hop, which is us, or the kernel."""
    for words in ("", "-I", "-T -p 9"):
        trace = f"traceroute -n -q 1 -N 1 -w 2 -m 4 {words} {WORLD} | awk 'NR > 1 {{ print $1, $2 }}'"
        assert place.run(place.guest, trace).stdout == f"1 10.0.2.2\n2 {WORLD}\n"


@pytest.mark.needs("iperf3")
def test_iperf3(place: Lab) -> None:
    with place.server("iperf3", "-s", ready="tcp:5201"):
        for words in ("", "-R", "-P 4", "-u -b 20M", "-u -R -b 20M", "--bidir"):
            said = place.run(place.guest, f"iperf3 -J -t 1 -c {WORLD} {words}")
            result = json.loads(said.stdout)
            assert said.returncode == 0 and "error" not in result, said
            end = result["end"]
            assert (end.get("sum_received") or end["sum"])["bytes"] > 1_000_000, words
            place.world.run("sh", "-c", "while ss -Htan 'sport = 5201' | grep -q ESTAB; do sleep 0.05; done")


def test_a_thousand_downloads_and_ten_thousand_flows(place: Lab) -> None:
    ports = 10_000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < ports * 8 // 7 + 2000:
        pytest.skip("too few descriptors: ulimit -Hn 16384, or more")
    crowd = place.guest.start(sys.executable, str(HERE / "world_crowd.py"), WORLD, "1000", str(ports), stdin=subprocess.PIPE)
    try:
        assert crowd.stdout is not None
        said = crowd.stdout.readline() + crowd.stdout.readline()
        assert said == f"1000 downloads\n{ports} {ports} answers\n", (said, crowd.communicate()[1])
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(place.folder / "control"))
            control.sendall(b"GET /stats HTTP/1.0\r\nHost: tap\r\n\r\n")
            nat = json.loads(b"".join(iter(lambda: control.recv(65536), b"")).partition(b"\r\n\r\n")[2])["Nat"]
        assert nat["UdpEvicted"] == 0 and nat["UdpFlows"] >= ports, nat  # each has been one flow all the time
    finally:
        crowd.communicate("")


@pytest.mark.needs("apt-get", "dpkg-deb", "nginx", "openssl", "dnsmasq")
def test_apt_gets_a_package_from_a_mirror(place: Lab, site: None) -> None:
    made = place.folder / "made/DEBIAN"
    made.mkdir(parents=True)
    about = "Package: lab-word\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.test>\nDescription: a word\n"
    (made / "control").write_text(about)
    (made.parent / "word").write_bytes(os.urandom(500_000))
    mirror = place.folder / "site/mirror"
    mirror.mkdir()
    subprocess.run(["dpkg-deb", "--build", str(made.parent), str(mirror / "lab-word_1_all.deb")], check=True, capture_output=True)
    deb = (mirror / "lab-word_1_all.deb").read_bytes()
    digest = hashlib.sha256(deb).hexdigest()
    text = f"{about}Filename: ./lab-word_1_all.deb\nSize: {len(deb)}\nSHA256: {digest}\n"
    (mirror / "Packages").write_text(text)
    (place.folder / "list").write_text("deb [trusted=yes] http://site.test/mirror ./\n")
    script = """rm -rf apt && mkdir -p apt/state/lists/partial apt/cache/archives/partial && cd apt && export APT="apt-get -q
        -o Dir::State=$PWD/state -o Dir::Cache=$PWD/cache -o Dir::Etc::sourcelist=$PWD/../list -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State::status=/dev/null -o APT::Sandbox::User=root" && $APT update >/dev/null 2>&1 && $APT download lab-word 2>&1 |
        grep -c 'Get:1' ; md5sum lab-word_1_all.deb"""
    assert place.both(script).startswith("1\n")


def test_a_router_that_is_not_root_s_has_nothing_to_say_in_another_s_namespace(place: Lab) -> None:
    """What can't be is one sentence."""
    words = ["setpriv", "--reuid=65534", "--clear-groups", *ROUTER[:1], "-c", "print()"]
    if place.host.run(*words).returncode:
        pytest.skip("this Python is out of reach for other users")
    path = os.pathsep.join(filter(None, sys.path))
    words = ["env", f"PYTHONPATH={path}", "setpriv", "--reuid=65534", "--clear-groups", *ROUTER]
    done = place.host.run(*words, "--netns", str(place.guest.holder.pid))
    assert done.returncode in (1, 2) and done.stderr.startswith("netstack-tap: ") and done.stderr.count("\n") == 1, done
