"""Both sides of a client's connection as two state machines (RFC 9112 9), told by their tables: state.py seen from the other end.

    IDLE ── START ──► BODY ── FINISH ──► DONE ── NEXT ──► IDLE                         we
    IDLE ── HOLD ──► HELD ── GO ──► BODY …                                             … who wait for a 100 first
    IDLE ── START, HOLD ──► AWAITED ── HEAD ──► BODY ── END ──► DONE ── NEXT ──► IDLE     the server

The server may be DONE while we are BODY, or even HELD: it has heard enough. Whether the connection is of use after that is
`ClientConnection.reusable`.
"""

from enum import IntEnum


class We(IntEnum):
    """What we have sent."""

    IDLE = 0  # nothing
    HELD = 1  # the head; the body waits for a 100
    BODY = 2  # the head, and perhaps some of the body
    DONE = 3  # a whole request
    CLOSED = 4


class They(IntEnum):
    """What the server has sent."""

    IDLE = 0  # nothing, and nothing is awaited
    AWAITED = 1  # a response is due; some interim ones may have come
    BODY = 2  # its head
    DONE = 3  # a whole response
    SWITCHED = 4  # what follows is not HTTP/1.1
    CLOSED = 5  # its end of stream, with nothing awaited
    BROKEN = 6  # what can't be read: no byte after it has a meaning


class Move(IntEnum):
    START = 0  # our head goes out, and the body may follow
    HOLD = 1  # our head goes out, and asks for a 100
    GO = 2  # a 100, or enough waiting for it
    FINISH = 3  # our request is complete
    HEAD = 4  # the response's header section is complete
    END = 5  # the response is complete
    SWITCH = 6  # a response that changes the protocol
    EOF = 7  # the server's end of stream
    FAULT = 8  # what it sent is no response, or came too late
    NEXT = 9  # on to the next request
    CLOSE = 10


REQUEST: dict[We, dict[Move, We]] = {
    We.IDLE: {Move.START: We.BODY, Move.HOLD: We.HELD, Move.CLOSE: We.CLOSED},
    We.HELD: {Move.GO: We.BODY, Move.CLOSE: We.CLOSED},
    We.BODY: {Move.FINISH: We.DONE, Move.CLOSE: We.CLOSED},
    We.DONE: {Move.NEXT: We.IDLE, Move.CLOSE: We.CLOSED},
    We.CLOSED: {Move.CLOSE: We.CLOSED},
}

RESPONSE: dict[They, dict[Move, They]] = {
    They.IDLE: {
        Move.START: They.AWAITED,
        Move.HOLD: They.AWAITED,
        Move.EOF: They.CLOSED,
        Move.FAULT: They.BROKEN,
        Move.CLOSE: They.CLOSED,
    },
    They.AWAITED: {Move.HEAD: They.BODY, Move.SWITCH: They.SWITCHED, Move.FAULT: They.BROKEN, Move.CLOSE: They.CLOSED},
    They.BODY: {Move.END: They.DONE, Move.FAULT: They.BROKEN, Move.CLOSE: They.CLOSED},
    They.DONE: {Move.NEXT: They.IDLE, Move.EOF: They.CLOSED, Move.FAULT: They.BROKEN, Move.CLOSE: They.CLOSED},
    They.SWITCHED: {Move.CLOSE: They.CLOSED},
    They.CLOSED: {Move.CLOSE: They.CLOSED},
    They.BROKEN: {Move.CLOSE: They.CLOSED},
}
