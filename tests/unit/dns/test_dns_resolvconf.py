"""/etc/resolv.conf, as resolv.conf(5) has it."""

import os

import pytest
from dns_world import MS, RUNTIMES, Says, record, response, world

from netstack.dns.client.resolvconf import ResolvConf, SystemResolver, parse, read
from netstack.errors import UsageError


def test_all_that_a_file_may_say():
    conf = parse(
        """
        # a comment
        ; and another
        domain old.example
        nameserver 10.0.0.1
        nameserver 2001:db8::53
        nameserver 10.0.0.3
        nameserver 10.0.0.4
        search lab.example corp.example
        options ndots:2 timeout:3 attempts:4
        options rotate use-vc edns0 trust-ad
        sortlist 130.155.160.0/255.255.240.0
        options single-request no-tld-query
        """
    )
    assert conf == ResolvConf(
        servers=("10.0.0.1", "2001:db8::53", "10.0.0.3"), search=("lab.example", "corp.example"), ndots=2, timeout=3, attempts=4,
        rotate=True, use_vc=True, trust_ad=True,
    )  # fmt: skip
    assert conf.unknown == ("sortlist 130.155.160.0/255.255.240.0", "single-request", "no-tld-query")
    made = conf.config()
    assert (made.query.patience, made.query.stream_only, made.rotate, made.trust_ad) == (12_000_000_000, True, True, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ResolvConf()),
        ("nameserver\nnameserver dns.example\nnameserver 10.0.0.1 and more\nsearch\n\0\xff", ResolvConf(servers=("10.0.0.1",))),
        ("options ndots:99 timeout:0 attempts:77", ResolvConf(ndots=15, timeout=1, attempts=5)),
        ("options ndots:x timeout: attempts:-1", ResolvConf()),
        ("search a.example\ndomain b.example c.example", ResolvConf(search=("b.example",))),
        ("search ok.example a..b " + "x" * 64, ResolvConf(search=("ok.example",))),
    ],
)
def test_what_means_nothing_is_passed_over_and_the_rest_has_bounds(text, expected):
    assert parse(text) == expected


def test_lists_are_bounded():
    conf = parse("search " + " ".join(f"d{i}.example" for i in range(500)) + "\n" + "nameserver 10.0.0.1\n" * 50)
    assert len(conf.search) == 32 and len(conf.servers) == 3


def test_a_relay_on_the_loopback_gives_way_to_those_behind_it(tmp_path):
    front, behind = tmp_path / "resolv.conf", tmp_path / "behind.conf"
    front.write_text("nameserver 127.0.0.53\nsearch lab.example\n")
    assert read(str(front), str(behind)).servers == ("127.0.0.53",)
    behind.write_text("nameserver 10.0.0.1\n")
    conf = read(str(front), str(behind))
    assert conf.servers == ("10.0.0.1",) and conf.search == ("lab.example",)


@pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
def test_the_systems_servers_are_asked_and_the_file_is_read_again_when_it_changes(on, tmp_path):
    path = tmp_path / "resolv.conf"

    def says(address):
        return Says(lambda q, over_stream: response(q, record("www.example.", "A", address)))

    async def test(on):
        async with world("client", "one", "two", delay=MS) as (client, one, two):
            servers = [await says("192.0.2.1").start(one), await says("192.0.2.2").start(two)]
            path.write_text("nameserver 10.0.0.2\nsearch lab.example\n")
            resolver = SystemResolver(client, client, str(path), str(tmp_path / "none"))
            assert (await resolver.resolve("www.example")).addresses == ["192.0.2.1"] and resolver.search == ("lab.example",)
            path.write_text("nameserver 10.0.0.3\noptions ndots:3\n")
            assert (await resolver.resolve("www.example")).addresses == ["192.0.2.1"]  # looked at a moment ago
            await on.sleep(1)
            assert (await resolver.resolve("www.example")).addresses == ["192.0.2.2"]
            assert (resolver.search, resolver.ndots) == ((), 3)
            for broken in ("", None):
                os.unlink(path) if broken is None else path.write_text(broken)
                await on.sleep(1)
                assert (await resolver.resolve("www.example")).addresses == ["192.0.2.2"]  # what it said last is kept
            await resolver.aclose()
            for each in servers:
                await each.aclose()

    on.run(test)


def test_a_file_without_a_server_is_a_mistake(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("search lab.example\n")
    with pytest.raises(UsageError, match="names no server"):
        SystemResolver(None, None, str(path))
    with pytest.raises(OSError, match="No such file"):
        SystemResolver(None, None, str(tmp_path / "nothing"))
