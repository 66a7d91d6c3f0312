"""Our drivers against ends that lie: worlds for the tests, and a campaign.

PYTHONPATH=.:backends python tests/unit/xen/xen_hostility.py front --frames 1000000 --seed 1
PYTHONPATH=.:backends python tests/unit/xen/xen_hostility.py back  --frames 1000000 --seed 1
"""

import argparse
import errno
import os
import random
import signal
import sys
import time

from netstack_xen.back.netif import XenBack
from netstack_xen.front import Xen
from netstack_xen.simulated import Machine, Trouble, toolstack
from netstack_xen.simulated.hostile import HostileBack
from netstack_xen.simulated.hostilefront import HostileFront
from netstack_xen.simulated.plainfront import PlainFront
from netstack_xen.simulated.strict import Offers, StrictBack
from netstack_xen.simulated.units import Unit

from netstack.adapters import FramePort, TeeSink
from netstack.cores import Out
from netstack.netif import SendOnly

MILLISECOND, SECOND = 10**6, 10**9
POLLS = 100  # of one turn: more would be a hang
FRONT, BACK = 1, 0


class Above:
    """What stands above the driver: it counts what comes up, and sends frames."""

    def __init__(self, netif) -> None:
        self.frames, self.bytes, self.last = 0, 0, b""
        self.on(netif)

    def on(self, netif) -> None:
        self.port = FramePort(netif)
        netif.attach(TeeSink(self, SendOnly()))

    def on_input(self, f) -> None:
        self.frames += 1
        self.last = bytes(f.buf[f.off : f.end])
        self.bytes += len(self.last)

    def on_flush(self, now: int) -> None: ...

    def on_send(self, p, now: int) -> None: ...

    def send(self, frame: bytes, now: int) -> None:
        p = Out()
        p.off = len(p.hdr) - 14
        p.hdr[p.off :] = frame[:14]
        p.data, p.n = frame[14:], len(frame) - 14
        self.port.send_out(p, now)


class Hostility:
    """A driver of ours in `front` or at the back, and a liar opposite."""

    def __init__(self, seed: int, *, rate: float, queues: int = 1, trouble: bool = False, mortal: bool = True) -> None:
        self.dice = random.Random(seed)
        self.rate, self.queues, self.mortal = rate, queues, mortal
        self.machine = Machine(page_limit=100_000)
        if trouble:
            self.machine.trouble = Trouble(random.Random(seed + 1), late=0.05, spurious=0.05)
        self.tools = self.machine.domain(0)
        self.vif = toolstack.add_vif(self.tools.store, FRONT)
        self.now = SECOND
        self.removals = 0
        self.ours = self.machine.domain(self.domid)
        self.liar = self.new_liar()
        self.netif = self.new_netif()
        self.above = Above(self.netif)

    domid = FRONT

    def new_liar(self):
        raise NotImplementedError

    def new_netif(self):
        raise NotImplementedError

    def turn(self) -> None:
        self.now += 1 + self.dice.getrandbits(20)
        if not self.liar.queues:
            self.now += 200 * MILLISECOND  # nothing happens until somebody tries again
        if self.dice.getrandbits(10) == 0:
            self.now += 10 * SECOND  # nobody does anything for a while: time-outs
        self.machine.advance(self.now)
        self.liar.turn()
        self.poll()
        for _ in range(self.dice.getrandbits(3)):
            size = self.dice.getrandbits(13) + 14
            self.above.send(bytes(size), self.now)

    def poll(self) -> None:
        for _ in range(POLLS):
            try:
                if not self.netif.poll(self.now):
                    return
            except OSError as error:
                assert error.errno == errno.ENODEV, error  # the one thing that a driver may say: the vif was removed
                self.removed()
        raise AssertionError(f"{POLLS} polls, and there is still more")

    def removed(self) -> None:
        """The liar has taken away what says that the vif is there: somebody adds it again, and opens it."""
        self.removals += 1
        self.netif.close()
        self.vif = toolstack.add_vif(self.tools.store, FRONT)
        self.netif = self.new_netif()
        self.above.on(self.netif)

    def run(self, *, frames: int = 0, turns: int = 0) -> None:
        while self.liar.frames < frames or turns > 0:
            self.turn()
            turns -= 1
            assert turns > -1_000_000, "nothing gets through any more"

    def close(self) -> None:
        """The driver gives back all, whatever the other end holds."""
        self.netif.close()
        self.ours.close()
        self.liar.close()
        self.tools.close()
        for program in list(self.machine.programs):
            program.close()
        self.machine.books.assert_even()
        self.machine.close()


