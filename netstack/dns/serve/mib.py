"""Counters of the short way from a query to its answer."""

from ...counters import Group


class DoorMib(Group):
    MEANING = {
        "Queries": "messages that came",
        "Hits": "answered from the table",
        "Alike": "answered as others were whose names are not there either",
        "Fills": "answered, and put into the table",
        "HandedOn": "left to the desk: no plain query, or an answer that depends on more than the question",
        "Truncated": "answers with TC: too long",
        "CookieKnown": "queries with a cookie of ours that holds",
        "CookieNew": "queries with a cookie, and none of ours that holds",
        "RateSlipped": "over their rate: answered with TC, to be asked again over TCP",
        # dropped
        "RateDropped": "dropped: over the rate of the client's network",
        "InSilence": "dropped: shorter than a header, or a response",
        "InBadPort": "dropped: from port 0, to which nothing can be sent",
        "InTooLong": "dropped: longer than a query is taken",
        "OutFailed": "dropped: an answer that the network did not take",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Queries = 0
        self.Hits = 0
        self.Alike = 0
        self.Fills = 0
        self.HandedOn = 0
        self.Truncated = 0
        self.CookieKnown = 0
        self.CookieNew = 0
        self.RateSlipped = 0
        self.RateDropped = 0
        self.InSilence = 0
        self.InBadPort = 0
        self.InTooLong = 0
        self.OutFailed = 0
