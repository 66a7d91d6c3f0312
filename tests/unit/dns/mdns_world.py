"""Hosts on one wire, each with multicast DNS, in virtual time and without an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netstack.adapters import PyDatagramUser
from netstack.dns.message import Message, Question, Record
from netstack.dns.multicast.browser import Sighting
from netstack.dns.multicast.core import MdnsConfig
from netstack.dns.multicast.message import GROUP, PORT, Packet, read
from netstack.dns.multicast.onstack import GROUP_IP, StackPort
from netstack.dns.multicast.querier import Change
from netstack.dns.multicast.records import Claim, any_name, host_name, text
from netstack.dns.multicast.service import Service, type_name
from netstack.dns.numbers import Type
from netstack.testing.net import Host, World, WorldTurn

TOP = 0x8000


class Node:
    """A host with multicast DNS."""

    def __init__(self, world: World, host: Host, name: str = "", config: MdnsConfig = MdnsConfig()) -> None:  # noqa: B008
        self.world = world
        self.host = host
        self.address = str(host.address.address)
        self.port = StackPort(host.stack, WorldTurn(world.clock), config)
        self.core = self.port.core
        self.mib = self.core.mib
        self.claim = self.core.be(host_name(name), world.now) if name else None
        self.port.stir()

    @property
    def name(self) -> str:
        assert self.claim is not None
        return text(self.claim.name)

    def offer(self, service: Service) -> Claim:
        claim = self.core.offer(service, self.world.now)
        self.port.stir()
        return claim

    def browse(self, type: str) -> list[Sighting]:
        seen: list[Sighting] = []
        self.core.browse(type_name(type), seen.append, self.world.now)
        self.port.stir()
        return seen

    def want(self, name: str, type: int, once: bool = False) -> list[tuple[bool, bytes]]:
        """What is told of the records of a name: is it there, and the data."""
        told: list[tuple[bool, bytes]] = []

        def tell(change: Change) -> None:
            told.append((change.there and not change.denied, change.record.rdata))

        self.core.querier.want(any_name(name), type, tell, self.world.now, once)
        self.port.stir()
        return told


class Ear:
    """A host without multicast DNS that hears, and says, what it likes."""

    def __init__(self, world: World, host: Host, port: int = PORT) -> None:
        self.world = world
        self.address = str(host.address.address)
        self.heard: list[tuple[int, Packet, str]] = []  # instant, message, sender
        self.raw: list[bytes] = []
        self.port = host.stack.udp.bind(0, port, PyDatagramUser(self), None, True)
        self.port.join(GROUP_IP)

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        from netstack.address import ip4_text

        if ip4_text(address) == self.address:
            return  # what it said itself
        self.raw.append(data)
        self.heard.append((now, read(data), ip4_text(address)))

    def on_error(self, e: Exception, address: int, port: int, now: int) -> None: ...

    def say(self, data: bytes | Message, to: str = GROUP) -> None:
        from netstack.address import Ip4

        octets = data.encode() if isinstance(data, Message) else data
        self.port.send(octets, int(Ip4.parse(to)), PORT, self.world.now, 255)

    def answers(self, since: int = 0) -> list[Any]:
        return [said for now, packet, _ in self.heard if now >= since and packet.response for said in packet.answers]

    def responses(self, since: int = 0) -> list[tuple[int, Packet]]:
        return [(now, packet) for now, packet, _ in self.heard if now >= since and packet.response]

    def queries(self, since: int = 0) -> list[tuple[int, Packet]]:
        return [(now, packet) for now, packet, _ in self.heard if now >= since and not packet.response]


def query(
    *questions: tuple[str, int],
    known: Sequence[Record] = (),
    unicast: bool = False,
    proposed: Sequence[Record] = (),
    id: int = 0,
    tc: bool = False,
) -> Message:
    m = Message(id, 0x0200 if tc else 0)
    m.question = [Question(any_name(name), type, 1 | (TOP if unicast else 0)) for name, type in questions]
    m.answer = list(known)
    m.authority = list(proposed)
    return m


def response(*records: Record) -> Message:
    m = Message(0, 0x8400)
    m.answer = list(records)
    return m


def record(name: str, type: int, data: bytes, ttl: int = 120, flush: bool = False) -> Record:
    return Record(any_name(name), type, 1 | (TOP if flush else 0), ttl, data)


def address(name: str, host: str, ttl: int = 120, flush: bool = True) -> Record:
    return record(name, int(Type.A), bytes(map(int, host.split("."))), ttl, flush)


def pointer(name: str, target: str, ttl: int = 4500) -> Record:
    return record(name, int(Type.PTR), any_name(target), ttl)
