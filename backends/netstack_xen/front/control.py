"""Steering: the back end is told by which queue it shall send what, one control message after the other.

With our key and table it sends each flow by the queue by which we send the other direction of it. That is all it is for: where the
back end says no, answers nonsense or nothing, flows come by any queue, as they would have without.
"""

import struct

from netstack import const

from .. import shm, slots
from ..hypervisor import Hypervisor
from ..mib import FrontMib
from ..ring import FrontRing
from ..wire import SYMMETRIC_KEY, Algorithm, Control, ControlRequest, ControlResponse, HashFlags, Status
from .connection import Connection

MAPPED = 128  # entries of the table from hash to queue: as many as Linux's back end takes
PATIENCE = 5 * const.SECOND  # for all the answers


class Steering:
    """Begun once the connection is there; then `step` at each turn until `outcome` says in a sentence how it went."""

    def __init__(self, hypervisor: Hypervisor, connection: Connection, mib: FrontMib) -> None:
        assert connection.control_page is not None
        assert connection.table_page is not None
        self.outcome = ""
        self.told = False
        self.works = False
        self.deadline = const.NEVER
        self._hypervisor = hypervisor
        self._port = connection.control_port
        self._ring = FrontRing(connection.control_page, slots.CTRL)
        self._table = connection.table_page
        self._mib = mib
        self._id = 0
        self._asked: ControlRequest | None = None
        n = len(connection.queues)
        table = struct.pack(f"={MAPPED}I", *(i % n for i in range(MAPPED)))
        flags = int(HashFlags.IPV4 | HashFlags.IPV4_TCP)
        ref = connection.table_ref
        self._plan: list[tuple[Control, tuple[int, int, int], bytes]] = [
            (Control.SET_HASH_ALGORITHM, (Algorithm.TOEPLITZ, 0, 0), b""),
            (Control.SET_HASH_FLAGS, (flags, 0, 0), b""),
            (Control.SET_HASH_KEY, (ref, len(SYMMETRIC_KEY), 0), SYMMETRIC_KEY),
            (Control.SET_HASH_MAPPING_SIZE, (MAPPED, 0, 0), b""),
            (Control.SET_HASH_MAPPING, (ref, MAPPED, 0), table),
        ]

    def begin(self, now: int) -> None:
        self.deadline = now + PATIENCE
        self._ask()

    def _ask(self) -> None:
        """The next message; what it points at stays in its page until it was answered."""
        ring = self._ring
        kind, data, page = self._plan.pop(0)
        if page:
            shm.fill(self._table, 0, page, 0, len(page))
        self._id = self._id + 1 & 0xFFFF
        self._asked = ControlRequest(self._id, kind, data)
        shm.fill(ring.page, ring.at(ring.req_prod), self._asked.pack(), 0, slots.CTRL)
        ring.req_prod += 1
        if ring.push():
            try:
                self._hypervisor.notify(self._port)
            except OSError:  # the port is of the time before we were suspended; the store says so, too
                return

    def step(self, now: int) -> None:
        ring = self._ring
        while not self.outcome:
            n = ring.waiting()
            if n < 0:
                self._mib.CtrlBad += 1
                self._end("flows come by any queue: the back end claims to have answered what was not asked")
            elif n:
                response = ControlResponse.unpack(shm.take(ring.page, ring.at(ring.rsp_cons), slots.CTRL))
                ring.rsp_cons += 1
                self._answered(response)
            elif not ring.final_check(1):
                if now >= self.deadline:
                    self._end("flows come by any queue: the back end does not answer control messages")
                return

    def _answered(self, response: ControlResponse) -> None:
        asked = self._asked
        if asked is None or response.id != asked.id or response.type != asked.type:
            self._mib.CtrlBad += 1
            self._end("flows come by any queue: the back end answers control messages that were not sent")
        elif response.status != Status.SUCCESS:
            known = response.status in Status._value2member_map_
            status = Status(response.status).name.lower().replace("_", " ") if known else f"status {response.status}"
            what = Control(asked.type).name.lower().replace("_", " ")
            self._end(f"flows come by any queue: the back end answers '{status}' to '{what}'")
        elif self._plan:
            self._ask()
        else:
            self.works = True
            self._end("each flow comes by the queue by which it goes")

    def _end(self, sentence: str) -> None:
        self.outcome = sentence
        self.deadline = const.NEVER
