"""Counters of a DHCP server and of a client."""

from __future__ import annotations

from ..counters import Group


class DhcpMib(Group):
    MEANING = {
        "InDiscovers": "clients that look for an address",
        "InRequests": "requests for an address: chosen, known from before, or to be renewed",
        "InDeclines": "addresses that a client found to be in use",
        "InReleases": "addresses that were given back",
        "InInforms": "questions of clients that have an address by other means",
        "OutOffers": "addresses offered",
        "OutAcks": "leases granted or renewed, and answers to InInforms",
        "OutNaks": "requests refused",
        "OutErrors": "answers that could not be sent",
        "OptionsLeftOut": "options for which an answer had no room",
        # discarded
        "InErrors": "dropped: not a message of DHCP",
        "InOther": "dropped: a reply, or a kind of message that is for clients",
        "InRelayed": "dropped: came by a relay, of which there are none on our links",
        "InSpoofed": "dropped: the client's hardware address is not the frame's",
        "InOtherServer": "dropped: meant for another server",
        "InUnknown": "dropped: of a client without a lease, about an address that is not its own",
        "PoolEmpty": "not answered: no address is free",
        "LimitReached": "not answered, or an older offer taken back: the guest has as many leases as it may",
        # addresses
        "Conflicts": "addresses passed over since somebody answers for them",
        "Declined": "addresses set aside since a client declined them",
        "Expired": "leases that ended without being renewed",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InDiscovers = 0
        self.InRequests = 0
        self.InDeclines = 0
        self.InReleases = 0
        self.InInforms = 0
        self.OutOffers = 0
        self.OutAcks = 0
        self.OutNaks = 0
        self.OutErrors = 0
        self.OptionsLeftOut = 0
        self.InErrors = 0
        self.InOther = 0
        self.InRelayed = 0
        self.InSpoofed = 0
        self.InOtherServer = 0
        self.InUnknown = 0
        self.PoolEmpty = 0
        self.LimitReached = 0
        self.Conflicts = 0
        self.Declined = 0
        self.Expired = 0


class DhcpClientMib(Group):
    MEANING = {
        "OutDiscovers": "searches for a server",
        "OutRequests": "requests: for what was offered, for what was known from before, to renew",
        "OutDeclines": "addresses refused since somebody has them",
        "OutReleases": "addresses given back",
        "InOffers": "offers received",
        "InAcks": "leases received or renewed",
        "InNaks": "refusals received",
        "InErrors": "dropped: not a message of DHCP, or one without what it must have",
        "InOther": "dropped: not for us, or not what we wait for",
        "Expired": "leases that nobody renewed",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.OutDiscovers = 0
        self.OutRequests = 0
        self.OutDeclines = 0
        self.OutReleases = 0
        self.InOffers = 0
        self.InAcks = 0
        self.InNaks = 0
        self.InErrors = 0
        self.InOther = 0
        self.Expired = 0
