"""A listening port: who calls is offered a vchan, and who takes it up is handed on. Who may call, and how: paths.py.

Nothing waits here: `fired` hears of the store, `told` of a port, `work` does what follows, `next_deadline` says when to come
without either.
"""

import errno
from collections.abc import Callable, Iterable
from contextlib import suppress

import attrs

from netstack.instant import MILLISECOND, NEVER, SECOND, Duration, Instant

from ..hypervisor import EVERYONE, Hypervisor, Store
from . import paths, wire
from .joint import Joint, offer
from .mib import VchanMib
from .wire import Layout

OFFER_TIME = Duration(10 * SECOND)  # between an offer and a client that takes it up: it is waiting for nothing else
TRY_AGAIN = Duration(500 * MILLISECOND)  # when there were no pages or ports
CALLS = 256  # of one domain that are looked at: its folder is no longer, by the store's own bounds, unless it is domain 0
WATCHED = 32  # clients whose folders are watched: the store gives a domain 128 watches. Others are heard by the bell
NAMED = 4  # domains in the permissions of a node: the store takes five, with the owner


@attrs.frozen
class Limits:
    """offers        vchans that are offered and not yet taken up, the backlog; for one domain half of them
    connections   those of one domain, at most: each costs pages, of which the machine has a bounded number"""

    offers: int = 128
    connections: int = 512


class Offer:
    def __init__(self, joint: Joint, peer: int, name: str, path: str, until: Instant) -> None:
        self.joint, self.peer, self.name, self.path, self.until = joint, peer, name, path, until


Taken = Callable[[Joint, int, int], None]  # its joint, the client's domain, the client's port or 0


