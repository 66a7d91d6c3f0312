"""An asyncio server as one writes it with dnspython: `dnspy.py asyncio|uvloop FOLDER PORT`."""

import asyncio
import sys

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone

from tests.bench.peers.loop import run, serve


class Server(asyncio.DatagramProtocol):
    def __init__(self, zone: dns.zone.Zone) -> None:
        self.zone = zone
        assert zone.origin is not None
        self.soa = zone.find_rrset(zone.origin, "SOA")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        question = query.question[0]
        node = self.zone.get_node(question.name)
        found = None if node is None else node.get_rdataset(question.rdclass, question.rdtype)
        if found is not None:
            rrset = response.find_rrset(response.answer, question.name, question.rdclass, question.rdtype, create=True)
            rrset.update(found)
        else:
            if node is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(self.soa)
        self.transport.sendto(response.to_wire(), address)  # type: ignore[attr-defined]  # asyncio's signature is as wide


async def main(folder: str, port: int) -> None:
    server = Server(dns.zone.from_file(f"{folder}/bench.zone", origin="bench.test.", relativize=False))
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, ("0.0.0.0", port))
    await serve()


run(main(sys.argv[2], int(sys.argv[3])), sys.argv[1])
