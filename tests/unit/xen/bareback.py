"""A netback of ours, and a frontend that is a ring and a pen: for tests that say each slot themselves."""

from netstack.adapters import PySink, TeeSink
from netstack_xen import slots
from netstack_xen.back.netif import XenBack
from netstack_xen.ring import FrontRing
from netstack_xen.simulated import Machine, toolstack

BACK, FRONT = 0, 7
KINDS = {"feature-rx-notify": "1", "feature-sg": "1", "feature-gso-tcpv4": "1", "feature-gso-tcpv6": "1", "request-rx-copy": "1"}


class Kept:
    """A sink that keeps (bytes, csum, gso) of each frame."""

    def __init__(self):
        self.frames = []
        self.flushes = 0

    def on_input(self, f):
        self.frames.append((bytes(f.buf[f.off : f.end]), f.csum, f.gso))

    def on_frame(self, frame, now):
        assert frame == self.frames[-1][0]

    def on_flush(self, now):
        self.flushes += 1


class Queue:
    """Rings and pages of a frontend."""

    def __init__(self, program, pages=64):
        self.program = program
        self.rings = program.share(BACK, 2)
        self.view = self.rings.memory
        self.tx = FrontRing(self.view[:4096], slots.TX)
        self.rx = FrontRing(self.view[4096:], slots.RX)
        self.pages = program.share(BACK, pages)
        self.memory = self.pages.memory
        self.refs = self.pages.refs
        self.port = program.allocate(BACK)
        self.free = list(range(pages))

    def keys(self):
        return {"tx-ring-ref": self.rings.refs[0], "rx-ring-ref": self.rings.refs[1], "event-channel": self.port}

    def slot(self, page, offset, size, flags=0, id=None, ref=None):
        """Write one tx request, without telling of it."""
        i = self.tx.req_prod
        ref = self.refs[page] if ref is None else ref
        slots.put_tx(self.tx.page, self.tx.at(i), ref, offset, flags, i & 0xFFFF if id is None else id, size)
        self.tx.req_prod = i + 1 & 0xFFFFFFFF

    def extra(self, type, flags=0, rest=0):
        i = self.tx.req_prod
        slots.put_extra(self.tx.page, self.tx.at(i), type, flags, rest)
        self.tx.req_prod = i + 1 & 0xFFFFFFFF

    def push(self):
        if self.tx.push():
            self.program.notify(self.port)

    def put(self, frame, flags=0, extras=()):
        """A whole frame from page 0 on, as many slots as it needs."""
        parts = [frame[o : o + 4096] for o in range(0, len(frame), 4096)]
        for n, part in enumerate(parts):
            self.memory[4096 * n : 4096 * n + len(part)] = part
            more = slots.TX_MORE_DATA if n + 1 < len(parts) else 0
            self.slot(n, 0, len(part) if n else len(frame), more | ((flags | (slots.TX_EXTRA_INFO if extras else 0)) if not n else 0))
            if not n:
                for k, (type, rest) in enumerate(extras):
                    self.extra(type, slots.EXTRA_MORE if k + 1 < len(extras) else 0, rest)

    def answers(self):
        """(id, status) of each tx response since the last call."""
        got = []
        for _ in range(self.tx.waiting()):
            got.append(slots.get_tx_response(self.tx.page, self.tx.at(self.tx.rsp_cons)))
            self.tx.rsp_cons = self.tx.rsp_cons + 1 & 0xFFFFFFFF
        self.tx.final_check(1)
        return got

    def post(self, count=1, ref=None):
        """Give buffers: pages from the last one down, so that they don't meet those of `put`."""
        for _ in range(count):
            i = self.rx.req_prod
            page = self.free[-1 - i % len(self.free)]
            slots.put_rx(self.rx.page, self.rx.at(i), i & 0xFFFF, self.refs[page] if ref is None else ref)
            self.rx.req_prod = i + 1 & 0xFFFFFFFF
        if self.rx.push():
            self.program.notify(self.port)

    def raw_slots(self):
        """The slots of rx responses since the last call: (position, id, offset, flags, status)."""
        got = []
        for _ in range(self.rx.waiting()):
            i = self.rx.rsp_cons
            got.append((i, *slots.get_rx_response(self.rx.page, self.rx.at(i))))
            self.rx.rsp_cons = i + 1 & 0xFFFFFFFF
        self.rx.final_check(1)
        return got

    def received(self):
        """(bytes, flags, extras) of whole frames, as a frontend reads them; None in place of the bytes where a slot is an error."""
        frames = []
        queue = self.raw_slots()
        while queue:
            at, _, offset, flags, status = queue.pop(0)
            data, extras, first, bad = b"", [], flags, False
            while True:
                bad |= status < 0
                page = self.free[-1 - at % len(self.free)]
                data += bytes(self.memory[4096 * page + offset : 4096 * page + offset + max(status, 0)])
                more = flags & slots.RX_MORE_DATA
                while flags & slots.RX_EXTRA_INFO and queue:
                    type, marks, rest = slots.get_extra(self.rx.page, self.rx.at(queue.pop(0)[0]))
                    extras.append((type, rest))
                    if not marks & slots.EXTRA_MORE:
                        break
                if not more:
                    break
                at, _, offset, flags, status = queue.pop(0)
            frames.append((None if bad else data, first, extras))
        return frames

    def close(self):
        self.tx.page.release()
        self.rx.page.release()
        self.view.release()
        self.memory.release()
        self.program.unshare(self.rings)
        self.program.unshare(self.pages)
        self.program.release(self.port)


class Pair:
    """`with Pair() as pair:` a backend and, after `connect`, a frontend; books even at the end."""

    def __init__(self, vif=None, **options):
        self.machine = Machine()
        self.tools = self.machine.domain(0)
        self.vif = toolstack.add_vif(self.tools.store, FRONT, hotplug=False, **(vif or {}))
        self.now = 0
        self.program = self.machine.domain(FRONT)
        self.back = XenBack(self.machine.domain(BACK), FRONT, now=self.now, own=True, **options)
        self.sink = Kept()
        self.back.attach(TeeSink(self.sink, PySink(self.sink)))
        self.queues = []
        self.mib = self.back.mib

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.back.close()
            self.machine.books.assert_even(BACK)
            for queue in self.queues:
                queue.close()
            self.machine.books.assert_clean(BACK)
        self.machine.close()

    def write(self, **keys):
        for key, value in keys.items():
            self.program.store.write(f"{self.vif.frontend}/{key.replace('_', '-')}", str(value))

    def says_to(self, program, key):
        return program.store.read(f"{self.vif.backend}/{key}")

    def says(self, key):
        return self.program.store.read(f"{self.vif.backend}/{key}")

    def poll(self, later=0):
        self.now += later
        more = self.back.poll(self.now)
        while more:
            more = self.back.poll(self.now)

    def connect(self, queues=1, keys=None, **more):
        self.poll()
        assert self.says("state") == "2"
        self.queues = [Queue(self.program) for _ in range(queues)]
        words = KINDS | more
        if queues == 1:
            words |= self.queues[0].keys()
        else:
            words["multi-queue-num-queues"] = str(queues)
            for n, queue in enumerate(self.queues):
                words |= {f"queue-{n}/{key}": value for key, value in queue.keys().items()}
        words |= keys or {}
        for key, value in words.items():
            if value is not None:
                self.program.store.write(f"{self.vif.frontend}/{key}", str(value))
        self.write(state=4)
        self.poll()
        return self.queues[0] if queues == 1 else self.queues