class Desk:
    """`taken` is given each connection, `lost` is called when another server of this domain has taken the port over."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        port: int,
        layout: Layout,
        mib: VchanMib,
        taken: Taken,
        lost: Callable[[], None],
        *,
        ident: str,
        clients: "frozenset[int] | None" = None,
        limits: Limits = Limits(),
    ) -> None:
        self.port = port
        self.domid = hypervisor.domid
        self.offers: dict[int, Offer] = {}  # by our port of theirs
        self._hypervisor = hypervisor
        self._store = hypervisor.store
        self._layout = layout
        self._mib = mib
        self._taken = taken
        self._lost = lost
        self._value = paths.VERSION + ident
        self._clients = clients
        self._limits = limits
        self._calls: dict[int, dict[str, Offer | None]] = {}  # what is listed, by client and name; None: it has had its offer
        self._dirty: dict[int, None] = {}  # clients to be looked at
        self._put_off: dict[int, None] = {}  # clients whose calls wait for room
        self._again = NEVER  # when to try again for them
        self._live: dict[int, int] = {}  # connections of each client
        self._watched: set[int] = set()
        self._shelves: set[int] = set()  # clients whose folder of offers is there
        self._standing: dict[int, str] = {}  # clients that are always offered one, and where
        self._bare: dict[int, None] = {}  # those of them that lack it
        self._open = False
        self._rung = False
        self._spoilt = False

    @property
    def token(self) -> str:
        return f"desk {self.port}"

    # -- open and closed --------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Raises OSError where the store takes no more. What an earlier server left at this port is taken away."""
        self._open = True
        self._publish()
        self._store.watch(paths.bell(self.domid, self.port), self.token)

    def _publish(self) -> None:
        me, port = self.domid, self.port
        few = self._clients is not None and len(self._clients) <= NAMED
        who = sorted(self._clients or ()) if few else [EVERYONE]

        def change(store: Store) -> None:
            store.remove(paths.shop(me, port))
            store.write(paths.shop(me, port), self._value)
            store.permit(paths.shop(me, port), me, readers=who)
            store.write(paths.bell(me, port), "")
            store.permit(paths.bell(me, port), me, writers=who)

        self._store.together(change)

    def stand(self, client: int, path: str = "") -> None:
        """Always have one offered to `client`, for programs that call nobody."""
        self._standing[client] = path or paths.shelf(self.domid, self.port, client)
        self._bare[client] = None

    def close(self) -> None:
        """Nothing is offered any more. Connections go on."""
        if not self._open:
            return
        self._open = False
        for each in list(self.offers.values()):
            self._withdraw(each)
        for client in self._watched:
            with suppress(OSError):
                self._store.unwatch(paths.calls(client, self.domid, self.port), self.token)
        with suppress(OSError):
            self._store.unwatch(paths.bell(self.domid, self.port), self.token)
        with suppress(OSError):  # what can't be taken away is in nobody's way: the next server at this port begins with that
            self._store.together(self._unpublish)

    def _unpublish(self, store: Store) -> None:
        if store.read(paths.shop(self.domid, self.port)) == self._value:
            store.remove(paths.shop(self.domid, self.port))

    # -- what is heard ----------------------------------------------------------------------------------------------------------

    def fired(self, path: str) -> None:
        """Something of ours in the store has changed, or may have."""
        bell = paths.bell(self.domid, self.port)
        if path == bell:
            self._rung = True
        elif path.startswith(bell):
            self._spoilt = True
        else:
            steps = path.split("/")  # /local/domain/c/data/vchan/calls/s/p/NAME
            client = paths.domain_in(steps[3])
            if self._calls.get(client, {}).get(steps[-1], ...) is not None:  # or it had its offer, and is taken away
                self._dirty[client] = None

    def _listen(self) -> None:
        """To the bell, however often it was rung."""
        said = None if self._spoilt else self._store.read(paths.bell(self.domid, self.port))
        self._rung = self._spoilt = False
        if said:
            self._ring(paths.domain_in(said))
            return
        now = self._store.read(paths.shop(self.domid, self.port))
        if now is not None and now != self._value:
            self.close()
            self._lost()
        elif said is None:
            self._mend(now)

    def _mend(self, now: "str | None") -> None:
        """The bell is gone, or something hangs on it that would fill it up."""
        self._mib.BellsMended += 1
        if now is None:
            self._publish()  # all of it, and every offer in it
            for each in list(self.offers.values()):
                self._withdraw(each)
            self._calls.clear()
            self._shelves.clear()
        else:
            me, port = self.domid, self.port
            who = sorted(self._clients) if self._clients is not None and len(self._clients) <= NAMED else [EVERYONE]

            def change(store: Store) -> None:
                store.remove(paths.bell(me, port))
                store.write(paths.bell(me, port), "")
                store.permit(paths.bell(me, port), me, writers=who)

            self._store.together(change)
        self._bare.update(dict.fromkeys(self._standing))
        self._dirty.update(dict.fromkeys(self._watched))

    def _ring(self, client: int) -> None:
        if client < 0 or (self._clients is not None and client not in self._clients):
            self._mib.CallsIgnored += 1
            return
        self._dirty[client] = None
        if client not in self._watched and len(self._watched) < WATCHED:
            self._store.watch(paths.calls(client, self.domid, self.port), self.token)
            self._watched.add(client)

    def told(self, port: int) -> bool:
        """One of our ports. True: an offer was taken up."""
        each = self.offers.get(port)
        if each is None or not each.joint.channel.met():
            return False
        self._drop(each)
        self._live[each.peer] = self._live.get(each.peer, 0) + 1
        self._taken(each.joint, each.peer, paths.number_in(each.name))
        return True

    def over(self, client: int) -> None:
        """A connection has ended."""
        left = self._live.get(client, 0) - 1
        if left > 0:
            self._live[client] = left
        else:
            self._live.pop(client, None)
        self._room()

    # -- offers -----------------------------------------------------------------------------------------------------------------

    def work(self, now: Instant) -> None:
        """What follows from what was heard, and from the time."""
        if self._open and (self._rung or self._spoilt):
            self._listen()
        if not self._open:
            return
        for each in [each for each in self.offers.values() if each.until <= now]:
            if not self.told(each.joint.port):
                self._mib.OffersExpired += 1
                self._withdraw(each)
        if now >= self._again:
            self._again = NEVER
            self._room()
        bare, self._bare = self._bare, {}
        for client in bare:
            if self._offer(client, "", self._standing[client], NEVER) is None:
                self._bare[client] = None
                self._again = Instant(now + TRY_AGAIN)
        dirty, self._dirty = self._dirty, {}
        for client in dirty:
            self._serve(client, now)

    def next_deadline(self) -> Instant:
        return min(self._again, min((each.until for each in self.offers.values()), default=NEVER))

    def _serve(self, client: int, now: Instant) -> None:
        """Every call that is listed has an offer, and every offer a call."""
        listed = self._list(client)
        known = self._calls.setdefault(client, {})
        for name in [name for name in known if name not in listed]:
            each = known.pop(name)
            # a client takes its call away when it has taken up the offer, of which its port may not have told us yet
            if each is not None and not self.told(each.joint.port):
                self._mib.OffersWithdrawn += 1
                self._withdraw(each)
        for name in listed:
            if name in known:
                continue
            if not self._has_room(client, known.values()):
                self._mib.CallsPutOff += 1
                self._put_off[client] = None
                break
            path = f"{paths.shelf(self.domid, self.port, client)}/{name}"
            made = self._offer(client, name, path, Instant(now + OFFER_TIME))
            if made is None:
                self._put_off[client] = None
                self._again = Instant(now + TRY_AGAIN)
                break
            known[name] = made
        if not known:
            del self._calls[client]

    def _list(self, client: int) -> list[str]:
        try:
            listed = self._store.list(paths.calls(client, self.domid, self.port))
        except OSError as error:
            if error.errno != errno.EACCES:
                raise
            listed = None
        names = [name for name in listed or () if paths.number_in(name)]
        self._mib.CallsIgnored += len(listed or ()) - len(names[:CALLS])
        return names[:CALLS]

    def _has_room(self, client: int, theirs: "Iterable[Offer | None]") -> bool:
        most = self._limits.offers
        return (
            len(self.offers) - len(self._standing) < most
            and sum(each is not None for each in theirs) < max(1, most // 2)
            and self._live.get(client, 0) < self._limits.connections
        )

    def _room(self) -> None:
        """Who was put off may try again."""
        if self._put_off:
            self._dirty.update(self._put_off)
            self._put_off.clear()

    def _offer(self, client: int, name: str, path: str, until: Instant) -> "Offer | None":
        """None where the machine gives no more."""
        joint: Joint | None = None
        try:
            joint = self._joint(client)
            if name:
                self._put(joint, client, path)
            else:
                self._put_alone(joint, client, path)
        except OSError as error:
            if joint is not None:
                joint.close()
            if error.errno in (errno.EPIPE, errno.EBADF):
                raise  # there is no store, or no Xen, any more
            self._mib.OffersFailed += 1
            return None
        self._mib.Offers += 1
        made = self.offers[joint.port] = Offer(joint, client, name, path, until)
        return made

    def _put(self, joint: Joint, client: int, path: str) -> None:
        """For a call: nobody looks before ring-ref is there, and both are readable as the folder above is."""
        if client not in self._shelves:
            shelf = paths.shelf(self.domid, self.port, client)
            self._store.make(shelf)
            self._store.permit(shelf, self.domid, readers=[client])
            self._shelves.add(client)
        self._store.write(f"{path}/event-channel", str(joint.port))
        self._store.write(f"{path}/ring-ref", str(joint.ref))

    def _put_alone(self, joint: Joint, client: int, path: str) -> None:
        """As libxenvchan does it."""

        def publish(store: Store) -> None:
            for leaf, number in (("ring-ref", joint.ref), ("event-channel", joint.port)):
                store.write(f"{path}/{leaf}", str(number))
                store.permit(f"{path}/{leaf}", self.domid, readers=[client])

        self._store.together(publish)

    def _joint(self, client: int) -> Joint:
        """With the rings that were asked for; where there aren't pages enough, with what fits into one."""
        try:
            return offer(self._hypervisor, client, self._layout)
        except OSError:
            small = wire.layout(wire.SMALL, wire.LARGE)
            if self._layout.pages == small.pages:
                raise
            return offer(self._hypervisor, client, small)

    def _withdraw(self, each: Offer) -> None:
        self._drop(each)
        each.joint.close()

    def _drop(self, each: Offer) -> None:
        """It is no offer any more."""
        del self.offers[each.joint.port]
        known = self._calls.get(each.peer, {})
        if known.get(each.name) is each:
            known[each.name] = None
        with suppress(OSError):
            if each.name:
                self._store.remove(each.path)
            else:  # below the path of a standing offer are offers for calls
                for leaf in ("ring-ref", "event-channel"):
                    self._store.remove(f"{each.path}/{leaf}")
        if not each.name and self._open:
            self._bare[each.peer] = None
        self._room()
