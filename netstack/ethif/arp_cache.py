"""Who is where: the neighbours on the link, as a machine that does no input and no output.

Each neighbour goes through the states of neighbour unreachability detection, which RFC 4861 7.3 wrote for IPv6 and which
every modern ARP follows. `STEPS` is the machine: state and event to next state and to what the caller must do. The exceptions
to the table are beside it, in `heard` and `timeout`.

What a stranger on the link can do, and what stops him:

*Poison an entry.* A neighbour that answered, or that a transport confirmed, less than LOCK ago keeps its link address
(Linux: locktime); as long as traffic flows, confirmations keep that lock shut. A later change is believed, since that is how
addresses fail over (RFC 826's merge), but only as STALE: the next packet starts the check of the new address. A reply counts
as an answer only while we are asking, and to a question put to one neighbour only when it comes from that neighbour. Static
entries never change.

*Fill the table.* Replies that nobody asked for create nothing. What can be created stands on three shelves, each bounded, and
no shelf takes from another: *asked*, addresses that we are looking for (a flood of packets with forged local sources makes us
answer ghosts: the oldest ghost goes, since a real neighbour answers within a millisecond); *heard*, hosts that asked for us and
that we never sent to (a flood of forged requests: the oldest goes); *known*, neighbours that we send to (second chance: an entry
used again since the hand last passed stays). Static entries stand outside.

*Fill the queues.* Packets wait for an unresolved neighbour, at most QUEUE_BYTES and QUEUE_PACKETS: one TCP super-segment, or
all 45 fragments of the largest datagram (Linux counts bytes for the same reason; three packets, the old rule, lose the
fragments). The oldest goes first: RFC 1122 2.3.2.2 wants the latest kept. With 256 on the shelf that is 16 MiB at most.
"""

from .. import const
from ..timers import Timer, Timers
from .mib import ArpMib

ASKED_LIMIT = 256
HEARD_LIMIT = 256
KNOWN_LIMIT = 1024  # a /22 full of neighbours, and what Linux keeps at most (gc_thresh3)

QUEUE_BYTES = 66 * 1024
QUEUE_PACKETS = 64

TRIES = 3  # broadcast, and again unicast: RFC 4861 10, MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT
RETRY = 1_000_000_000  # ns: RFC 1122 2.3.2.1 recommends at most one request a second for each destination
DELAY = 5_000_000_000  # ns: how long a STALE neighbour in use may wait for a transport's confirmation (RFC 4861 10)
HOLD = 3_000_000_000  # ns: how long a failed neighbour is refused at once; about as long as it took to fail
LOCK = 1_000_000_000  # ns: Linux's locktime

# a packet that waits: offset and bytes of its headers, its payload, and Out's l4, csum_off and gso
Parked = tuple[int, bytes, bytes, int, int, int]

# what happens to a neighbour
USED = 0  # a packet wants to go there
TIMEOUT = 1  # its deadline has passed
GIVE_UP = 2  # its deadline has passed, and all tries are used up
ANSWERED = 3  # it answered our question
HEARD = 4  # it, or somebody in its name, spoke without being asked
CONFIRMED = 5  # a transport got an acknowledgement from there
EVENTS = 6

_I, _R, _S, _D, _P, _F, _G = (
    const.NUD_INCOMPLETE,
    const.NUD_REACHABLE,
    const.NUD_STALE,
    const.NUD_DELAY,
    const.NUD_PROBE,
    const.NUD_FAILED,
    const.NUD_GONE,
)

STEPS: dict[tuple[int, int], tuple[int, int]] = {
    (_G, USED): (_I, const.ARP_ASK),
    (_G, HEARD): (_S, const.ARP_NOTHING),
    (_I, USED): (_I, const.ARP_PARK),
    (_I, TIMEOUT): (_I, const.ARP_ASK),
    (_I, GIVE_UP): (_F, const.ARP_FAIL),
    (_I, ANSWERED): (_R, const.ARP_RELEASE),
    (_I, HEARD): (_D, const.ARP_RELEASE),  # it lives, but has not heard us yet
    (_R, USED): (_D, const.ARP_SEND),  # only asked when the confirmation has aged: it becomes STALE, and that is in use
    (_R, ANSWERED): (_R, const.ARP_NOTHING),
    (_R, HEARD): (_S, const.ARP_NOTHING),
    (_R, CONFIRMED): (_R, const.ARP_NOTHING),
    (_S, USED): (_D, const.ARP_SEND),
    (_S, ANSWERED): (_R, const.ARP_NOTHING),
    (_S, HEARD): (_S, const.ARP_NOTHING),
    (_S, CONFIRMED): (_R, const.ARP_NOTHING),
    (_D, USED): (_D, const.ARP_SEND),
    (_D, TIMEOUT): (_P, const.ARP_VERIFY),
    (_D, ANSWERED): (_R, const.ARP_NOTHING),
    (_D, HEARD): (_S, const.ARP_NOTHING),
    (_D, CONFIRMED): (_R, const.ARP_NOTHING),
    (_P, USED): (_P, const.ARP_SEND),
    (_P, TIMEOUT): (_P, const.ARP_VERIFY),
    (_P, GIVE_UP): (_G, const.ARP_NOTHING),  # RFC 4861 7.3.3: forget it, and let the next packet ask everybody
    (_P, ANSWERED): (_R, const.ARP_NOTHING),
    (_P, HEARD): (_S, const.ARP_NOTHING),
    (_P, CONFIRMED): (_R, const.ARP_NOTHING),
    (_F, USED): (_F, const.ARP_REFUSE),
    (_F, TIMEOUT): (_G, const.ARP_NOTHING),
    (_F, HEARD): (_S, const.ARP_NOTHING),
    (const.NUD_PERMANENT, USED): (const.NUD_PERMANENT, const.ARP_SEND),
}

