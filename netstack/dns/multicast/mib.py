"""Counters of multicast DNS."""

from ...counters import Group


class MdnsMib(Group):
    MEANING = {
        "InQueries": "queries of others",
        "InResponses": "responses of others",
        "OutQueries": "queries sent, probes and continuations of known answers among them",
        "OutProbes": "of these, probes",
        "OutResponses": "responses sent to the group, announcements and goodbyes among them",
        "OutUnicast": "responses sent to one querier",
        "OutLegacy": "of these, to one that knows unicast DNS only",
        "OutAnswers": "records sent as answers",
        "Conflicts": "somebody else has said something of a name of ours (RFC 6762 9)",
        "TiesLost": "simultaneous probes that were better than ours (RFC 6762 8.2)",
        "Renamed": "names that we gave up for another",
        "KnownAnswers": "answers not given: the querier has them (RFC 6762 7.1)",
        "DuplicateQuestions": "questions not asked: somebody else did (RFC 6762 7.3)",
        "DuplicateAnswers": "answers not given: somebody else did (RFC 6762 7.4)",
        "Rescued": "announced anew: somebody said goodbye to what is ours, or let it run out early (RFC 6762 6.6)",
        "Failures": "records dropped before their time: questions for them went unanswered (RFC 6762 10.5)",
        "Flushed": "records dropped because their owner has others now (RFC 6762 10.2)",
        "Expired": "records that ran out, or to which their owner said goodbye",
        # dropped
        "InMangled": "dropped: not a message of the DNS",
        "InLawless": "dropped: another opcode, or an error (RFC 6762 18.3, 18.11)",
        "InEchoes": "dropped: our own datagrams, come back",
        "InStrangers": "dropped: sent to us alone from beyond the link (RFC 6762 11)",
        "InBadPort": "dropped: responses that do not come from port 5353 (RFC 6762 6)",
        "InUnasked": "dropped: responses to us alone that we did not ask for (RFC 6762 6)",
        "InOtherClass": "records dropped: not of class IN",
        "CacheFull": "records not stored: there is room for no more",
        "Evicted": "records dropped for room that nobody here was interested in",
        "RepliesFull": "answers not given: too many queriers are waiting already",
        "UnicastLimited": "answers to one querier not given: too many in too short a time",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InQueries = 0
        self.InResponses = 0
        self.OutQueries = 0
        self.OutProbes = 0
        self.OutResponses = 0
        self.OutUnicast = 0
        self.OutLegacy = 0
        self.OutAnswers = 0
        self.Conflicts = 0
        self.TiesLost = 0
        self.Renamed = 0
        self.KnownAnswers = 0
        self.DuplicateQuestions = 0
        self.DuplicateAnswers = 0
        self.Rescued = 0
        self.Failures = 0
        self.Flushed = 0
        self.Expired = 0
        self.InMangled = 0
        self.InLawless = 0
        self.InEchoes = 0
        self.InStrangers = 0
        self.InBadPort = 0
        self.InUnasked = 0
        self.InOtherClass = 0
        self.CacheFull = 0
        self.Evicted = 0
        self.RepliesFull = 0
        self.UnicastLimited = 0
