"""What Xen's public headers say of the rings of a vif: io/ring.h, io/netif.h, io/xenbus.h of Xen 4.17.

Read a second time, on purpose: who is to judge the drivers of this package doesn't take his facts from them.
"""

import struct

INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED, RECONFIGURING, RECONFIGURED = range(1, 9)

RING_HEADER = 64  # req_prod, req_event, rsp_prod, rsp_event, and padding
WORD = struct.Struct("<I")
REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT = 0, 4, 8, 12

TX_REQUEST = struct.Struct("<IHHHH")  # gref, offset, flags, id, size
TX_RESPONSE = struct.Struct("<Hh")  # id, status
RX_REQUEST = struct.Struct("<HHI")  # id, pad, gref
RX_RESPONSE = struct.Struct("<HHHh")  # id, offset, flags, status
EXTRA = struct.Struct("<BB6s")  # type, flags, what the type says
GSO = struct.Struct("<HBBH")  # size, type, pad, features
HASH = struct.Struct("<BB4s")  # type, algorithm, value
CTRL_REQUEST = struct.Struct("<HHIII")  # id, type, data[3]
CTRL_RESPONSE = struct.Struct("<HHII")  # id, type, status, data
TX_SLOT, RX_SLOT, CTRL_SLOT = 12, 8, 16

TX_CSUM_BLANK, TX_DATA_VALIDATED, TX_MORE_DATA, TX_EXTRA_INFO = 1, 2, 4, 8
RX_DATA_VALIDATED, RX_CSUM_BLANK, RX_MORE_DATA, RX_EXTRA_INFO = 1, 2, 4, 8
RSP_DROPPED, RSP_ERROR, RSP_OKAY, RSP_NULL = -2, -1, 0, 1

EXTRA_GSO, EXTRA_MCAST_ADD, EXTRA_MCAST_DEL, EXTRA_HASH, EXTRA_MAX = 1, 2, 3, 4, 5
EXTRA_FLAG_MORE = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6 = 0, 1, 2

GET_HASH_FLAGS, SET_HASH_FLAGS, SET_HASH_KEY, GET_HASH_MAPPING_SIZE, SET_HASH_MAPPING_SIZE, SET_HASH_MAPPING = range(1, 7)
SET_HASH_ALGORITHM, GET_GREF_MAPPING_SIZE, ADD_GREF_MAPPING, DEL_GREF_MAPPING = range(7, 11)
SUCCESS, NOT_SUPPORTED, INVALID_PARAMETER, BUFFER_OVERFLOW = range(4)
HASH_IPV4, HASH_IPV4_TCP, HASH_IPV6, HASH_IPV6_TCP = range(4)  # numbers of bits
ALGORITHM_NONE, ALGORITHM_TOEPLITZ = 0, 1

MASK = 0xFFFFFFFF


class Ring:
    """The back end's side of a ring, in plain Python: `slot` is the number of bytes of one. Holds the memory until `end`."""

    def __init__(self, memory: memoryview, slot: int) -> None:
        self.memory, self.slot = memory, slot
        size = 1
        while RING_HEADER + size * 2 * slot <= len(memory):
            size *= 2
        self.size = size
        self.rsp_prod = self.req_cons = self.get(RSP_PROD)
        self.pushed = self.rsp_prod

    def end(self) -> None:
        self.memory.release()

    def get(self, word: int) -> int:
        return int(WORD.unpack_from(self.memory, word)[0])

    def set(self, word: int, value: int) -> None:
        WORD.pack_into(self.memory, word, value & MASK)

    @property
    def waiting(self) -> int:
        """Requests that were not consumed, as the front end says: it may say anything."""
        return (self.get(REQ_PROD) - self.req_cons) & MASK

    def at(self, index: int) -> int:
        return RING_HEADER + index % self.size * self.slot

    def request(self, ahead: int = 0) -> bytes:
        """A copy of the next slot, or of one `ahead` of it."""
        at = self.at(self.req_cons + ahead)
        return bytes(self.memory[at : at + self.slot])

    def consume(self, count: int = 1) -> None:
        self.req_cons = (self.req_cons + count) & MASK

    def respond(self, text: bytes) -> None:
        at = self.at(self.rsp_prod)
        self.memory[at : at + len(text)] = text
        self.rsp_prod = (self.rsp_prod + 1) & MASK

    def push(self) -> bool:
        """Show the responses; True where the front end wants to be told (RING_PUSH_RESPONSES_AND_CHECK_NOTIFY)."""
        old, self.pushed = self.pushed, self.rsp_prod
        self.set(RSP_PROD, self.rsp_prod)
        return (self.rsp_prod - self.get(RSP_EVENT)) & MASK < (self.rsp_prod - old) & MASK

    def arm(self, ahead: int = 1) -> bool:
        """Want to be told of the request `ahead`; True where there is one already (RING_FINAL_CHECK_FOR_REQUESTS)."""
        if self.waiting >= ahead:
            return True
        self.set(REQ_EVENT, self.req_cons + ahead)
        return self.waiting >= ahead

    def arm_for(self, count: int) -> bool:
        """Are there `count` requests? If not, want to be told of the very next one (xenvif_rx_ring_slots_available)."""
        if self.waiting >= count:
            return True
        self.set(REQ_EVENT, self.get(REQ_PROD) + 1)
        return self.waiting >= count


class FrontRing:
    """The front end's side; zeroes the memory, and holds it until `end`."""

    def __init__(self, memory: memoryview, slot: int) -> None:
        self.memory, self.slot = memory, slot
        self.size = 1
        while RING_HEADER + self.size * 2 * slot <= len(memory):
            self.size *= 2
        memory[:] = bytes(len(memory))
        self.req_prod = self.rsp_cons = self.pushed = 0
        self.set(REQ_EVENT, 1)
        self.set(RSP_EVENT, 1)

    def end(self) -> None:
        self.memory.release()

    def get(self, word: int) -> int:
        return int(WORD.unpack_from(self.memory, word)[0])

    def set(self, word: int, value: int) -> None:
        WORD.pack_into(self.memory, word, value & MASK)

    @property
    def free(self) -> int:
        return self.size - ((self.req_prod - self.rsp_cons) & MASK)

    @property
    def answered(self) -> int:
        """Responses that were not consumed, as the back end says."""
        return (self.get(RSP_PROD) - self.rsp_cons) & MASK

    def at(self, index: int) -> int:
        return RING_HEADER + index % self.size * self.slot

    def put(self, text: bytes) -> int:
        """A request; the number of its slot."""
        at = self.at(self.req_prod)
        self.memory[at : at + len(text)] = text
        slot = self.req_prod % self.size
        self.req_prod = (self.req_prod + 1) & MASK
        return slot

    def push(self) -> bool:
        """Show the requests; True where the back end wants to be told."""
        old, self.pushed = self.pushed, self.req_prod
        self.set(REQ_PROD, self.req_prod)
        return (self.req_prod - self.get(REQ_EVENT)) & MASK < (self.req_prod - old) & MASK

    def take(self) -> "tuple[int, bytes]":
        """(slot, its bytes) of the next response, which must be there."""
        at = self.at(self.rsp_cons)
        slot = self.rsp_cons % self.size
        self.rsp_cons = (self.rsp_cons + 1) & MASK
        return slot, bytes(self.memory[at : at + self.slot])

    def arm(self) -> bool:
        """Want to be told of the next response; True where there is one already."""
        self.set(RSP_EVENT, self.rsp_cons + 1)
        return self.answered > 0