class AgainstFront(Hostility):
    def new_liar(self):
        return HostileBack(self.machine, self.vif.backend, self.dice, rate=self.rate, mortal=self.mortal)

    def new_netif(self):
        return Xen(self.ours, 0, queues=self.queues, now=self.now)

    def recover(self) -> bool:
        """A proper back end takes the liar's place: does a frame of each way arrive?"""
        self.liar.close()
        self.machine.trouble = None
        toolstack.hotplug(self.tools.store, self.vif)
        for name, text in (("online", "1"), ("mac", "00:16:3e:00:00:01")):
            self.tools.store.write(f"{self.vif.backend}/{name}", text)
        got: list[Unit] = []
        back = StrictBack(self.machine.domain(BACK), self.vif.backend, receive=got.append, offers=Offers(queues=4))
        frame = b"\0\x16\x3e\0\0\1\0\x16\x3e\0\0\2\x88\xb5" + b"recovered" * 20
        for _ in range(600):
            self.now += 200 * MILLISECOND
            self.machine.advance(self.now)
            self.poll()  # first: the store shows that another one is here, which a moment later it may not
            back.poll(self.now)
            if back.carrier:
                back.send(Unit(frame), self.now)
                self.poll()
                back.poll(self.now)
                if self.above.last == frame:
                    break
        fine = self.above.last == frame and not back.complaints
        back.close()
        return fine


class AgainstBack(Hostility):
    domid = BACK

    def new_liar(self):
        return HostileFront(self.machine, FRONT, self.vif.frontend, self.dice, rate=self.rate, mortal=self.mortal)

    def new_netif(self):
        return XenBack(self.ours, FRONT, now=self.now)

    def recover(self) -> bool:
        """A proper front end takes the liar's place."""
        self.liar.close()
        self.machine.trouble = None
        store = self.tools.store
        for name in list(store.list(self.vif.frontend) or ()):
            if name not in ("backend", "backend-id", "handle"):
                store.remove(f"{self.vif.frontend}/{name}")
        guest = self.machine.domain(FRONT)
        frame = b"\0\x16\x3e\0\0\1\0\x16\x3e\0\0\2\x88\xb5" + b"recovered" * 20
        for state, answers in (("5", "56"), ("6", "6"), ("1", "2")):
            store.write(f"{self.vif.frontend}/state", state)
            for _ in range(50):
                self.now += 200 * MILLISECOND
                self.poll()
                if (store.read(f"{self.vif.backend}/state") or "?") in answers:
                    break
            else:
                return False
        front = PlainFront(guest, self.vif.frontend, receive=print)
        for _ in range(600):
            self.now += 200 * MILLISECOND
            self.poll()
            front.poll(self.now)
            if front.queues and front.backend_state() == 4:
                front.send(Unit(frame))
                self.poll()
                if self.above.last == frame:
                    break
        fine = self.above.last == frame and not front.complaints
        front.end()
        return fine


class Scribbler:
    """Another process that writes into the rings at any moment, in the middle of a look at a slot, too: it has them by `fork`."""

    def __init__(self, world: Hostility) -> None:
        self.world, self.queue, self.child, self.children = world, None, 0, 0

    def follow(self) -> None:
        """One for each connection."""
        queues = self.world.liar.queues
        queue = queues[0] if queues else None
        if queue is not self.queue:
            self.stop()
            self.queue = queue
            if queue is not None:
                self.children += 1
                self.child = os.fork()
                if not self.child:
                    self.scribble(queue)

    def scribble(self, queue) -> None:
        dice = random.Random(self.children)
        memories = [ring.memory for ring in (queue.tx, queue.rx)]
        parent = os.getppid()
        while os.getppid() == parent:
            for _ in range(dice.getrandbits(8)):
                memory = memories[dice.getrandbits(1)]
                at = dice.getrandbits(12)
                memory[at : at + 2] = dice.randbytes(len(memory[at : at + 2]))
                if dice.getrandbits(3):  # mostly in the first slots, and not in the producers
                    memory[64 + at % 512] = dice.getrandbits(8)
            time.sleep(0.0005)
        os._exit(0)

    def stop(self) -> None:
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=("front", "back"))
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.002)
    parser.add_argument("--queues", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=170)
    parser.add_argument("--scribble", action="store_true", help="another process writes into the rings at the same time")
    parser.add_argument("--notes", action="store_true")
    given = parser.parse_args()
    world = (AgainstFront if given.side == "front" else AgainstBack)(given.seed, rate=given.rate, queues=given.queues, trouble=True)
    start = time.monotonic()
    turns = 0
    scribbler = Scribbler(world)
    while world.liar.frames < given.frames and time.monotonic() - start < given.seconds:
        world.turn()
        turns += 1
        if given.scribble:
            scribbler.follow()
    scribbler.stop()
    if given.scribble:
        print(f"{scribbler.children} scribblers")
    liar = world.liar
    took = time.monotonic() - start
    said = f"{sum(liar.lies.values())} lies, {liar.deaths} deaths, {world.removals} removals"
    print(f"{liar.frames} frames in {turns} turns, {took:.1f} s; {said}")
    core = sys.modules[type(world.netif).__mro__[1].__module__]
    print(f"{world.above.frames} frames handed up by {core.__file__}")
    for name, count in sorted(liar.lies.items()):
        print(f"  {count:8} {name}")
    print({name: count for name, count in world.netif.mib.snapshot().items() if count})
    print("recovers:", world.recover())
    kinds: dict[str, int] = {}
    for note in world.machine.books.notes:
        if note.domid == world.domid:
            kinds[note.kind] = kinds.get(note.kind, 0) + 1
            if given.notes:
                print("  ", note)
    print("noted of ours:", kinds)
    world.close()
    print("books even")


if __name__ == "__main__":
    main()
