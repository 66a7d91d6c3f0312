"""`netstack mdns` on a tap, and on the kernel's sockets at its other end."""

import json
import sys

import pytest
from lab import Failed, laboratory

pytestmark = [pytest.mark.once, pytest.mark.needs_tap, pytest.mark.needs("ip")]

KERNEL = ("--netif", "posix:?address=10.79.0.1")


def test_what_one_registers_the_other_finds() -> None:
    with laboratory() as lab, lab.service("mdns", "register", "My page", "_http._tcp", "80", "path=/", "-n", "mine") as service:
        assert service.greeting == "My page._http._tcp.local  mine.local:80"
        command = (sys.executable, "-m", "netstack", "mdns")
        assert lab.run(*command, "resolve", "mine.local", *KERNEL) == "mine.local  10.79.0.2\n"
        seen = lab.run(*command, "browse", "_http._tcp", "-t", "1", *KERNEL)
        assert seen == "+ My page._http._tcp.local  mine.local:80  10.79.0.2  path=/\n"
        seen = lab.run(*command, "browse", "_http._tcp", "-t", "1", "-j", *KERNEL)
        assert json.loads(seen)["addresses"] == ["10.79.0.2"]
        assert lab.run(*command, "browse", "-t", "1", *KERNEL) == "_http._tcp\n"
        with pytest.raises(Failed, match="nobody on the link answers"):
            lab.run(*command, "resolve", "other.local", "-t", "0.5", *KERNEL)
        with pytest.raises(Failed, match="is not a type of services"):
            lab.run(*command, "browse", "http", *KERNEL)
