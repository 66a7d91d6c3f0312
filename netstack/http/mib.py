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
