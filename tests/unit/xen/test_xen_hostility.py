"""Our drivers against ends that lie: no crash, no hang, all is given back, and with a proper end opposite they work again."""

import logging

import pytest
from xen_hostility import AgainstBack, AgainstFront

logging.getLogger("netstack.xen").addHandler(logging.NullHandler())
OURS = ("not granted", "not its port", "not its pages", "double release", "use after end", "use after close", "copy refused")

DRAWN = [(0, 1), (0.002, 2), (0.02, 3), (0.02, 4)]  # no other seed each time: what a liar of unknown dice finds is for a campaign


@pytest.mark.parametrize("queues", [1, 2])
@pytest.mark.parametrize(("rate", "seed"), DRAWN)
def test_a_netfront_lives_with_a_back_end_that_lies_and_works_with_the_next(rate, queues, seed):
    world = AgainstFront(seed, rate=rate, queues=queues, trouble=True)
    world.run(turns=120)
    assert world.recover()
    assert rate or (world.liar.frames > 300 and world.above.frames > 300)
    noted = [note for note in world.machine.books.notes if note.domid == world.domid and note.kind in OURS]
    if rate:  # the liar writes into rings, too: what stands there then is not the front end's word
        noted = [note for note in noted if note.kind != "copy refused"]
    world.close()
    assert not noted


@pytest.mark.parametrize(("rate", "seed"), DRAWN)
def test_a_netback_lives_with_a_front_end_that_lies_and_works_with_the_next(rate, seed):
    world = AgainstBack(seed, rate=rate, trouble=True)
    world.run(turns=120)
    assert world.recover()
    assert rate or (world.liar.frames > 300 and world.above.frames > 300)
    noted = [note for note in world.machine.books.notes if note.domid == world.domid and note.kind in OURS[1:]]
    world.close()
    assert not noted  # what it maps and binds is what it was told
