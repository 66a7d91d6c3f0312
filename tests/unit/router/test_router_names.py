"""What a router knows by itself."""

import re

import pytest

from netstack.address import Cidr, Ip4
from netstack.errors import UsageError
from netstack.router.services.names import LocalNames, LocalZone, ZoneRecord, canonical

HOST = Ip4.parse("10.0.2.2")
GUESTS = {"web": Ip4.parse("10.0.2.100"), "host": Ip4.parse("10.0.2.101"), "wpad": Ip4.parse("10.0.2.102")}


def names(**said):
    back = {address: name for name, address in GUESTS.items()}
    return LocalNames(
        HOST, Cidr.parse("10.0.2.0/24"), leased=GUESTS.get, leased_to=lambda address: back.get(address, ""), **said
    )  # fmt: skip


def found(local, name):
    known = local.find(name)
    return None if known is None else [str(each) for each in known.addresses] if known.exists else "nothing"


def test_the_host_and_guests_have_names_and_the_rest_of_the_domain_is_empty():
    local = names(hosts={"db.example": ["192.0.2.7", "192.0.2.8"]})
    assert found(local, "host.internal") == found(local, "host.docker.internal") == ["10.0.2.2"]  # not the guest's
    assert found(local, "web") == found(local, "web.internal") == ["10.0.2.100"]
    assert found(local, "db.example") == ["192.0.2.7", "192.0.2.8"]
    assert found(local, "nobody.internal") == "nothing"
    assert found(local, "internal") == []
    assert found(local, "wpad.internal") == "nothing"  # whoever calls itself so
    assert found(local, "wpad") is None
    assert found(local, "example.com") is None
    assert found(local, "nobody") is None
    assert found(local, "web.example") is None


def test_without_a_domain_only_bare_names_of_guests_are_ours():
    local = names(domain="", host_names=())
    assert (found(local, "web"), found(local, "web.internal"), found(local, "host.internal")) == (["10.0.2.100"], None, None)
    assert local.backwards("100.2.0.10.in-addr.arpa") == "web"


def test_addresses_of_the_network_have_names_backwards_and_others_are_the_worlds():
    local = names()
    assert local.backwards("100.2.0.10.in-addr.arpa") == "web.internal"
    assert local.backwards("2.2.0.10.in-addr.arpa") == "host.internal"
    assert local.backwards("77.2.0.10.in-addr.arpa") == ""
    for name in ("1.3.0.10.in-addr.arpa", "2.0.10.in-addr.arpa", "x.2.0.10.in-addr.arpa", "999.2.0.10.in-addr.arpa", "web"):
        assert local.backwards(name) is None


def test_zones_are_looked_up_the_longest_first_and_newest_records_first():
    local = names()
    local.add(LocalZone("crc.testing", [ZoneRecord(Ip4.parse("192.0.2.1"), "api")], Ip4.parse("192.0.2.9")))
    local.add(LocalZone("apps.crc.testing", [ZoneRecord(Ip4.parse("192.0.2.2"), pattern=re.compile("^a.*z$"))]))
    assert found(local, "api.crc.testing") == ["192.0.2.1"]
    assert found(local, "other.crc.testing") == found(local, "crc.testing") == ["192.0.2.9"]
    assert found(local, "abcz.apps.crc.testing") == ["192.0.2.2"]
    assert found(local, "b.apps.crc.testing") == "nothing"
    local.add(LocalZone("crc.testing", [ZoneRecord(Ip4.parse("192.0.2.3"), "api")]))
    assert found(local, "api.crc.testing") == ["192.0.2.3"]
    assert found(local, "other.crc.testing") == "nothing"


def test_zones_are_bounded():
    local = names()
    for i in range(256):
        local.add(LocalZone(f"z{i}"))
    with pytest.raises(UsageError, match="no more"):
        local.add(LocalZone("one.more"))
    with pytest.raises(UsageError, match="at most 4096"):
        local.add(LocalZone("z1", [ZoneRecord(HOST, "a")] * 4097))


@pytest.mark.parametrize("name", ["", ".", "a..b", "-a", "a b", "ä", "a" * 64, ".".join(["abcd"] * 60)])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError):
        canonical(name)
    assert canonical("Db.Internal.") == "db.internal"
