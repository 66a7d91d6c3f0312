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
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        for name in self.MEANING:
            setattr(self, name, 0)
