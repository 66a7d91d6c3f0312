"""A client's calls: of a server that has many vchans for who asks (paths.py), or of one vchan at a path, as libxenvchan's.

Nothing waits here: `Call.look` gives the connection as soon as there is one, and is to be asked again when `woken` was called.
"""

import errno
from collections.abc import Callable
from contextlib import suppress

from netstack.errors import Refused, Unreachable, WireError
from netstack.signatures import Rng

from ..hypervisor import Hypervisor, Store
from . import paths
from .joint import Joint, claim
from .mib import VchanMib

REF_MOST = 0xFFFFFFFF
PORT_MOST = 1 << 17  # event channels that a domain can have
HIDDEN = (errno.EACCES, errno.ENOENT)
WATCHES = 8  # that are kept though nobody waits: the store gives a domain 128


class Calls:
    """All those of a stack."""

    def __init__(self, hypervisor: Hypervisor, mib: VchanMib, rng: Rng) -> None:
        self.hypervisor = hypervisor
        self.store = hypervisor.store
        self.me = hypervisor.domid  # which it asks the store for
        self.mib = mib
        self._rng = rng
        self._watches: dict[str, dict[Call, None]] = {}  # who waits for which folder
        self.folders: set[str] = set()  # our own that are there, for calls
        self.acquainted: set[str] = set()  # shops that look into our folder without a bell

    def find(self, host: str) -> int:
        """The number of a domain: it itself, `localhost`, or a name, where this domain may read those. Raises Unreachable."""
        if host == "localhost":
            return self.me
        domain = paths.domain_in(host)
        if domain >= 0:
            return domain
        try:
            for each in self.store.list("/local/domain") or ():
                if self.store.read(f"/local/domain/{each}/name") == host:
                    return paths.domain_in(each)
        except OSError as error:
            if error.errno not in HIDDEN:
                raise
            raise Unreachable(f"{host!r} is no number of a domain, and this one may not read the names of others") from None
        raise Unreachable(f"there is no domain called {host!r}")

    def begin(self, server: int, port: int, woken: Callable[[], None]) -> "Call":
        """Raises Refused, Unreachable."""
        shop = paths.shop(server, port)
        if not (self._read(shop) or "").startswith(paths.VERSION):
            if self._read(f"{shop}/ring-ref") is not None:
                return Call(self, server, shop, woken)
            try:
                nobody = self.store.read(f"/local/domain/{server}") is None
            except OSError:
                nobody = False  # that's not for us to know
            if nobody and server != self.me:
                raise Unreachable(f"there is no domain {server}")
            raise Refused(f"nobody in domain {server} serves vchans of port {port}, or not to domain {self.me}")
        return PortCall(self, server, port, woken)

    def at(self, server: int, path: str, woken: Callable[[], None]) -> "Call":
        """Of libxenvchan, at this path. Raises Refused."""
        if self._read(f"{path}/ring-ref") is None:
            raise Refused(f"domain {server} offers no vchan at {path}")
        return Call(self, server, path, woken)

    def _read(self, path: str) -> "str | None":
        try:
            return self.store.read(path)
        except OSError as error:
            if error.errno not in HIDDEN:
                raise
            return None

    def draw(self) -> str:
        return f"{1 + self._rng.getrandbits(32) % 65535}-{self._rng.getrandbits(32):08x}"

    def watch(self, path: str, call: "Call") -> None:
        waiting = self._watches.get(path)
        if waiting is None:
            self.store.watch(path, "call")
            waiting = self._watches[path] = {}
        waiting[call] = None

    def unwatch(self, path: str, call: "Call") -> None:
        self._watches.get(path, {}).pop(call, None)
        idle = [path for path, waiting in self._watches.items() if not waiting]
        for each in idle[:-WATCHES]:
            self._unwatch(each)

    def close(self) -> None:
        for each in list(self._watches):
            self._unwatch(each)

    def _unwatch(self, path: str) -> None:
        del self._watches[path]
        with suppress(OSError):
            self.store.unwatch(path, "call")

    def fired(self, path: str) -> None:
        for top, waiting in list(self._watches.items()):
            if path == top or path.startswith(top + "/"):
                for call in list(waiting):
                    call.heard(path)


