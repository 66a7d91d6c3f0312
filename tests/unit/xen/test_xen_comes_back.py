"""A descriptor of event channels is not readable any more once they were heard, whatever is left in the rings: what a loop that
only looks at descriptors would never come back for."""

from front_world import FrontWorld
from netstack_xen.simulated.units import Unit
from xen_world import whole

from netstack import const


def test_what_one_poll_leaves_in_the_rings_is_due_at_once_where_there_is_a_descriptor():
    with FrontWorld(descriptor=True) as world:
        for i in range(2 * const.BATCH):
            world.back.send(Unit(whole(bytes(40), source=1000 + i)), world.now)
        world.back.poll(world.now)
        assert world.front.poll(world.now) is True
        assert world.front.next_deadline() == world.now
        while world.front.poll(world.now):
            assert world.front.next_deadline() == world.now
        assert world.front.mib.InFrames >= const.BATCH
        assert world.front.next_deadline() is None or world.front.next_deadline() > world.now
