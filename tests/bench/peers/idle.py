"""What a keep-alive connection occupies between two requests: `idle.py http|stack COUNT`.

The crowd of bench_idle opens them, sends a request on each and takes the response. `http` is our HTTP server with an ASGI
application, `stack` the TCP connections alone, accepted by one user for all of them. Bytes are what both allocators have handed
out for each connection, beyond a hundred others.
"""

import asyncio
import json
import sys

import netstack
from netstack import const
from netstack.adapters import PyStreamUser
from netstack.http.config import HttpConfig
from netstack.http.serve.asgi import Asgi
from netstack.http.serve.server import HttpServer
from netstack.instant import SECOND, Duration
from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from tests.bench.bench_idle import PORT, SERVER, TCP, WAVE, Crowd, Shared
from tests.bench.peers.growth import OPTIONS, allocated
from tests.bench.peers.services import BACKLOG
from tests.bench.peers.webapp import app

WARM = 100
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n"
)


class Readers(Crowd):
    """Each asks once, as a browser does."""

    def transmit(self, frame: bytes, now: int) -> None:
        super().transmit(frame, now)
        if frame[33] & const.SYN:
            me, (port, seq, ack) = int.from_bytes(frame[16:20], "big"), TCP.unpack_from(frame, 20)[1:4]
            self.segment(me, port, ack, seq + 1, const.ACK | const.PSH, OPTIONS, REQUEST)
            self.wake()


async def main(what: str, count: int) -> None:
    crowd = Readers()
    config = StackConfig(tcp=TcpConfig(max_connections=count + WARM))
    patient = HttpConfig(idle_timeout=Duration(3600 * SECOND))
    async with netstack.open(crowd, addresses=[SERVER], config=config) as net:
        if what == "http":
            await HttpServer(net, application=Asgi(app, lifespan="off"), config=patient).listen(PORT, backlog=BACKLOG)
        else:
            shared = PyStreamUser(Shared())
            net.stack.tcp.listen(0, PORT, lambda _: shared)
        tcp = net.stack.tcp

        async def reach(wanted: int) -> None:
            while crowd.opened < wanted:
                wave = range(crowd.opened, min(wanted, crowd.opened + WAVE))
                for i in wave:
                    crowd.open(i)
                crowd.wake()
                while tcp.mib.CurrEstab < wave.stop or crowd.waiting or (what == "http" and crowd.answered < wave.stop):
                    await asyncio.sleep(0)
            await asyncio.sleep(0.2)

        await reach(WARM)
        before = allocated()
        await reach(WARM + count)
        print("ready", flush=True)
        each = (allocated() - before) / count
        while sys.stdin.readline():
            print(json.dumps({"bytes": each}), flush=True)


netstack.run(main(sys.argv[1], int(sys.argv[2])))