# the same, flat: state * EVENTS + event; what is not in the table leaves all as it is
_NEXT = [STEPS.get((state, event), (state, const.ARP_NOTHING)) for state in range(const.NUD_GONE + 1) for event in range(EVENTS)]


class Expiry:
    """Who hears that the deadline of a neighbour has passed."""

    __slots__ = ()

    def expired(self, n: "Neighbour", now: int) -> None:
        raise NotImplementedError


class Neighbour(Timer):
    """One address on the link.

    mac        its link address; nothing in INCOMPLETE and FAILED       until    packets go, and change nothing: REACHABLE, and a
    confirmed  when it was last proved, or NEVER                                 DELAY, last until then, a static one until NEVER.
    asker      our address that its requests speak for                           0 elsewhere: one comparison on the packet path
    queue      packets that wait, oldest first, with their sizes
    """

    __slots__ = (
        "asker", "confirmed", "ip", "mac", "owner", "queue", "queued", "shelf", "sizes", "state", "touched", "tries", "until",
    )  # fmt: skip

    def __init__(self, ip: int, owner: "Expiry | None") -> None:
        super().__init__()
        self.ip = ip
        self.owner = owner
        self.mac = 0
        self.state = const.NUD_GONE
        self.until = 0
        self.confirmed = const.NEVER
        self.tries = 0
        self.touched = False
        self.asker = 0
        self.queue: list[Parked] = []
        self.sizes: list[int] = []
        self.queued = 0
        self.shelf: dict[int, Neighbour] | None = None

    def expire(self, now: int) -> None:
        if self.owner is not None:
            self.owner.expired(self, now)

    def park(self, packet: Parked, size: int) -> int:
        """Keep a packet until the neighbour is found; returns how many older ones had to go for it."""
        dropped = 0
        while self.queue and (self.queued + size > QUEUE_BYTES or len(self.queue) >= QUEUE_PACKETS):
            self.queue.pop(0)
            self.queued -= self.sizes.pop(0)
            dropped += 1
        self.queue.append(packet)
        self.sizes.append(size)
        self.queued += size
        return dropped

    def take(self) -> "list[Parked]":
        """The packets that waited; the queue is empty afterwards."""
        queue = self.queue
        self.queue = []
        self.sizes = []
        self.queued = 0
        return queue


