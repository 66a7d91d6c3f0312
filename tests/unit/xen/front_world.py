"""A machine with one vif: our front end in domain 1, the strict back end in domain 0, and a clock that tests set."""

from netstack_xen.front import Phase, Xen
from netstack_xen.simulated import Machine, toolstack
from netstack_xen.simulated.strict import Offers, StrictBack
from netstack_xen.simulated.units import Unit, headers

from netstack.adapters import FramePort, TeeSink
from netstack.cores import Out
from netstack.netif import SendOnly

SECOND = 10**9
ENOUGH = 200  # turns until all is said


class Got:
    """What came up, and how the netif is driven from above."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int, int]] = []  # frame, csum, gso
        self.flushes = 0

    def on_input(self, f) -> None:
        self.frames.append((bytes(f.buf[f.off : f.end]), f.csum, f.gso))

    def on_flush(self, now: int) -> None:
        self.flushes += 1

    def on_send(self, p, now: int) -> None: ...


class FrontWorld:
    def __init__(self, *, offers: "Offers | None" = None, rng=None, hotplug: bool = True, back: bool = True, start: bool = True,
                 page_limit: int = 1024, more=None, mtu=None, descriptor: bool = False, **wishes) -> None:  # fmt: skip
        self.machine = Machine(page_limit=page_limit)
        self.now = SECOND
        self.offers, self.rng, self.wishes = offers, rng, wishes
        self.tools, self.guest = self.machine.domain(0), self.machine.domain(1, descriptor=descriptor)
        self.vif = toolstack.add_vif(self.tools.store, 1, hotplug=hotplug, more=more, mtu=mtu)
        self.at_back: list[Unit] = []
        self.host = self.back = self.front = None
        if back:
            self.start_back()
        if start:
            self.start_front()
            self.settle()

    def start_back(self) -> None:
        self.host = self.machine.domain(0)
        self.back = StrictBack(self.host, self.vif.backend, receive=self.at_back.append, offers=self.offers, rng=self.rng)

    def start_front(self, **more) -> None:
        self.got = Got()
        self.front = Xen(self.guest, 0, now=self.now, **{**self.wishes, **more})
        self.front.attach(TeeSink(self.got, SendOnly()))

    def __enter__(self) -> "FrontWorld":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.end()
        self.machine.close()

    def turn(self) -> None:
        if self.back is not None:
            self.back.poll(self.now)
        if self.front is not None:
            while self.front.poll(self.now):
                pass

    def settle_back(self) -> None:
        """Our front is closed: let the back end see it."""
        self.front = None
        self.settle()

    def settle(self) -> None:
        for _ in range(ENOUGH):
            self.turn()
            ends = (self.host if self.back else None, self.guest if self.front else None)
            if not any(each._told or each.store.has_fired for each in ends if each is not None and not each.closed):
                return
        raise AssertionError("no end of it")

    def later(self, duration: int) -> None:
        """So much time goes by, with a turn whenever somebody wants one."""
        self.settle()
        end = self.now + duration
        for _ in range(ENOUGH):
            wants = [self.front.next_deadline() if self.front is not None else None]
            wants = [max(when, self.now + 1) for when in wants if when is not None and when <= end]
            self.now = min(wants, default=end)
            self.settle()
            if self.now >= end and not wants:
                return
        raise AssertionError("too many deadlines")

    def end(self) -> None:
        """All is given back: what the front had is, whatever the back end does; then the rest."""
        if self.front is not None:
            self.front.close()
            left = [str(entry) for entry in self.machine.books.of(1) if entry.kind != "grant"]
            assert not left and not self.guest._pages, left  # of grants the machine keeps those that are mapped
        if self.back is not None:
            for _ in range(4):
                self.back.poll(self.now)
            self.back.close()
        for program in (self.guest, self.host, self.tools):
            if program is not None:
                program.close()
        self.machine.books.assert_even()

    def states(self) -> "tuple[str | None, str | None]":
        return tuple(self.tools.store.read(f"{folder}/state") for folder in self.vif)

    def send(self, frame: bytes, *, csum: int = 0, gso: int = 0, pieces: int = 1) -> None:
        """As a stack does: headers in `hdr`, payload by reference; `csum` is the transport's checksum's offset, `gso` the MSS."""
        p = Out()
        where = headers(bytes(frame))
        head = where.transport + (20 if where.protocol == 6 else 8) if where else min(len(frame), 14)
        p.off = len(p.hdr) - head
        p.hdr[p.off :] = frame[:head]
        if where:
            p.l4 = p.off + where.transport
        p.csum_off, p.gso = csum, gso
        text = memoryview(frame)[head:]  # as whoever sends has it: his own memory
        step = -(-len(text) // pieces) if text else 1
        parts = [text[i : i + step] for i in range(0, len(text), step)]
        if parts:
            p.data, p.n = parts[0], len(parts[0])
        if parts[1:]:
            p.rest, p.rest_n = parts[1:], len(text) - len(parts[0])
        FramePort(self.front).send_out(p, self.now)

    def events(self) -> list[str]:
        return [event.what for event in self.front.events]

    def phase(self) -> Phase:
        return self.front.phase

