"""The simulated machine keeps what every Hypervisor promises: in two domains, in one with itself, and by descriptors."""

import pytest
from netstack_xen.simulated import Machine, toolstack
from promises import PROMISES, clean


@pytest.mark.parametrize("check", PROMISES, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("domids", "descriptor"), [((1, 2), False), ((0, 0), False), ((3, 0), True)], ids=str)
def test_the_simulated_machine_keeps_the_promise_that(check, domids, descriptor):
    with Machine() as machine:
        ours, theirs = (machine.domain(domid, descriptor=descriptor) for domid in domids)
        check(ours, theirs)
        if not ours.closed:
            clean(ours)
        ours.close()
        theirs.close()
        machine.books.assert_even()


def test_a_vif_has_two_folders_that_either_side_reads_and_one_writes():
    with Machine() as machine:
        tools, front = machine.domain(0), machine.domain(5)
        vif = toolstack.add_vif(tools.store, 5, 2, mtu=9000)
        assert vif == ("/local/domain/5/device/vif/2", "/local/domain/0/backend/vif/5/2")
        assert front.store.list("device/vif") == ["2"]
        assert front.store.read("device/vif/2/backend") == vif.backend and front.store.read("device/vif/2/mtu") == "9000"
        assert front.store.read(f"{vif.backend}/hotplug-status") == "connected"
        front.store.write("device/vif/2/state", "4")
        with pytest.raises(PermissionError):
            front.store.write(f"{vif.backend}/state", "4")
        toolstack.remove_vif(tools.store, vif)
        assert front.store.list("device/vif") == []
