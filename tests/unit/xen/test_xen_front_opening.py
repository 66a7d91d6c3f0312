"""`xen:0?…`: what a user may write, and what he reads when he may not."""

import pytest
from netstack_xen import factory, libxen
from netstack_xen.front import Phase
from netstack_xen.simulated import Machine, toolstack

from netstack.errors import UsageError


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("", {}, "write its number, as in xen:0"),
        ("eth0", {}, "write a number from 0"),
        ("0", {"queue": "2"}, "does not know the option 'queue'"),
        ("0", {"queues": "0"}, "from 1 to 32"),
        ("0", {"split": "maybe"}, "neither yes nor no"),
        ("0", {"offload": "tso4"}, "a cut segment needs its checksum"),
        ("0", {"groups": "00:16:3e:00:00:01"}, "no group address"),
        ("0", {"mac": "01:00:5e:00:00:01"}, "is a group address"),
    ],
)
def test_what_can_not_be_is_said_in_a_sentence_and_nothing_stays_open(name, options, says, monkeypatch):
    with Machine() as machine:
        toolstack.add_vif(machine.domain(0).store, 1)
        guest = machine.domain(1)
        monkeypatch.setattr(factory, "_libxen", lambda: guest)
        with pytest.raises(UsageError, match=says):
            factory.open_xen(name, options)
        assert not list(machine.books.of(1))


def test_an_interface_is_opened_with_a_connection_of_its_own_and_closes_it(monkeypatch):
    with Machine() as machine:
        toolstack.add_vif(machine.domain(0).store, 1)
        guest = machine.domain(1)
        monkeypatch.setattr(factory, "_libxen", lambda: guest)
        with factory.open_xen("0", {"queues": "2", "groups": "01:00:5e:00:00:01"}) as netif:
            assert netif.phase is Phase.WAITING
            assert str(netif.mac) == "00:16:3e:00:00:01"
        assert guest.closed
        machine.books.assert_even()


@pytest.mark.parametrize("takeover", [False, True])
def test_what_the_kernel_has_is_taken_from_it_only_when_that_was_asked_for(monkeypatch, takeover):
    asked = []
    monkeypatch.setattr(libxen, "held_by", lambda handle: "vif")
    monkeypatch.setattr(libxen, "let_go", asked.append)
    with Machine() as machine:
        toolstack.add_vif(machine.domain(0).store, 1)
        guest = machine.domain(1)
        monkeypatch.setattr(factory, "_libxen", lambda: guest)
        if takeover:
            factory.open_xen("0", {"takeover": "yes"}).close()
        else:
            with pytest.raises(UsageError, match="takeover=yes"):
                factory.open_xen("0", {})
    assert asked == ([0] if takeover else [])
