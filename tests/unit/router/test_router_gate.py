"""The router as one makes it, and the gate that stands where nobody has put another."""

import socket

import pytest

from netstack.address import Cidr, Ip4
from netstack.errors import UsageError
from netstack.instant import Instant
from netstack.loopback import Loopback
from netstack.router.bare import BareRouter
from netstack.router.flow import Decision, Flow
from netstack.router.gate import OpenGate
from netstack.router.nat.config import NatConfig


def flow(dst: str, proto: str = "tcp", port: int = 80) -> Flow:
    return Flow(proto, Ip4.parse("10.0.2.100"), 4000, Ip4.parse(dst), port, Instant(0))


@pytest.fixture
def gate():
    gate = OpenGate(Ip4.parse("10.0.2.2"), network=Cidr.parse("10.0.2.0/24"))
    yield gate
    gate.close()


@pytest.mark.parametrize(
    ("dst", "why"),
    [
        ("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("169.254.169.254", "link-local"), ("224.0.0.1", "one host"),
        ("0.0.0.0", "one host"), ("255.255.255.255", "one host"), ("10.0.2.2", "gateway"), ("10.0.2.9", "network"),
    ],
)  # fmt: skip
def test_home_is_denied(gate, dst, why):
    said = gate.decide(flow(dst))
    assert said.action == "deny" and why in said.reason


def test_others_are_allowed_and_the_host_s_own_addresses_are_not(gate):
    assert gate.decide(flow("192.0.2.1")) == Decision.connect()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing, and tells which address would
        except OSError:
            return  # a host without any
        own = sock.getsockname()[0]
    assert gate.decide(flow(own)).reason == "the host's own address"
    with_own = OpenGate(own=True)
    assert with_own.decide(flow(own)).action == "connect"
    with_own.close()


def test_the_loopback_is_at_the_gateway_when_it_was_asked_for():
    gate = OpenGate(Ip4.parse("10.0.2.2"), loopback=True)
    assert gate.decide(flow("10.0.2.2", port=22)).to == ("127.0.0.1", 22)
    assert gate.decide(flow("127.0.0.1")).action == "deny"
    gate.close()


def test_the_addresses_are_those_of_slirp():
    router = BareRouter(Loopback())
    assert (str(router.network), str(router.gateway)) == ("10.0.2.0/24", "10.0.2.2")
    router.gate.close()
    router = BareRouter(Loopback(), network="192.168.7.0/28", gateway="192.168.7.1")
    assert str(router.gateway) == "192.168.7.1"
    router.gate.close()


@pytest.mark.parametrize(
    "options", [{"gateway": "10.0.3.2"}, {"gateway": "10.0.2.255"}, {"network": "10.0.2.0/31"}, {"gateway": "10.0.2.0"}]
)
def test_what_can_be_no_router_is_said(options):
    with pytest.raises(UsageError):
        BareRouter(Loopback(), **options)


@pytest.mark.parametrize("options", [{"max_tcp": 0}, {"udp_idle": 300}, {"filtering": "none"}])
def test_limits_that_can_not_work_are_refused(options):
    with pytest.raises(UsageError):
        NatConfig(**options)
