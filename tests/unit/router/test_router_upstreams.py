"""Where a router's own questions leave."""

import asyncio
import socket

from nat_world import LOCALHOST, from_udp

from netstack.router.services.upstreams import HostWorld


def test_questions_leave_from_the_chosen_address_but_those_to_the_hosts_own_resolver():
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.create_server(("127.0.0.5", 0)) as listener:
            server.bind(("", 0))
            server.setblocking(False)
            port = server.getsockname()[1]
            async with HostWorld("127.0.0.5") as world:
                for where, source in ((LOCALHOST, LOCALHOST), ("0.0.0.0", "127.0.0.5")):  # to a kernel 0.0.0.0 is itself
                    asking = await world.bind_datagrams(remote=(where, port))
                    await asking.send(b"?")
                    assert (await from_udp(server))[1][0] == source
                    asking.close()
                stream = await world.connect_stream("0.0.0.0", listener.getsockname()[1])
                taken, peer = listener.accept()
                assert peer[0] == "127.0.0.5"
                taken.close()
                await stream.aclose()

    asyncio.run(main())
