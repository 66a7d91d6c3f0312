"""Counters of a policy."""

from ...counters import Group


class PolicyMib(Group):
    MEANING = {
        "Flows": "flows that were decided about",
        "Allowed": "that may go on; what they say first may still be looked at",
        "Denied": "denials of all kinds: flows, first bytes, questions, requests",
        "DeniedRule": "denied by a rule",
        "DeniedDefault": "denied because no rule allows it",
        "DeniedGuarded": "towards an address of the host, of its link, or of nobody, with no rule about it",
        "DeniedRebinding": "that a rule by name would allow, towards an address that no name may lead to",
        "DeniedSpoofed": "from an address that is not the guest's",
        "DeniedFlood": "beyond the flows that a guest may have, or begin",
        "DeniedMismatch": "TLS or HTTP to another name than the address was learnt by",
        "DeniedNameless": "neither TLS nor HTTP with a name, where a rule by name had allowed the address",
        "DeniedMalformed": "a ClientHello or a request that can be read in two ways, or in none",
        "DeniedHook": "by a function of the program's",
        "DeniedHookFailed": "because such a function raised",
        "DeniedHookTimedOut": "because such a function took too long",
        "DeniedQuestion": "questions to the DNS for names that nothing could allow",
        "DeniedRequest": "HTTP requests, by a function of the program's",
        "DeniedCertificate": "because the far side's certificate is not one to trust, or none can be made for the guest",
        "Inspected": "flows whose first bytes were looked at",
        "Learnt": "pairs of a name and an address learnt from answers",
        "Forgotten": "such pairs dropped because of a bound",
        "Requests": "HTTP requests that passed through",
        "RequestsAnswered": "HTTP requests answered here",
        "Secrets": "secrets put into requests",
        "Upgrades": "HTTP connections that became something else",
        "Intercepted": "TLS connections opened with a certificate of our own",
        "InterceptErrors": "TLS connections whose guest did not take that certificate, or spoke no TLS",
        "Certificates": "certificates made",
        "ListenerErrors": "functions told of denials that raised",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Flows = 0
        self.Allowed = 0
        self.Denied = 0
        self.DeniedRule = 0
        self.DeniedDefault = 0
        self.DeniedGuarded = 0
        self.DeniedRebinding = 0
        self.DeniedSpoofed = 0
        self.DeniedFlood = 0
        self.DeniedMismatch = 0
        self.DeniedNameless = 0
        self.DeniedMalformed = 0
        self.DeniedHook = 0
        self.DeniedHookFailed = 0
        self.DeniedHookTimedOut = 0
        self.DeniedQuestion = 0
        self.DeniedRequest = 0
        self.DeniedCertificate = 0
        self.Inspected = 0
        self.Learnt = 0
        self.Forgotten = 0
        self.Requests = 0
        self.RequestsAnswered = 0
        self.Secrets = 0
        self.Upgrades = 0
        self.Intercepted = 0
        self.InterceptErrors = 0
        self.Certificates = 0
        self.ListenerErrors = 0
