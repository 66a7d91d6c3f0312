"""Counters of a stack of vchans."""

from netstack.counters import Group


class VchanMib(Group):
    MEANING = {
        "ActiveOpens": "connections made as a client",
        "PassiveOpens": "connections that a client took up",
        "InOctets": "bytes received",
        "OutOctets": "bytes sent",
        "InEvents": "notifications that were heard",
        "OutEvents": "notifications that were sent",
        "EstabResets": "connections that the peer reset, or that its death cut short",
        "OutResets": "connections that were reset by this side",
        "InErrors": "peers that broke the protocol; each has cost its connection",
        "AttemptFails": "connections as a client that did not come about",
        "ClaimsLost": "offers that somebody else had taken up, or that were gone, when this side came",
        "Offers": "vchans offered",
        "OffersExpired": "offers that nobody took up in time",
        "OffersWithdrawn": "offers whose caller had changed his mind",
        "OffersFailed": "offers that could not be made: no pages, no ports, or no room in the store",
        "CallsPutOff": "calls that waited because too many offers were open",
        "CallsIgnored": "calls of domains that may not, of no lawful name, or beyond the bound for one domain",
        "BellsMended": "times that somebody had spoilt the bell, and it was made anew",
    }
    __slots__ = (
        "ActiveOpens",
        "AttemptFails",
        "BellsMended",
        "CallsIgnored",
        "CallsPutOff",
        "ClaimsLost",
        "EstabResets",
        "InErrors",
        "InEvents",
        "InOctets",
        "Offers",
        "OffersExpired",
        "OffersFailed",
        "OffersWithdrawn",
        "OutEvents",
        "OutOctets",
        "OutResets",
        "PassiveOpens",
    )

    def __init__(self) -> None:
        self.ActiveOpens = 0
        self.PassiveOpens = 0
        self.InOctets = 0
        self.OutOctets = 0
        self.InEvents = 0
        self.OutEvents = 0
        self.EstabResets = 0
        self.OutResets = 0
        self.InErrors = 0
        self.AttemptFails = 0
        self.ClaimsLost = 0
        self.Offers = 0
        self.OffersExpired = 0
        self.OffersWithdrawn = 0
        self.OffersFailed = 0
        self.CallsPutOff = 0
        self.CallsIgnored = 0
        self.BellsMended = 0
