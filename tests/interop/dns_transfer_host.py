"""A host with our DNS server on the kernel's sockets, for the laboratory: serves zones, keeps copies, notifies, and takes orders on
its standard input, a line of JSON each, answered by a line of JSON. The first line says what it is to be:

    {"address": …, "key": …, "zones": {name: [[owner, type, ttl, data], …]}, "access": {…}, "copies": {name: [address, …]},
     "notify": [address, …], "signed": true}
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from typing import Any

import netstack
from netstack.dns import name as names
from netstack.dns import rdata, tsig
from netstack.dns.authority.access import Access
from netstack.dns.authority.notify import NoticeConfig, Target
from netstack.dns.authority.secondary import Primary, SecondaryConfig
from netstack.dns.authority.transfer import serial_of
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Record
from netstack.dns.numbers import type_number, type_text
from netstack.dns.serve.notifier import Notifier
from netstack.dns.serve.secondaries import Secondaries
from netstack.dns.serve.server import DnsServer
from netstack.instant import SECOND


def build(name: str, records: list[list[Any]]) -> Zone:
    zone = Zone(names.parse(name))
    for owner, type, ttl, value in records:
        zone.add(owner, type, ttl, value)
    return zone


def dump(zone: Zone | None) -> list[str]:
    """Canonical lines of a zone, the SOA first."""
    if zone is None:
        return []
    lines = [f"{names.text(r.name.lower())} {r.ttl} {type_text(r.type)} {rdata.to_text(r.type, r.rdata)}" for r in zone.records()]
    return [lines[0], *sorted(lines[1:])]


def change(zone: Zone, removed: list[list[Any]], added: list[list[Any]]) -> None:
    """One change with the next serial."""

    def record(owner: str, type: str, ttl: int, value: str) -> Record:
        kind = type_number(type)
        return Record(names.parse(owner, zone.name), kind, 1, ttl, rdata.from_text(kind, value, zone.name))

    kept = zone.rrset(zone.name, 6)
    assert kept is not None
    old = kept.rdatas[0]
    new = old[:-20] + (serial_of(old) + 1).to_bytes(4, "big") + old[-16:]
    soas = [Record(zone.name, 6, 1, kept.ttl, each) for each in (old, new)]
    zone.apply([soas[0], *(record(*each) for each in removed)], [soas[1], *(record(*each) for each in added)])


async def main(options: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    key = tsig.parse(options["key"])
    signs = key if options.get("signed") else None
    access = Access(**options.get("access", {}))
    targets = [Target(each, key=signs) for each in options.get("notify", [])]
    zones = [build(*each) for each in options.get("zones", {}).items()]
    async with (
        netstack.open("posix:") as net,
        DnsServer(net, net, zones, keys=tsig.Keys([key]), access=access) as server,
        Secondaries(net, net, server.zones, orders=server.desk.orders) as copies,
        Notifier(net, config=NoticeConfig(gap=SECOND // 10)) as teller,
    ):
        await server.listen(53, options["address"])
        orders = server.desk.orders
        orders.changed.append(lambda zone: teller.tell(zone, targets))
        config = SecondaryConfig(notify_gap=SECOND // 10, first_retry=SECOND // 5, patience=SECOND // 5)
        for name, addresses in options.get("copies", {}).items():
            primaries = [Primary(each, key=signs) for each in addresses]
            told = functools.partial(lambda zone: teller.tell(zone, targets))
            copies.keep(name, primaries, config=config, changed=told)
        for zone in zones:
            teller.tell(zone, targets)
        print(json.dumps("ready"), flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            order, name, *rest = json.loads(line)
            found = server.zones.exact(names.key(names.parse(name)))
            answer: Any = None
            if order == "dump":
                answer = dump(found)
            elif order == "serial":
                answer = None if found is None else found.serial
            elif order == "told":
                answer = None if found is None else [teller.told(found, target) for target in targets]
            elif order == "mib":
                answer = copies.mib.snapshot() | server.mib.snapshot()
            elif order == "why":
                kept = copies.find(names.key(names.parse(name)))
                answer = None if kept is None else kept.why
            elif order == "change":
                assert found is not None
                change(found, *rest)
                teller.tell(found, targets)
                answer = found.serial
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
