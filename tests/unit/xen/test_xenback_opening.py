"""`xenback:DOMID/HANDLE`, and the numbers that are written down twice."""

import pytest
from netstack_xen import factory, hypervisor, orders
from netstack_xen.back import XenBack
from netstack_xen.simulated import Machine, toolstack

from netstack.errors import UsageError


@pytest.fixture
def machine(monkeypatch):
    with Machine() as machine:
        monkeypatch.setattr(factory, "_libxen", lambda: machine.domain(0))
        yield machine


def test_a_vif_is_opened_by_domain_and_number(machine):
    toolstack.add_vif(machine.domain(0).store, 3, 1, mtu=9000)
    with factory.open_xenback("3/1", {}) as back:
        assert isinstance(back, XenBack) and back.name == "vif3.1" and back.mtu == 9000 and "vif3.1 init_wait" in repr(back)
        assert str(back.mac) == "fe:ff:ff:ff:ff:ff"


def test_what_is_said_of_it_is_done(machine):
    store = machine.domain(0).store
    vif = toolstack.add_vif(store, 3)
    words = {"queues": "2", "split": "no", "control": "no", "gso": "no", "hotplug": "wait"}
    words |= {"mac": "02:00:00:00:00:07", "mtu": "2000"}
    with factory.open_xenback("3/0", words) as back:
        assert back.mtu == 2000 and str(back.mac) == "02:00:00:00:00:07"
        expected = {"multi-queue-max-queues": "2", "feature-gso-tcpv4": "0", "feature-ctrl-ring": "0"}
        assert {key: store.read(f"{vif.backend}/{key}") for key in expected} == expected
    with factory.open_xenback("9/0", {"wait": "yes"}) as back:
        assert "unknown" in repr(back)
    assert repr(back) == "<XenBack vif9.0 closed>"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("", {}),
        ("3", {}),
        ("3/", {}),
        ("x/0", {}),
        ("40000/0", {}),
        ("3/0", {"queues": "0"}),
        ("3/0", {"hotplug": "maybe"}),
        ("3/0", {"mtu": "20"}),
        ("3/0", {"mac": "01:00:5e:00:00:01"}),
        ("3/0", {"colour": "red"}),
    ],
)
def test_what_can_not_be_is_said_in_a_sentence_and_nothing_stays_open(machine, name, options):
    with pytest.raises(UsageError):
        factory.open_xenback(name, options)
    assert not machine.programs


def test_orders_are_laid_out_as_the_hypervisor_says():
    b = bytearray(64)
    orders.put(b, 1, 0xDEADBEEF, 17, 4000, 70000, 0x8003)
    assert b[16:32] == hypervisor.ORDER.pack(0xDEADBEEF, 17, 4000, 70000, 0x8003, 0)
    assert orders.get(b, 1) == (0xDEADBEEF, 17, 4000, 70000, 0x8003)
    orders.put(b, 2, 5, 0, 100, 0, 1)
    orders.settle(b, 1, 2, 60)
    assert orders.get(b, 1)[2] == 60 and orders.get(b, 2)[3] == 60
    assert orders.failed(b, 0, 4) == -1
    orders.answer(b, 2, hypervisor.BAD_REF)
    assert hypervisor.ORDER.unpack_from(b, 32)[-1] == hypervisor.BAD_REF
    assert orders.failed(b, 0, 4) == 2 and orders.failed(b, 3, 1) == -1
    assert (orders.PAGE, orders.INTO_PAGE) == (hypervisor.PAGE, hypervisor.INTO_PAGE)
    for wrong in (lambda: orders.put(b, 4, 0, 0, 0, 0, 0), lambda: orders.get(b, -1), lambda: orders.failed(b, 0, 5)):
        with pytest.raises(IndexError):
            wrong()
