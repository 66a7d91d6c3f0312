"""Counters of a switch's ports: what each guest sent and was sent, and what it tried."""

from ...counters import Group


class PortMib(Group):
    MEANING = {
        "InFrames": "frames, or units of them, from the guest",
        "InForwarded": "of these, to another guest",
        "InFlooded": "of these, to all other guests",
        "OutFrames": "frames, or units of them, to the guest",
        "InTooShort": "dropped: shorter than its headers",
        "InSpoofedMac": "dropped: from a link address that is another guest's, ours, or nobody's",
        "InSpoofedIp": "dropped: from an internet address that is another guest's, ours, or nobody's",
        "InSpoofedArp": "dropped: ARP that says of somebody else where he is",
        "InForeignIp": "dropped: from an address outside of the guests' network",
        "InOtherType": "dropped: neither IPv4 nor ARP",
        "InRogueDhcp": "dropped: a DHCP server's answer from a guest",
        "InIsolated": "dropped: to another guest, where guests are kept apart",
        "InUnknown": "dropped: to a link address that no guest has used",
        "InFloodLimited": "not passed on to other guests: more broadcasts than FLOOD_RATE",
        "MacsForgotten": "link addresses given up for newer ones of the same guest",
        "IpsForgotten": "internet addresses given up for newer ones of the same guest",
        "OutTooLong": "dropped: longer than the guest's MTU",
        "OutRefused": "dropped: the device refused it, or it can't be cut",
        "OutCut": "frames that were cut from units for a device that can't",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.InForwarded = 0
        self.InFlooded = 0
        self.OutFrames = 0
        self.InTooShort = 0
        self.InSpoofedMac = 0
        self.InSpoofedIp = 0
        self.InSpoofedArp = 0
        self.InForeignIp = 0
        self.InOtherType = 0
        self.InRogueDhcp = 0
        self.InIsolated = 0
        self.InUnknown = 0
        self.InFloodLimited = 0
        self.MacsForgotten = 0
        self.IpsForgotten = 0
        self.OutTooLong = 0
        self.OutRefused = 0
        self.OutCut = 0
