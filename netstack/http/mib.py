"""Counters of an HTTP server."""

from ..counters import Group


class HttpMib(Group):
    MEANING = {
        "Connections": "connections accepted",
        "Requests": "requests whose header section was lawful",
        "Responses": "responses sent whole",
        "InBody": "bytes of request bodies that handlers read",
        "OutBytes": "bytes sent: heads, bodies and chunk framing",
        "Refused": "requests answered 4xx or 5xx by the reader and not by a handler",
        "TimedOut": "connections closed with 408: the header section or the body came too slowly",
        "Idle": "connections closed after idling between requests",
        "Truncated": "requests that the client's end of stream cut short",
        "HandlerErrors": "handlers that raised: answered 500, or cut off when the response had begun",
        "Broken": "connections lost while a request was being served",
        "Lingered": "connections closed with a request body still on its way",
        "Http2": "connections that speak HTTP/2",
        "Resets": "streams of HTTP/2 that ended before their response was whole: reset by the client, or not read for too long",
        "Faults": "connections of HTTP/2 closed because the client broke the protocol",
        "Floods": "connections of HTTP/2 closed because the client exceeded a bound that no honest one comes near",
        "WsOpened": "WebSockets accepted",
        "WsRefused": "WebSockets that were asked for and refused, by the handshake or by the program",
        "WsInMessages": "messages of WebSockets that came whole",
        "WsInBytes": "bytes in them, inflated",
        "WsOutMessages": "messages of WebSockets that programs sent",
        "WsOutBytes": "bytes in them, before deflating",
        "WsClosedNormal": "WebSockets closed in order: 1000, or no code (1005)",
        "WsClosedAway": "WebSockets closed because one side went away (1001)",
        "WsClosedLost": "WebSockets whose connection was lost before they were closed (1006)",
        "WsClosedProtocol": "WebSockets closed for frames that break the protocol (1002)",
        "WsClosedData": "WebSockets closed for data that is not what it says (1003, 1007)",
        "WsClosedPolicy": "WebSockets closed by a rule of one side (1008)",
        "WsClosedTooBig": "WebSockets closed for a message beyond the bound (1009)",
        "WsClosedError": "WebSockets closed because a program failed (1011)",
        "WsClosedOther": "WebSockets closed with another code",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Connections = 0
        self.Requests = 0
        self.Responses = 0
        self.InBody = 0
        self.OutBytes = 0
        self.Refused = 0
        self.TimedOut = 0
        self.Idle = 0
        self.Truncated = 0
        self.HandlerErrors = 0
        self.Broken = 0
        self.Lingered = 0
        self.Http2 = 0
        self.Resets = 0
        self.Faults = 0
        self.Floods = 0
        self.WsOpened = 0
        self.WsRefused = 0
        self.WsInMessages = 0
        self.WsInBytes = 0
        self.WsOutMessages = 0
        self.WsOutBytes = 0
        self.WsClosedNormal = 0
        self.WsClosedAway = 0
        self.WsClosedLost = 0
        self.WsClosedProtocol = 0
        self.WsClosedData = 0
        self.WsClosedPolicy = 0
        self.WsClosedTooBig = 0
        self.WsClosedError = 0
        self.WsClosedOther = 0


_CLOSES = {
    1000: "WsClosedNormal", 1005: "WsClosedNormal", 1001: "WsClosedAway", 1006: "WsClosedLost", 1002: "WsClosedProtocol",
    1003: "WsClosedData", 1007: "WsClosedData", 1008: "WsClosedPolicy", 1009: "WsClosedTooBig", 1011: "WsClosedError",
}  # fmt: skip


def count_close(mib: HttpMib, code: int) -> None:
    """Of a WebSocket."""
    name = _CLOSES.get(code, "WsClosedOther")
    setattr(mib, name, getattr(mib, name) + 1)