class Cache:
    """The table. `reachable` is how long a confirmation lasts, in ns; deadlines of neighbours are told to `owner`."""

    __slots__ = ("asked", "heard_only", "known", "mib", "owner", "reachable", "table", "timers")

    def __init__(self, timers: Timers, reachable: int, mib: ArpMib, owner: "Expiry | None" = None) -> None:
        self.timers = timers
        self.reachable = reachable
        self.mib = mib
        self.owner = owner
        self.table: dict[int, Neighbour] = {}
        self.asked: dict[int, Neighbour] = {}
        self.heard_only: dict[int, Neighbour] = {}
        self.known: dict[int, Neighbour] = {}

    def find(self, ip: int) -> "Neighbour | None":
        return self.table.get(ip)

    def entry(self, ip: int) -> Neighbour:
        """The neighbour, a new one in state GONE if there is none; it stays only if an event gives it another state."""
        n = self.table.get(ip)
        return Neighbour(ip, self.owner) if n is None else n

    # -- events: each returns what the caller must do now, an ARP_* of const.py -----------------------------------------------

    def used(self, n: Neighbour, now: int) -> int:
        """A packet wants to go to `n`."""
        n.touched = True
        return const.ARP_SEND if now < n.until else self.step(n, USED, now)

    def answered(self, n: Neighbour, mac: int, now: int) -> int:
        """`mac` says, being asked, that it is `n`."""
        if n.state == const.NUD_INCOMPLETE or (n.state == const.NUD_PROBE and mac == n.mac):
            n.mac = mac
            return self.step(n, ANSWERED, now)
        return self.heard(n, mac, now)

    def heard(self, n: Neighbour, mac: int, now: int) -> int:
        """`mac` says that it is `n`, unasked. Returns ARP_LOCKED when that is not believed."""
        if n.state == const.NUD_PERMANENT:
            return const.ARP_NOTHING if mac == n.mac else const.ARP_LOCKED
        if mac == n.mac and n.state != const.NUD_INCOMPLETE and n.state != const.NUD_FAILED:
            return const.ARP_NOTHING  # no news; and no proof that it hears us
        if n.confirmed != const.NEVER and now - n.confirmed < LOCK:
            return const.ARP_LOCKED
        n.mac = mac
        return self.step(n, HEARD, now)

    def confirm(self, n: Neighbour, now: int) -> None:
        """A transport made progress through `n` (RFC 4861 7.3.1)."""
        if n.state == const.NUD_REACHABLE:
            n.confirmed = now
            n.until = now + self.reachable
        else:
            self.step(n, CONFIRMED, now)

    def timeout(self, n: Neighbour, now: int) -> int:
        """The deadline of `n` has passed."""
        if n.tries >= TRIES:
            return self.step(n, GIVE_UP, now)
        return self.step(n, TIMEOUT, now)

    def pin(self, n: Neighbour, mac: int, now: int) -> int:
        """Make it a static entry."""
        waiting = n.state == const.NUD_INCOMPLETE
        n.mac = mac
        self.enter(n, const.NUD_PERMANENT, now)
        n.until = const.NEVER
        return const.ARP_RELEASE if waiting else const.ARP_NOTHING

    def forget(self, n: Neighbour) -> None:
        """Drop it, whatever it is, with what waits for it."""
        self.enter(n, const.NUD_GONE, 0)

    # -- the machine ----------------------------------------------------------------------------------------------------------

    def step(self, n: Neighbour, event: int, now: int) -> int:
        before = n.state
        state, action = _NEXT[before * EVENTS + event]
        if event == ANSWERED or (event == CONFIRMED and state == const.NUD_REACHABLE):
            n.confirmed = now
        if state != before:
            n.tries = 0
            self.enter(n, state, now)
        elif event == TIMEOUT:
            self.schedule(n, now)
        if action == const.ARP_ASK or action == const.ARP_VERIFY:
            n.tries += 1
        return action

    def enter(self, n: Neighbour, state: int, now: int) -> None:
        """All that goes with being in a state: deadline, validity, place on a shelf."""
        n.state = state
        n.until = 0
        if state == const.NUD_REACHABLE:
            n.until = n.confirmed + self.reachable
        elif state == const.NUD_DELAY:
            n.until = now + DELAY  # what is sent changes nothing before the deadline, and need not be looked at
        if state == const.NUD_GONE:
            self.timers.cancel(n)
            self.table.pop(n.ip, None)
            self.mib.UnresolvedDiscards += len(n.take())
        else:
            self.schedule(n, now)
            self.table[n.ip] = n
        self.shelve(n)

    def schedule(self, n: Neighbour, now: int) -> None:
        if n.state == const.NUD_INCOMPLETE or n.state == const.NUD_PROBE:
            self.timers.arm(n, now + RETRY)
        elif n.state == const.NUD_DELAY:
            self.timers.arm(n, now + DELAY)
        elif n.state == const.NUD_FAILED:
            self.timers.arm(n, now + HOLD)
        else:
            self.timers.cancel(n)

    def shelve(self, n: Neighbour) -> None:
        """Put `n` where its state belongs, and let somebody go if that shelf is full."""
        shelf: dict[int, Neighbour] | None
        if n.state == const.NUD_GONE or n.state == const.NUD_PERMANENT:
            shelf = None
        elif n.state == const.NUD_INCOMPLETE or n.state == const.NUD_FAILED:
            shelf = self.asked
        elif n.state == const.NUD_STALE and not n.touched and n.shelf is not self.known:
            shelf = self.heard_only
        else:
            shelf = self.known
        if shelf is n.shelf:
            return
        if n.shelf is not None:
            del n.shelf[n.ip]
        n.shelf = shelf
        if shelf is None:
            return
        if shelf is self.asked:
            self.make_room(shelf, ASKED_LIMIT)
        elif shelf is self.heard_only:
            self.make_room(shelf, HEARD_LIMIT)
        else:
            self.make_room(shelf, KNOWN_LIMIT)
            n.touched = False  # being sent to once, on arrival, is no claim to stay: a flood of newcomers replaces newcomers
        shelf[n.ip] = n

    def make_room(self, shelf: "dict[int, Neighbour]", limit: int) -> None:
        while len(shelf) >= limit:
            ip = next(iter(shelf))
            n = shelf[ip]
            if shelf is self.known and n.touched:
                n.touched = False  # used since the hand last passed: once round again
                del shelf[ip]
                shelf[ip] = n
            else:
                self.mib.TableFulls += 1
                self.forget(n)
