"""Names and SYNs in front of services that are started when they are wanted.

    async with netstack.open(spec, addresses=["10.79.0.2/24", "10.79.0.3/24"]) as net:
        async with JustInTime(net, [Service("www.example", "10.79.0.3", start)]) as appliance:
            await appliance.listen(dns="10.79.0.2")

A client asks for the name. It is answered at once, and the service is started at that moment: the client's SYN comes a round trip
later and is *held* (tcp/catch.py), neither answered nor refused, until the service takes connections. Then it is answered, and
what the client sends goes to the service and back. The client has noticed a little latency: a held SYN is not lost, so not even its
own repetition had to be waited for. A client that knows the address already, and asks nobody, has its SYN held in the same way.

**What is bounded.** At most `places` services exist at a time; one that nobody uses makes way for another, else the name is
answered with SERVFAIL and the SYN with RST, so that a client goes elsewhere instead of waiting. At most `waiting` SYNs are held for
a service that is being started, since each of them is a connection that it will get at its first moment; the stack bounds those of
all services (`TcpConfig.max_held`) and takes from whoever sends most. Queries hold nothing. Who asks for all names in turn can have
services started in turn, and stopped again, but never more than `places` at a time.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attrs import define

from ..dns.message import Question
from ..dns.name import parse
from ..dns.name import text as name_text
from ..dns.numbers import Rcode, Type
from ..dns.serve.client import Client
from ..dns.serve.handlers import Answer
from ..dns.serve.server import DnsServer
from ..errors import Unreachable, UsageError
from ..runtime.doors.callers import Caller
from ..runtime.doors.joint import End, StackEnd, join
from ..runtime.serving import bound
from ..tcp.catch import Request
from .service import BREAKS, Life, Service, State

if TYPE_CHECKING:
    from ..runtime.net import Net

PLACES = 16  # a small machine of 256 MiB each fits into 4 GiB
WAITING = 64  # of one service: what a browser or two open at once, and not what a flood does
TTL = 10  # seconds: a client that comes back later asks again, and so announces itself
BACKLOG = 128
NETWORK_ERROR = 23  # extended DNS errors (RFC 8914 4.24)


def key_of(name: bytes) -> str:
    """`www.example`, in whatever case it was asked."""
    return name_text(name).lower().removesuffix(".")


@define
class Counts:
    """What an appliance did. `refused` by RST, `failed` by SERVFAIL."""

    answered: int = 0
    failed: int = 0
    held: int = 0
    handed: int = 0
    refused: int = 0
    gone: int = 0  # clients that gave up while their SYN was held
    broken: int = 0  # connections that were reset or timed out, afterwards
    bytes_in: int = 0
    bytes_out: int = 0


class JustInTime:
    """The services of an appliance on `net`, which has their addresses. Enter it, and `listen`."""

    def __init__(
        self, net: Net, services: Iterable[Service], *, places: int = PLACES, waiting: int = WAITING, ttl: int = TTL
    ) -> None:
        self.counts = Counts()
        self.lives: dict[str, Life] = {}
        self._net = net
        self._places = places
        self._waiting = waiting
        self._ttl = ttl
        self._tasks: dict[asyncio.Task[None], Life] = {}
        self._servers: list[Any] = []
        self._dns: DnsServer[Any, Any] | None = None
        taken: dict[tuple[str, int], str] = {}
        for service in services:
            name = key_of(parse(service.name))
            if name in self.lives:
                raise UsageError(f"{service.name} stands twice among the services: each has a name of its own")
            for port in service.ports:
                other = taken.setdefault((service.address, port), service.name)
                if other != service.name:
                    raise UsageError(f"{service.name} and {other} are both port {port} of {service.address}: whom does a SYN call?")
            self.lives[name] = Life(service, self._room)
        if places < 1 or waiting < 1:
            raise UsageError(f"places={places} and waiting={waiting} must let in at least one")

    async def __aenter__(self) -> JustInTime:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def listen(self, dns: str = "", port: int = 53) -> None:
        """Answer names at the address `dns` of the net, and catch SYNs. Raises what binding raises, UsageError for a service at an
        address that the net hasn't got."""
        own = [text.partition("/")[0] for text in self._net.addresses]
        for life in self.lives.values():
            if life.service.address not in own:
                raise UsageError(
                    f"{life.service.name} is at {life.service.address}, and SYNs for it don't come here: "
                    f"give the net that address, too, it has {', '.join(own) or 'none'}"
                )
        self._dns = DnsServer(self._net, self._net, ())
        for name in self.lives:
            self._dns.answer(name)(self._answer)
        await self._dns.listen(port, dns)
        for life in self.lives.values():
            for number in life.service.ports:
                self._catch(life, number)

    async def aclose(self) -> None:
        """Catch nothing more, reset what is open, stop what runs."""
        for server in self._servers:
            server.close()
        self._servers = []
        if self._dns is not None:
            await self._dns.aclose()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        await asyncio.gather(*(life.aclose() for life in self.lives.values()))

    # -- names ------------------------------------------------------------------------------------------------------------------

    def _answer(self, question: Question, client: Client) -> Answer:
        life = self.lives[key_of(question.name)]
        if question.type not in (Type.A, Type.ANY):
            return Answer()  # there is the name, and nothing of that type; nobody has announced a visit
        try:
            life.want()
        except Unreachable as error:
            self.counts.failed += 1
            return Answer(rcode=int(Rcode.SERVFAIL), error=(NETWORK_ERROR, str(error)))
        self.counts.answered += 1
        return Answer.of(Question(question.name, Type.A), self._ttl, life.service.address)

    # -- connections ------------------------------------------------------------------------------------------------------------

    def _catch(self, life: Life, port: int) -> None:
        server = self._net.new_server()
        place = (socket.AF_INET, (life.service.address, port))
        server.bind(bound(self._net, [place], [(socket.SOL_SOCKET, socket.SO_REUSEADDR)]), lambda conn: None, BACKLOG)
        server.serve()
        self._servers.append(server)
        server.catch(lambda request: self._called(life, port, request))

    def _called(self, life: Life, port: int, request: Request) -> None:
        caller = Caller(self._net, request)
        try:
            life.want()
        except Unreachable:
            self.counts.refused += 1
            caller.refuse()
            return
        if life.state is not State.UP and life.callers >= self._waiting:
            self.counts.refused += 1
            caller.refuse()
            return
        self.counts.held += 1
        life.enter()
        task = asyncio.get_running_loop().create_task(self._serve(life, port, caller))
        self._tasks[task] = life
        task.add_done_callback(self._left)
        request.on_end = task.cancel  # the client has given up

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task).leave()

    async def _serve(self, life: Life, port: int, caller: Caller) -> None:
        """One connection, from its SYN to its end."""
        try:
            far = await life.reach(port)
        except asyncio.CancelledError:
            self._give_up(caller)
            raise
        except BREAKS:
            self.counts.refused += 1
            caller.refuse()
            return
        try:
            near = StackEnd(await caller.accept())
        except BREAKS:
            self.counts.gone += 1
            far.abort()
            return
        except BaseException:
            far.abort()
            self._give_up(caller)
            raise
        self.counts.handed += 1
        await self._join(near, far)

    def _give_up(self, caller: Caller) -> None:
        if caller.waiting:  # it is we who end
            self.counts.refused += 1
            caller.refuse()
        else:
            self.counts.gone += 1

    async def _join(self, near: End, far: End) -> None:
        try:
            passed = await join(near, far)
            self.counts.bytes_in += passed.there
            self.counts.bytes_out += passed.back
        except BREAKS:
            self.counts.broken += 1

    # -- places -----------------------------------------------------------------------------------------------------------------

    def _room(self, wanting: Life) -> Life | None:
        """See Life. The one that nobody has used for longest makes way."""
        others = [life for life in self.lives.values() if life is not wanting and life.occupies]
        if len(others) < self._places:
            return None
        for life in sorted(others, key=lambda life: life.used):
            if life.make_way():
                return life
        raise Unreachable(f"there is no room to start {wanting.service.name}: all {self._places} places are taken")
