"""The control ring: what a frontend wants of the queues that its frames come in (xen/io/netif.h, "Control messages").

A key or a table stands in a page that the frontend grants for as long as it asks. What is wrong with either leaves the old one.
"""

import struct

from netstack.errors import WireError

from ..hypervisor import COPIED, ORDER, Hypervisor
from ..ring import BackRing
from ..wire import Algorithm, Control, ControlRequest, ControlResponse, Status
from .mib import BackMib
from .steering import HASHES, KEY, MAPPING, Steering

SLOT = 16


class ControlDesk:
    """Answers what waits, each time it is asked to."""

    def __init__(self, hypervisor: Hypervisor, front: int, ring: BackRing, port: int, steering: Steering, mib: BackMib) -> None:
        self._hypervisor = hypervisor
        self._front = front
        self._ring = ring
        self._port = port
        self._steering = steering
        self._mib = mib

    def serve(self) -> bool:
        """True when more waits. Raises WireError when the frontend claims more requests than the ring holds."""
        ring = self._ring
        waiting = ring.waiting()
        if waiting < 0:
            raise WireError("more requests than the control ring holds")
        for _ in range(waiting):
            at = ring.at(ring.req_cons)
            request = ControlRequest.unpack(bytes(ring.page[at : at + SLOT]))
            status, data = self.answer(request)
            ring.page[at : at + SLOT] = ControlResponse(request.id, request.type, status, data).pack()
            ring.req_cons = ring.rsp_prod = (ring.req_cons + 1) & 0xFFFFFFFF
            self._mib.ControlRequests += 1
        if ring.push():
            self._hypervisor.notify(self._port)
        return ring.final_check(1)

    def answer(self, request: ControlRequest) -> "tuple[int, int]":
        """Status, and what else there is to say."""
        steering = self._steering
        first, second, third = request.data
        hashing = steering.algorithm != Algorithm.NONE
        match request.type:
            case Control.SET_HASH_ALGORITHM:
                if first not in (Algorithm.NONE, Algorithm.TOEPLITZ):
                    return Status.INVALID_PARAMETER, 0
                steering.algorithm = first
            case Control.GET_HASH_FLAGS:
                return (Status.SUCCESS, HASHES) if hashing else (Status.NOT_SUPPORTED, 0)
            case Control.SET_HASH_FLAGS:
                if first & ~HASHES or not hashing:
                    return Status.INVALID_PARAMETER, 0
                steering.flags = first
            case Control.SET_HASH_KEY:
                if second > KEY:
                    return Status.BUFFER_OVERFLOW, 0
                key = self._fetch(first, second)
                if key is None:
                    return Status.INVALID_PARAMETER, 0
                steering.key[:] = key.ljust(KEY, b"\0")
            case Control.GET_HASH_MAPPING_SIZE:
                return Status.SUCCESS, MAPPING
            case Control.SET_HASH_MAPPING_SIZE:
                if first > MAPPING:
                    return Status.INVALID_PARAMETER, 0
                steering.mapping = [0] * first
            case Control.SET_HASH_MAPPING:
                return self._set_mapping(first, second, third), 0
            case _:  # static grants are none of ours, as they are none of Linux's
                return Status.NOT_SUPPORTED, 0
        return Status.SUCCESS, 0

    def _set_mapping(self, ref: int, count: int, start: int) -> int:
        steering = self._steering
        if start + count > len(steering.mapping):
            return Status.INVALID_PARAMETER
        table = self._fetch(ref, 4 * count)
        if table is None:
            return Status.INVALID_PARAMETER
        numbers = struct.unpack(f"={count}I", table)
        if any(number >= steering.lanes for number in numbers):
            return Status.INVALID_PARAMETER
        steering.mapping[start : start + count] = numbers
        return Status.SUCCESS

    def _fetch(self, ref: int, length: int) -> "bytes | None":
        """From the beginning of a page of the frontend's; None where it isn't granted."""
        if not length:
            return b""
        into = bytearray(length)
        order = bytearray(ORDER.pack(ref, 0, length, 0, 0, COPIED))
        try:
            self._hypervisor.copy(self._front, order, 1, [into])
        except OSError:
            return None
        return bytes(into) if ORDER.unpack(order)[-1] == COPIED else None
