"""A router whose outside has its address by DHCP, and whose inside gets addresses from it."""

import argparse

import pytest

import netstack
from netstack.cli.tapping.route import configure, opening
from netstack.errors import UsageError
from netstack.testing.wire import Wire

LAN, A = "192.168.1.1", "192.168.1.128"
ISP, W = "203.0.113.1", "203.0.113.128"


async def serve(stream):
    await stream.send_all(b"seen from " + stream.remote_address[0].encode())
    await stream.aclose()


async def fetch(net, host, port):
    stream = await net.connect_stream(host, port)
    data = b""
    while more := await stream.receive():
        data += more
    await stream.aclose()
    return data


def test_a_home_router_has_its_address_from_the_provider_and_gives_others_to_the_home(tmp_path):
    leases = tmp_path / "leases"

    async def program():
        lan, wan = Wire(), Wire()
        provider = netstack.open_router(
            {"net": wan.port("isp")}, addresses={"net": [f"{ISP}/24"]}, dhcp=["net"], dns=["203.0.113.53"], seed=3
        )
        async with provider as isp:
            router = netstack.open_router(
                {"lan": lan.port("r"), "wan": wan.port("r")},
                addresses={"lan": [f"{LAN}/24"], "wan": ["dhcp"]},
                nat=True,
                forwards=[f"tcp:8080={A}:80"],
                dhcp=["lan"],
                leases=str(leases),
                seed=1,
            )
            async with router as r, netstack.open(lan.port("a"), ip="dhcp", seed=2) as a:
                assert r.addresses == [f"{LAN}/24", f"{W}/24"] and a.addresses == [f"{A}/24"]
                assert [str(each) for each in a.dhcp.lease.dns] == ["203.0.113.53"]  # what the router was told itself
                assert str(a.dhcp.lease.routers[0]) == LAN
                for net in (isp, a):
                    await net.serve_streams(serve, 80)
                assert await fetch(a, ISP, 80) == b"seen from " + W.encode()
                assert await fetch(isp, W, 8080) == b"seen from " + ISP.encode()
                # nobody outside is served by the inside's server, or the other way round
                assert [row["address"] for row in r.dhcp_servers["lan"].table()] == [A]
                assert r.dhcp_servers["lan"].core.mib.InRequests == 1
                assert isp.dhcp_servers["net"].core.mib.InDiscovers == 1
            assert A in leases.read_text()

    netstack.run_virtual(program())


def test_an_address_that_nobody_grants_is_an_error_after_a_while():
    async def program():
        wire = Wire()
        with_nobody = netstack.open_router({"wan": wire.port("r")}, addresses={"wan": ["dhcp"]}, seed=1)
        try:
            async with with_nobody:
                raise AssertionError
        except netstack.TimedOut as error:
            assert "no DHCP server answers" in str(error)

    netstack.run_virtual(program())


def said(*words):
    parser = argparse.ArgumentParser()
    configure(parser)
    return opening(parser.parse_args(words))._plan


def test_the_command_says_the_same():
    plan = said("lan=tap:l?address=192.168.1.1/24", "wan=tap:w?ip=dhcp", "--nat", "--dhcp", "lan", "-D", "9.9.9.9")
    (pool,) = plan.pools
    assert (plan.leased, plan.outside, pool.device, pool.told) == ("wan", ("wan",), "lan", True)
    assert (str(pool.config.first), str(pool.config.last), str(pool.config.router)) == (A, "192.168.1.254", LAN)
    plan = said("lan=tap:l?address=192.168.1.1/24", "w=tap:w?address=dhcp", "--dhcp", "lan=192.168.1.7-192.168.1.9")
    assert (plan.leased, str(plan.pools[0].config.first), str(plan.pools[0].config.last)) == ("w", "192.168.1.7", "192.168.1.9")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["lan=tap:l", "--dhcp", "lan"], "name a device that has an address"),
        (["lan=tap:l?address=192.168.1.1/24", "--dhcp", "lan=x"], "says no pool"),
        (["lan=tap:l?address=192.168.1.1/24", "--dhcp", "lan=10.0.0.1-10.0.0.2"], "is not in 192.168.1.1/24"),
        (["lan=tap:l?address=192.168.1.1/24", "--dhcp", "lan", "--dhcp", "lan"], "two pools for one device"),
        (["lan=tap:l?address=192.168.1.1/32", "--dhcp", "lan"], "has no addresses for DHCP"),
        (["a=tap:a?ip=dhcp", "b=tap:b?ip=dhcp"], "one device may have its address"),
        (["a=tap:a?ip=dhcp", "--gateway", "192.168.1.1"], "one device may have its address"),
    ],
)
def test_what_cannot_be_is_said(words, why):
    with pytest.raises(UsageError, match=why):
        said(*words)
