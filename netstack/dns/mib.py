"""Counters of the DNS."""

from ..counters import Group


class CacheMib(Group):
    MEANING = {
        "Hits": "look-ups answered, positively or not",
        "NegativeHits": "of these, with NXDOMAIN, no data, or a failure that is remembered",
        "StaleHits": "of these, with what had expired (RFC 8767)",
        "Misses": "look-ups that found nothing to answer with",
        "Prefetches": "hits that asked for a refresh before the end",
        "Stored": "sets and denials stored or renewed",
        "RefusedCredit": "not stored: what is there is more credible (RFC 2181 5.4.1)",
        "RefusedSize": "not stored: larger than one entry may be",
        "Evicted": "dropped for room, the longest unused first",
        "Expired": "dropped: too old even to be served stale",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Hits = 0
        self.NegativeHits = 0
        self.StaleHits = 0
        self.Misses = 0
        self.Prefetches = 0
        self.Stored = 0
        self.RefusedCredit = 0
        self.RefusedSize = 0
        self.Evicted = 0
        self.Expired = 0


class QueryMib(Group):
    MEANING = {
        "Queries": "queries begun",
        "OutDatagrams": "sent over UDP",
        "OutStreams": "sent over TCP",
        "Answers": "queries that ended with an answer",
        "GaveUp": "queries that ended without one",
        "Timeouts": "attempts that nobody answered in time",
        "Unreachable": "attempts that failed: refused, unreachable, reset",
        "Truncated": "answers that were truncated: asked again over TCP",
        "EdnsFallbacks": "asked again without EDNS",
        "CookiesRenewed": "asked again with the server's new cookie (RFC 7873 5.3)",
        "ServerFailures": "SERVFAIL, REFUSED, NOTIMP and the like: the next server was asked",
        "Suspicions": "attempts left for TCP because of forged answers",
        # dropped
        "InStrangers": "dropped: from an address, or to a port, that has no part in the query",
        "InLate": "dropped: the answer to an attempt that was over",
        "InForgedId": "dropped: from the server's address, with another id",
        "InForgedQuestion": "dropped: another question, or its letters in another case (0x20)",
        "InForgedCookie": "dropped: without our cookie (RFC 7873 5.3)",
        "InNotResponse": "dropped: not a response",
        "InMangled": "answers with our id that are not lawful: the next server was asked",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Queries = 0
        self.OutDatagrams = 0
        self.OutStreams = 0
        self.Answers = 0
        self.GaveUp = 0
        self.Timeouts = 0
        self.Unreachable = 0
        self.Truncated = 0
        self.EdnsFallbacks = 0
        self.CookiesRenewed = 0
        self.ServerFailures = 0
        self.Suspicions = 0
        self.InStrangers = 0
        self.InLate = 0
        self.InForgedId = 0
        self.InForgedQuestion = 0
        self.InForgedCookie = 0
        self.InNotResponse = 0
        self.InMangled = 0


class SecondaryMib(Group):
    MEANING = {
        "Checks": "looks at a primary's serial, and first transfers",
        "UpToDate": "of these, ended with nothing to do",
        "XfrWhole": "zones that came as a whole",
        "XfrChanges": "zones that came as changes",
        "XfrFallbacks": "changes that could not be used: the whole zone was asked for",
        "XfrFailures": "primaries that could not be reached, refused, or sent what is not lawful",
        "GaveUp": "rounds in which no primary helped: again after the SOA's retry",
        "Expired": "copies that nothing is answered from any longer",
        "NotifyIn": "notifications that led to a look",
        "NotifyNotNeeded": "notifications of a serial that we have",
        "NotifyRefused": "notifications from somebody else than a primary",
        "InForged": "dropped: answers about the serial with another id or question, or unsigned",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Checks = 0
        self.UpToDate = 0
        self.XfrWhole = 0
        self.XfrChanges = 0
        self.XfrFallbacks = 0
        self.XfrFailures = 0
        self.GaveUp = 0
        self.Expired = 0
        self.NotifyIn = 0
        self.NotifyNotNeeded = 0
        self.NotifyRefused = 0
        self.InForged = 0
