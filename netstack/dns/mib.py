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


class ServerMib(Group):
    """The names of BIND's statistics, where it has one."""

    MEANING = {
        "QryUDP": "messages over UDP",
        "QryTCP": "messages over TCP and TLS",
        "ReqEdns0": "of these, with an OPT record",
        "ReqTSIG": "of these, signed with TSIG, and the signature holds",
        "QrySuccess": "NOERROR with an answer",
        "QryAuthAns": "answers with AA",
        "QryNoauthAns": "answers without AA",
        "QryReferral": "answered with a referral",
        "QryNxrrset": "NOERROR, and nothing of that type",
        "QryNXDOMAIN": "answers NXDOMAIN",
        "QrySERVFAIL": "answers SERVFAIL",
        "QryFORMERR": "answers FORMERR",
        "QryFailure": "answers with other rcodes",
        "RespEDNS0": "answers with an OPT record",
        "TruncatedResp": "answers with TC",
        "QryRecursion": "questions that others were asked",
        "QryDuplicate": "dropped: the same query again, while its answer is on its way",
        "QryJoined": "of questions for others, those that waited for an answer which was on its way",
        "QryCallback": "questions that callbacks answered",
        "CallbackErrors": "callbacks that raised: SERVFAIL",
        "CallbackTimeouts": "answers that were owed for too long: SERVFAIL",
        "NSIDOpt": "asked for our name (RFC 5001)",
        "KeepaliveOpt": "asked how long a stream stays open (RFC 7828)",
        "PadOpt": "padded (RFC 7830)",
        "CookieIn": "with a cookie (RFC 7873)",
        "CookieNew": "of these, the client's half alone",
        "CookieMatch": "of these, with one of ours that holds",
        "CookieNoMatch": "of these, with one that does not",
        "UpdateDone": "updates that were made",
        "UpdateFail": "updates that were refused by what the zone has, or is",
        "NotifyIn": "notifications that were taken",
        "XfrReqDone": "transfers begun",
        # refused
        "ReqBadEDNSVer": "refused: an EDNS version that nobody has (BADVERS)",
        "ReqBadSIG": "refused: a TSIG that does not hold",
        "AuthQryRej": "refused: a name of no zone here, or a class that isn't served",
        "RecQryRej": "refused: would have others asked, and may not",
        "XfrRej": "refused: transfers",
        "UpdateRej": "refused: updates",
        "NotifyRej": "refused: notifications",
        "QryNotimp": "refused: an opcode or type that isn't implemented",
        "PendingRej": "refused: too many answers are owed already",
        # dropped
        "InRunts": "dropped: shorter than a header",
        "RateDropped": "dropped: over the rate of the client's network",
        "RateSlipped": "over that rate, and sent with TC, to be asked again over TCP",
        "InResponses": "dropped: a response; to answer it would keep two servers talking for ever",
        "OutFailed": "dropped: an answer that the network did not take",
        "Faults": "dropped: the server itself failed; the log says how",
        # streams
        "TCPConnections": "connections that were accepted",
        "TCPHighWater": "closed: too many connections; the longest idle makes room",
        "TCPClientHighWater": "closed at once: too many connections of one client",
        "TCPIdle": "closed: idle for too long",
        "TCPSlow": "closed: a message that was not whole in time",
        "TCPStuck": "closed: the client does not take its answers",
        "TCPMangled": "closed: a length that no message has",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.QryUDP = 0
        self.QryTCP = 0
        self.ReqEdns0 = 0
        self.ReqTSIG = 0
        self.QrySuccess = 0
        self.QryAuthAns = 0
        self.QryNoauthAns = 0
        self.QryReferral = 0
        self.QryNxrrset = 0
        self.QryNXDOMAIN = 0
        self.QrySERVFAIL = 0
        self.QryFORMERR = 0
        self.QryFailure = 0
        self.RespEDNS0 = 0
        self.TruncatedResp = 0
        self.QryRecursion = 0
        self.QryDuplicate = 0
        self.QryJoined = 0
        self.QryCallback = 0
        self.CallbackErrors = 0
        self.CallbackTimeouts = 0
        self.NSIDOpt = 0
        self.KeepaliveOpt = 0
        self.PadOpt = 0
        self.CookieIn = 0
        self.CookieNew = 0
        self.CookieMatch = 0
        self.CookieNoMatch = 0
        self.UpdateDone = 0
        self.UpdateFail = 0
        self.NotifyIn = 0
        self.XfrReqDone = 0
        self.ReqBadEDNSVer = 0
        self.ReqBadSIG = 0
        self.AuthQryRej = 0
        self.RecQryRej = 0
        self.XfrRej = 0
        self.UpdateRej = 0
        self.NotifyRej = 0
        self.QryNotimp = 0
        self.PendingRej = 0
        self.InRunts = 0
        self.RateDropped = 0
        self.RateSlipped = 0
        self.InResponses = 0
        self.OutFailed = 0
        self.Faults = 0
        self.TCPConnections = 0
        self.TCPHighWater = 0
        self.TCPClientHighWater = 0
        self.TCPIdle = 0
        self.TCPSlow = 0
        self.TCPStuck = 0
        self.TCPMangled = 0


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


class RecursionMib(Group):
    MEANING = {
        "Questions": "questions that came",
        "Local": "of these, about names that are answered here (RFC 6761, RFC 6303)",
        "FailuresRemembered": "of these, tried in vain a moment ago (RFC 9520)",
        "Walks": "of these, that had to be found out",
        "Sent": "queries sent, over UDP or TCP",
        "Primings": "times that the root's servers have said who they are (RFC 9609)",
        "Referrals": "referrals followed",
        "Fetches": "addresses of servers looked for, since no glue came along",
        "FetchesRefused": "not looked for: one question may not cause more (NXNSAttack)",
        "Circles": "not looked for: that is what is being looked for",
        "AliasLoops": "chains of aliases that were too long, or closed",
        "Lame": "responses of servers that don't serve the zone",
        "LameBelieved": "of these, taken for want of better",
        "MinimisedFailed": "names cut short that nobody answered to: the whole one was asked for (RFC 9156 3)",
        "EmptyDenied": "servers that denied a name with others below it",
        "BudgetSpent": "questions that would have caused more queries, or taken longer, than one may",
        "Failures": "questions that ended without an answer",
        "Stale": "of these, answered with what had expired (RFC 8767)",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Questions = 0
        self.Local = 0
        self.FailuresRemembered = 0
        self.Walks = 0
        self.Sent = 0
        self.Primings = 0
        self.Referrals = 0
        self.Fetches = 0
        self.FetchesRefused = 0
        self.Circles = 0
        self.AliasLoops = 0
        self.Lame = 0
        self.LameBelieved = 0
        self.MinimisedFailed = 0
        self.EmptyDenied = 0
        self.BudgetSpent = 0
        self.Failures = 0
        self.Stale = 0
