"""Podman with netstack-tap in slirp4netns's place: a container fetches a page of the world by its name, and is reached by forwards
of both kinds, podman's own and those that it asks for at the API socket."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import vm
from worldlab import WORLD, lab, missing

pytestmark = [
    pytest.mark.once,
    pytest.mark.needs_tap,
    pytest.mark.needs("podman", "runc", "curl", "busybox", "dnsmasq"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "all is there"),
    pytest.mark.timeout(120),
]
# as few rights as a test has: no limit is raised
LIMITS = "--ulimit nofile=1024:1024 --ulimit nproc=1000:1000"
SCRIPT = """
POD=$(mktemp -d) && trap 'rm -rf $POD' EXIT  # podman wants a short name for it
P="podman --root $POD/root --runroot $POD/run --storage-driver vfs --cgroup-manager cgroupfs --events-backend file"
P="$P --network-cmd-path $PWD/slirp4netns --runtime runc"
export XDG_RUNTIME_DIR=$POD
$P import -q image.tar box >/dev/null
echo inside
inside='ip -4 -o addr show tap0; wget -q -O - http://site.test:8000/word'
$P run --rm {limits} --network slirp4netns:mtu=1500,cidr=10.33.0.0/24 box sh -c "$inside"
for handler in slirp4netns rootlesskit; do
    $P run -d --name $handler {limits} --network slirp4netns:port_handler=$handler -p 127.0.0.1:8088:80 box \\
        httpd -f -p 80 -h /site >/dev/null
    for again in 1 2 3 4 5 6 7 8 9 10; do curl -s -m 5 http://127.0.0.1:8088/word && break; sleep 0.2; done
    $P rm -f -t 0 $handler >/dev/null
    curl -s -m 5 http://127.0.0.1:8088/word || echo $handler is gone
done
$P rmi -f box >/dev/null
"""


@pytest.mark.skipif(vm.busybox() is None, reason="no busybox that needs no library: apt-get install busybox-static")
def test_podman_s_containers_have_our_network(tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "bin").mkdir(parents=True)
    (image / "site").mkdir()
    (image / "site/word").write_text("a word of the container\n")
    shutil.copy(vm.busybox() or "", image / "bin/busybox")
    for applet in ("sh", "ip", "wget", "httpd"):
        (image / "bin" / applet).symlink_to("busybox")
    subprocess.run(["tar", "-C", str(image), "-cf", str(tmp_path / "image.tar"), "."], check=True)
    path = os.pathsep.join(filter(None, sys.path))
    ours = tmp_path / "slirp4netns"
    program = "import sys; sys.argv[0] = 'slirp4netns'; from netstack.cli.tap import main; sys.exit(main())"
    ours.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {sys.executable} -W error -c "{program}" "$@"\n')
    ours.chmod(0o755)
    (tmp_path / "word").write_text("a word of the world\n")
    with lab(tmp_path) as place:
        place.names[place.host] = WORLD
        names = ["--no-daemon", "--no-hosts", "--no-resolv", f"--listen-address={WORLD}", "--bind-interfaces", "--user=root"]
        names += ["--conf-file=/dev/null", f"--pid-file={tmp_path}/pid", "--local=/test/", f"--host-record=site.test,{WORLD}"]
        with (
            place.server("dnsmasq", *names, ready="udp:53"),
            place.server(sys.executable, "-m", "http.server", "--directory", str(tmp_path), "8000", ready="tcp:8000"),
        ):
            done = place.run(place.host, SCRIPT.format(limits=LIMITS), timeout=100)
    lines = done.stdout.splitlines()
    assert lines[0] == "inside" and "10.33.0.100/24" in lines[1], done
    word = "a word of the container"
    assert lines[2:] == ["a word of the world", word, "slirp4netns is gone", word, "rootlesskit is gone"], done
