"""The state machine of one server-side connection: two small machines that take their steps together.

`REQUEST` follows what the client has sent us, `RESPONSE` what we have sent him. Both go round once for each request, and only
together: NEXT is lawful when both are DONE. Every lawful step stands in the tables; `describe()` prints them. The one
exception to the tables is `ServerConnection.reusable`: why a connection may be finished although both machines could go on.

    IDLE ── HEAD ──► BODY ── END ──► DONE ── NEXT ──► IDLE            the client
    IDLE ── HEAD ──► OWED ── START ──► BODY ── FINISH ──► DONE ── NEXT ──► IDLE            we

The client may be BODY while we are DONE: an early response. And we never are BODY while he is IDLE: a response answers something.
The one response to nothing is to a request that could not be read: REFUSE leaves us OWED, with the client BROKEN.
"""

from enum import IntEnum

from . import const as hc


class Client(IntEnum):
    """What the client has sent."""

    IDLE = 0  # nothing, or part of a header section
    BODY = 1  # the header section, and the body is on its way
    DONE = 2  # a whole request; what follows waits
    CLOSED = 3  # its end of stream, between two requests
    BROKEN = 4  # what can't be read, or an end of stream in the midst: no byte after it has a meaning


class Server(IntEnum):
    """What we have sent."""

    IDLE = 0  # nothing is owed
    OWED = 1  # a response is owed; 1xx may have gone
    BODY = 2  # the head has gone
    DONE = 3  # a whole response
    CLOSED = 4  # we send no more


class Step(IntEnum):
    HEAD = 0  # the client's header section is complete
    END = 1  # its request is complete
    EOF = 2  # its end of stream
    REFUSE = 3  # what it sent is refused, came too slowly, or ended in the midst
    INTERIM = 4  # we send a 1xx
    START = 5  # we send a response's head
    FINISH = 6  # our response is complete
    NEXT = 7  # on to the next request
    CLOSE = 8  # we close


REQUEST: dict[Client, dict[Step, Client]] = {
    Client.IDLE: {Step.HEAD: Client.BODY, Step.EOF: Client.CLOSED, Step.REFUSE: Client.BROKEN, Step.CLOSE: Client.CLOSED},
    Client.BODY: {Step.END: Client.DONE, Step.REFUSE: Client.BROKEN, Step.CLOSE: Client.CLOSED},
    Client.DONE: {Step.NEXT: Client.IDLE, Step.CLOSE: Client.CLOSED},
    Client.CLOSED: {Step.CLOSE: Client.CLOSED},
    Client.BROKEN: {Step.CLOSE: Client.CLOSED},
}

RESPONSE: dict[Server, dict[Step, Server]] = {
    Server.IDLE: {Step.HEAD: Server.OWED, Step.REFUSE: Server.OWED, Step.CLOSE: Server.CLOSED},
    Server.OWED: {
        Step.REFUSE: Server.OWED,
        Step.INTERIM: Server.OWED,
        Step.START: Server.BODY,
        Step.CLOSE: Server.CLOSED,
    },
    Server.BODY: {Step.REFUSE: Server.BODY, Step.FINISH: Server.DONE, Step.CLOSE: Server.CLOSED},
    Server.DONE: {Step.REFUSE: Server.DONE, Step.NEXT: Server.IDLE, Step.CLOSE: Server.CLOSED},
    Server.CLOSED: {Step.CLOSE: Server.CLOSED},
}


def flat(table: "dict[Client, dict[Step, Client]] | dict[Server, dict[Step, Server]]") -> bytes:
    """`table` to look up by state * STEPS + step; NOWHERE for what it has not."""
    return bytes(steps.get(step, hc.NOWHERE) for steps in table.values() for step in Step)


def describe() -> str:
    """The tables as text, one row for each state."""
    rows = []
    for title, table in (("the client", REQUEST), ("we", RESPONSE)):
        rows.append(f"{title}:")
        for state, steps in table.items():
            moves = ", ".join(f"{step.name} -> {after.name}" for step, after in steps.items())
            rows.append(f"  {state.name:<7} {moves}")
    return "\n".join(rows)
