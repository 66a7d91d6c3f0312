"""All services at once, for a guest that knows nothing but its cable."""

import asyncio

import pytest

import netstack
from netstack.address import Cidr, Ip4
from netstack.errors import UsageError
from netstack.instant import MILLISECOND
from netstack.router.flow import Decision, Flow
from netstack.router.services.services import Services, ServicesConfig
from netstack.testing.wire import Wire

NETWORK, GATEWAY, DNS = Cidr.parse("10.0.2.0/24"), Ip4.parse("10.0.2.2"), Ip4.parse("10.0.2.3")


def config(**said):
    return ServicesConfig(**({"network": NETWORK, "gateway": GATEWAY, "dns": DNS} | said))


def test_a_guest_gets_address_names_and_the_worlds_answers(tmp_path):
    async def main():
        lan, internet = Wire(delay=MILLISECOND), Wire(delay=5 * MILLISECOND)
        zone = netstack.Zone(b"\7example\0")
        zone.add("@", "SOA", 300, "ns host 1 7200 3600 1209600 60")
        zone.add("@", "NS", 300, "ns")
        zone.add("www", "A", 300, "192.0.2.1")
        told, leases = [], []
        async with (
            netstack.open(internet.port("server"), addresses=["192.0.2.53/24"], seed=1) as server,
            netstack.serve_dns(server, zone),
            netstack.open(internet.port("host"), addresses=["192.0.2.7/24"], seed=2) as world,
            netstack.open(lan.port("router"), addresses=["10.0.2.2/24"], seed=3) as net,
        ):
            services = Services(
                net,
                config(servers=("192.0.2.53",), leases=str(tmp_path / "leases"), tcp_out=("5432",)),
                world=world,
                on_answer=lambda *said: told.append(said),
                on_lease=leases.append,
            )
            await services.start()
            async with netstack.open(lan.port("guest"), ip="dhcp", seed=4) as guest:
                assert guest.addresses == ["10.0.2.100/24"]
                assert (await guest.resolve("www.example")).addresses == ["192.0.2.1"]
                assert (await guest.resolve("host.internal")).addresses == ["10.0.2.2"]
                assert [str(each[0]) for each in told] == ["10.0.2.100"] * 2
                assert services.forwards.list()[0].direction == "out"

                class Nobody:
                    def decide(self, flow):
                        return Decision.deny("no")

                flow = Flow("tcp", Ip4.parse("10.0.2.100"), 1, GATEWAY, 5432, net.now())
                assert services.gate(Nobody()).decide(flow).to == ("127.0.0.1", 5432)
            await asyncio.sleep(1)
            await services.aclose()
        assert [lease.hostname for lease in leases] == ["", ""]  # bound, and given back
        assert '"address": "10.0.2.100"' in (tmp_path / "leases").read_text()

    netstack.run_virtual(main())


def test_the_pool_is_what_slirp_has_or_what_there_is():
    def pool(network, gateway, dns=None, **said):
        made = ServicesConfig(network=Cidr.parse(network), gateway=Ip4.parse(gateway), dns=dns and Ip4.parse(dns), **said)
        return tuple(map(str, made.leased()))

    assert pool("10.0.2.0/24", "10.0.2.2", "10.0.2.3") == ("10.0.2.100", "10.0.2.254")
    assert pool("192.168.1.0/28", "192.168.1.1", "192.168.1.2") == ("192.168.1.3", "192.168.1.14")
    assert pool("192.168.1.0/30", "192.168.1.2") == ("192.168.1.1", "192.168.1.2")
    with pytest.raises(UsageError, match="no address for a guest"):
        pool("192.168.1.0/30", "192.168.1.1", "192.168.1.2")


def test_the_words_of_a_command_line_make_a_configuration():
    made = ServicesConfig.of(
        NETWORK, GATEWAY, forwards=["2222:22", ("udp", "53")], outward=[("tcp", "5432")], dns=["192.0.2.53"], first="10.0.2.15",
        search=["lan"], hosts={"db": "10.0.2.2"}, mtu=1400, control=None,
    )  # fmt: skip
    assert (made.tcp, made.udp, made.tcp_out, made.udp_out) == (("2222:22",), ("53",), ("5432",), ())
    assert (made.servers, str(made.dns), made.search, made.mtu) == (("192.0.2.53",), "10.0.2.3", ("lan",), 1400)
    assert tuple(map(str, made.leased())) == ("10.0.2.15", "10.0.2.254")
    assert ServicesConfig.of(NETWORK, GATEWAY, dns=False).dns is None
    assert [ServicesConfig.of(NETWORK, GATEWAY, dns=each).servers for each in (None, "system", ["system"], "192.0.2.1")] == [
        "system", "system", "system", ("192.0.2.1",),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="not in"):
        ServicesConfig.of(NETWORK, GATEWAY, dns_address="192.0.2.1")


def test_what_fails_at_the_start_leaves_nothing_running():
    async def main():
        async with netstack.open(Wire().port("router"), addresses=["10.0.2.2/24"]) as net:
            services = Services(net, config(dns=None, tcp=("x:y",)))
            with pytest.raises(UsageError):
                await services.start()
            services = Services(net, config(dns=None))
            await services.start()
            await services.aclose()

    netstack.run_virtual(main())