class Call:
    """Of the one vchan that is offered at `path`. `over` is owed in any case."""

    number = 0  # our port, where there is such a thing

    def __init__(self, calls: Calls, server: int, path: str, woken: Callable[[], None]) -> None:
        self.server = server
        self.path = path
        self._calls = calls
        self._woken = woken
        self._watched = path
        calls.watch(path, self)

    def heard(self, path: str) -> None:
        self._woken()

    def look(self) -> "Joint | None":
        """Take it up, if it is there. Raises WireError for what is no vchan."""
        found: list[str | None] = []

        def read(store: Store) -> None:
            found[:] = [store.read(f"{self.path}/ring-ref"), store.read(f"{self.path}/event-channel")]

        try:
            self._find(read)
        except OSError as error:
            if error.errno not in HIDDEN:
                raise
            return None
        if found[0] is None or found[1] is None:
            return None
        ref, port = paths.lawful(found[0], REF_MOST), paths.lawful(found[1], PORT_MOST)
        if not ref or not port:
            raise WireError(f"at {self.path} there are no numbers: {found[0][:20]!r}, {found[1][:20]!r}")
        try:
            return claim(self._calls.hypervisor, self.server, ref, port)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF):
                raise
            self._calls.mib.ClaimsLost += 1
            return None

    def _find(self, read: Callable[[Store], None]) -> None:
        self._calls.store.together(read)  # or one of the two numbers could be of another offer than the other

    def remind(self) -> None:
        """Nothing has come for a while. Raises Refused where nothing can."""

    def over(self) -> None:
        """Whatever has become of it."""
        self._calls.unwatch(self._watched, self)


class PortCall(Call):
    """Of a server's port: one of its own is asked for."""

    def __init__(self, calls: Calls, server: int, port: int, woken: Callable[[], None]) -> None:
        me = calls.me
        self._port = port
        self._folder = paths.calls(me, server, port)
        self._shelf = paths.shelf(server, port, me)
        self._me = me
        self._name = ""
        self._heard = False
        self._shop = paths.shop(server, port)
        super().__init__(calls, server, self._shelf, woken)
        try:
            self._call()
        except BaseException:
            self.over()
            raise

    def _call(self, ring: bool = False) -> None:
        name = self._calls.draw()
        self._name = name
        self.number = paths.number_in(name)
        self.path = f"{self._shelf}/{name}"

        self._prepare()
        self._calls.store.write(f"{self._folder}/{name}", "")  # readable as its folder is
        if ring or self._shop not in self._calls.acquainted:
            self._ring()

    def _prepare(self) -> None:
        if self._folder not in self._calls.folders:
            self._calls.store.make(self._folder)
            self._calls.store.permit(self._folder, self._me, readers=[self.server])
            self._calls.folders.add(self._folder)

    def _ring(self) -> None:
        try:
            self._calls.store.write(paths.bell(self.server, self._port), str(self._me))
        except OSError as error:
            if error.errno not in (*HIDDEN, errno.ENOSPC):
                raise  # it is being mended

    def _hang_up(self) -> None:
        name, self._name = self._name, ""
        if name:
            try:
                self._calls.store.remove(f"{self._folder}/{name}")
            except OSError as error:
                if error.errno not in (*HIDDEN, errno.EPIPE, errno.EBADF):
                    raise

    def heard(self, path: str) -> None:
        if path.startswith(self.path):
            self._heard = True
            self._woken()

    def _find(self, read: Callable[[Store], None]) -> None:
        read(self._calls.store)  # they are of one offer: there is no other at this path

    def look(self) -> "Joint | None":
        if not self._heard:
            return None
        self._heard = False
        lost = self._calls.mib.ClaimsLost
        joint = super().look()
        if joint is None and self._calls.mib.ClaimsLost > lost:
            self._hang_up()  # that offer has been taken back: we were too late
            self._call(ring=True)
        elif joint is not None:
            self._calls.acquainted.add(self._shop)
        return joint

    def remind(self) -> None:
        if not (self._calls._read(self._shop) or "").startswith(paths.VERSION):
            raise Refused(f"nobody in domain {self.server} serves vchans of port {self._port} any more")
        self._heard = True  # perhaps it was not told
        self._calls.acquainted.discard(self._shop)
        self._calls.folders.discard(self._folder)
        self._prepare()
        self._ring()

    def over(self) -> None:
        self._hang_up()
        super().over()
