"""Multicast DNS with avahi, dig and python-zeroconf on the kernel's side of a tap."""

import sys
from pathlib import Path

import pytest
from lab import laboratory

HOST = str(Path(__file__).with_name("mdns_host.py"))

pytestmark = [pytest.mark.once, pytest.mark.needs_tap, pytest.mark.needs("ip", "avahi-daemon", "dbus-daemon")]


def play(scenario: str) -> None:
    with laboratory() as lab:
        lab.run(sys.executable, "-W", "error", HOST, scenario, timeout=90)


@pytest.mark.needs("avahi-browse")
def test_avahi_finds_us_and_what_we_offer() -> None:
    play("seen")


@pytest.mark.needs("avahi-publish")
def test_we_find_avahi_and_what_it_offers() -> None:
    play("sees")


@pytest.mark.needs("avahi-publish")
def test_of_two_with_one_name_the_later_takes_another() -> None:
    play("conflicts")


@pytest.mark.needs("dig")
def test_resolvers_of_unicast_dns_are_answered() -> None:
    play("unicast")


@pytest.mark.needs("avahi-browse")
def test_the_kernel_s_port_is_shared_with_avahi() -> None:
    play("shared")


def test_python_zeroconf_and_we_find_each_other() -> None:
    pytest.importorskip("zeroconf")
    play("zeroconf")
