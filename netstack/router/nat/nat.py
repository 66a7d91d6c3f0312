"""NAT to sockets: what guests send to others goes on through the host's own sockets (streams.py, datagrams.py, echoes.py).

    nat = Nat(net, gate)        # `net` on a stack with any_ip, a switch of guests or a tap below it
    nat.start()
    ...
    await nat.aclose()

The gate is asked once for each flow, before anything is answered, and told of its end. What it says at once costs no task; what is
awaited, and what is a name, gets one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ...address import Ip4
from ...errors import UsageError
from ...instant import SECOND, Instant
from ...runtime.doors.hostside import resolve
from ...runtime.net import Net
from ...timers import CallTimer
from ..flow import Decision, Flow, Gate, Proto, State
from . import const as nc
from .config import NatConfig
from .datagrams import Chooser, Session, UdpNat
from .echoes import UNAVAILABLE, EchoChooser, EchoNat, Pings
from .mib import NatMib
from .poller import Poller
from .streams import NOWHERE, TcpNat

log = logging.getLogger("netstack.router")

SWEEP = 5 * SECOND  # how exact the time-outs are
DENIED = 10 * SECOND
TARGETS = 256  # redirections whose address is known as a number; a policy that thinks of new ones for ever begins anew
CODE = {"reset": 3, "unreachable": 13, "drop": -1}
FILTERS = ("independent", "address", "port")

Settled = Callable[[Decision, int], None]


class Nat:
    """`guest_of(address)` names a guest, for its flows."""

    def __init__(
        self, net: Net, gate: Gate, config: NatConfig | None = None, *, guest_of: Callable[[int], str] | None = None
    ) -> None:
        """Raises UsageError for a net that has no address, in whose name it could report errors."""
        stack = net.stack
        if not stack.addresses:
            raise UsageError("a router needs an address on its guests' network: give it one like 10.0.2.2/24")
        self.net = net
        self.gate = gate
        self.config = config or NatConfig()
        self.mib = NatMib()
        self.loop = net.loop
        self.crank = net.turn
        self.icmp = stack.icmp
        self.timers = stack.timers
        self.gateway = int(stack.addresses[0].address)
        self.guest_of = guest_of
        selector = getattr(net.loop, "stack_selector", None)  # of our own loop
        complain = partial(self.complain, "a socket of the host failed")
        self.poller = Poller(self.crank, stack.tcp.core, self._soon, complain, selector)
        self.tcp = TcpNat(self)
        self.udp = UdpNat(stack.udp, stack.icmp, self.poller, _Datagrams(self), self.mib, self.gateway, stack.netif.mtu)
        self.udp.filtering = FILTERS.index(self.config.filtering)
        self.udp.idle = self.config.udp_idle
        self.udp.short = self.config.udp_short
        self.udp.max_sessions = self.config.max_udp
        self.udp.max_sockets = self.config.max_sockets
        self.scarce = self.config.descriptors > 0
        self.outbound = self.udp.outbound = int(self.config.outbound or 0)
        self.echo = EchoNat(
            stack.icmp, self.poller, _Echoes(self), self.mib, self.gateway, self.config.max_echo, self.config.echo_idle, DENIED
        )
        self._targets: dict[tuple[str, int] | str, tuple[int, int] | bytes | str] = {}
        self.echo.outbound = self.outbound
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper = CallTimer(self._sweep)
        self._running = False
        self._no_echo = False

    # -- the turn of the crank ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Catch what guests send. Raises UsageError when somebody else does."""
        stack = self.net.stack
        stack.tcp.catch(self.tcp.caught)
        stack.udp.catch(self.udp)
        stack.icmp.catch_echo(self.echo.caught)
        if self.poller.fd >= 0:
            self.loop.add_reader(self.poller.fd, self.poller.on_frames)
        self._running = True
        self.net._doors.add(self)

    def _soon(self) -> None:
        self.loop.call_soon(self.poller.on_frames)

    def turn(self, work: Callable[[int], object]) -> None:
        """Do `work(now)` as a turn of the stack."""

        def whole(now: int) -> bool:
            self.net.stack.tcp.gather()
            work(now)
            return self.net.stack.settle(Instant(now))

        self.crank.turn(whole)

    def now(self) -> int:
        return self.crank.now()

    def complain(self, message: str, error: BaseException) -> None:
        self.loop.call_exception_handler({"message": message, "exception": error})

    def own(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- decisions -----------------------------------------------------------------------------------------------------------

    def look_after(self, now: int) -> None:
        """There is a flow, whose time-outs are to be looked at."""
        if not self._sweeper.armed():
            self.timers.arm(self._sweeper, now + SWEEP)

    def flow(self, proto: Proto, src: int, sport: int, dst: int, dport: int, now: int) -> Flow:
        self.look_after(now)
        guest = "" if self.guest_of is None else self.guest_of(src)
        return Flow(proto, src, sport, dst, dport, Instant(now), guest)

    def owner(self, src: int) -> str | int:
        """On whose account a flow goes: the guest's, whatever number of addresses it has; where it has no name, the address's."""
        return src if self.guest_of is None else self.guest_of(src) or src

    def ask(self, flow: Flow) -> Decision | Awaitable[Decision]:
        """What the gate says, whose fault is a denial."""
        try:
            return self.gate.decide(flow)
        except Exception as error:
            return self.denied_by_fault(error)

    def denied_by_fault(self, error: Exception) -> Decision:
        self.complain("the gate failed", error)
        return Decision.deny("the gate failed", "unreachable")

    def wait(self, said: Awaitable[Decision], then: Settled) -> asyncio.Task[None]:
        """Do `then(decision, now)` when there is one."""
        return self.own(self._wait(said, then))

    async def _wait(self, said: Awaitable[Decision], then: Settled) -> None:
        try:
            decision = await said
        except Exception as error:
            self.complain("the gate failed", error)
            decision = Decision.deny("the gate failed", "unreachable")
        self.turn(partial(then, decision))

    def choose(self, flow: Flow, then: Settled) -> None:
        """`ask`, and do `then(decision, now)` at once or later."""
        said = self.ask(flow)
        if isinstance(said, Decision):
            then(said, self.now())
        else:
            self.wait(said, then)

    def target(self, flow: Flow, decision: Decision) -> tuple[int, int] | bytes | str:
        """Where a flow goes on: an address and a port, the path of a unix socket, or a name to be looked up first."""
        to = decision.to
        if to is None:
            return flow.dst_int, flow.dst_port
        found = self._targets.get(to)
        if found is None:
            if len(self._targets) >= TARGETS:
                self._targets.clear()
            found = self._targets[to] = parsed(to)
        return found

    async def resolve(self, name: str) -> str:
        """An IPv4 address of a name of the host's world. Raises OSError."""
        found = await resolve(name, 0, socket.SOCK_STREAM, self.loop)
        for family, _kind, _proto, _name, address in found:
            if family == socket.AF_INET:
                return str(address[0])
        raise OSError(errno.EADDRNOTAVAIL, "it has no IPv4 address")

    def settled(self, flow: Flow, decision: Decision, go: Callable[[int, int, int], None], deny: Callable[[int], None]) -> None:
        """A decision about a flow without streams: `go(address, port, now)`, or `deny(code of destination unreachable)`."""
        if decision.action == "connect" and not isinstance(decision.to, str) and decision.handler is None:
            flow.state = "connecting"
            flow.rate = decision.rate
            target = self.target(flow, decision)
            if isinstance(target, tuple):
                self._go(flow, target[0], target[1], go, deny)
            elif isinstance(target, str):
                assert isinstance(decision.to, tuple)
                self.own(self._look_up(flow, target, decision.to[1], go, deny))
            return
        self.mib.Denied += 1
        flow.state = "denied"
        flow.note = decision.reason if decision.action == "deny" else "only TCP can be taken, or go on to a unix socket"
        deny(CODE[decision.how] if decision.action == "deny" else 3)

    async def _look_up(self, flow: Flow, name: str, port: int, go: Any, deny: Callable[[int], None]) -> None:
        try:
            address = int(Ip4.parse(await self.resolve(name)))
        except OSError as error:
            flow.state = "failed"
            flow.note = f"{name}: {error}"
            deny(1)
            return
        self.turn(lambda now: self._go(flow, address, port, go, deny))

    def _go(self, flow: Flow, address: int, port: int, go: Callable[[int, int, int], None], deny: Callable[[int], None]) -> None:
        try:
            go(address, port, self.now())
            flow.state = "open"
        except OSError as error:
            flow.state = "failed"
            flow.note = str(error)
            code = -1
            if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
                code = NOWHERE[error.errno]  # the host could, but there is no way
            elif flow.proto == "icmp" and error.errno in UNAVAILABLE:
                self.mib.EchoUnavailable += 1
                flow.note = "this host allows no ping sockets: see net.ipv4.ping_group_range"
                if not self._no_echo:
                    log.warning("guests' echo requests get no answer: this host allows no ping sockets (net.ipv4.ping_group_range)")
                self._no_echo = True
            else:
                self.mib.NoSocket += 1
            deny(code)

    # -- ends ------------------------------------------------------------------------------------------------------------------

    def share_out(self, now: int) -> None:
        """Where descriptors are scarce: there is another TCP flow, or one less, and datagrams have the rest."""
        config = self.config
        rest = max(config.descriptors - config.max_echo - self.tcp.count, 1)
        self.udp.max_sockets = min(config.max_sockets, rest)
        self.udp.make_room(self.udp.max_sockets, now)

    def ended(self, flow: Flow, state: State, note: str = "") -> None:
        flow.state = state
        flow.note = note or flow.note
        try:
            self.gate.over(flow)
        except Exception as error:
            self.complain("the gate failed", error)

    def _sweep(self, now: int) -> None:
        self.tcp.sweep(now)
        self.udp.sweep(now)
        self.echo.sweep(now)
        if self.tcp.count or self.udp.mappings or self.echo.pings:
            self.timers.arm(self._sweeper, now + SWEEP)

    def flows(self) -> list[Flow]:
        """Those that are there now, with their bytes as they stand; denied datagrams for a while longer."""
        found = self.tcp.flows()
        for session in self.udp.sessions():
            found.append(_refresh(session))
        for pings in self.echo.pings.values():
            found.append(_refresh(pings))
        return found

    def end(self, flow: Flow) -> bool:
        """Cut a flow, resetting both its ends. False when it is not there any more."""
        found = False

        def work(now: int) -> None:
            nonlocal found
            found = self.tcp.end(flow, now)
            for session in self.udp.sessions():
                if session.flow is flow:
                    self.udp.end(session, now)
                    found = True
            for pings in list(self.echo.pings.values()):
                if pings.flow is flow:
                    self.echo.end(pings, now)
                    found = True

        self.turn(work)
        return found

    def counters(self) -> dict[str, int]:
        return self.mib.snapshot()

    async def aclose(self) -> None:
        """End every flow, and let go of the stack."""
        if not self._running:
            return
        self._running = False
        self.net._doors.discard(self)
        stack = self.net.stack
        stack.tcp.catch(None)
        stack.udp.catch(None)
        stack.icmp.catch_echo(None)
        now = self.now()
        self.tcp.close(now)
        self.udp.close(now)
        self.echo.close(now)
        self.timers.cancel(self._sweeper)
        self.crank.rearm()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self.poller.fd >= 0:
            self.loop.remove_reader(self.poller.fd)
        self.poller.close()


def parsed(to: tuple[str, int] | str) -> tuple[int, int] | bytes | str:
    """`Decision.to`: as `Nat.target`."""
    if isinstance(to, str):
        return to.removeprefix("unix:").encode()
    try:
        return int(Ip4.parse(to[0])), to[1]
    except UsageError:
        return to[0]


def _refresh(thing: Any) -> Flow:
    flow: Flow = thing.flow
    flow.sent = thing.sent
    flow.received = thing.received
    flow.last = Instant(thing.last)
    return flow


class _Datagrams(Chooser):
    def __init__(self, nat: Nat) -> None:
        self.nat = nat

    def owner(self, src: int) -> str | int:
        return self.nat.owner(src)

    def begun(self, session: Session, now: int) -> None:
        nat = self.nat
        mapping = session.mapping
        flow = session.flow = nat.flow("udp", mapping.src, mapping.port, session.dst, session.dport, now)

        def go(address: int, port: int, now: int) -> None:
            if session.verdict == nc.WAITS:  # it may have been evicted meanwhile
                session.settle(address, port, flow.rate or 0, now)

        nat.choose(flow, lambda decision, now: nat.settled(flow, decision, go, partial(session.deny, now=now)))

    def ended(self, session: Session, now: int) -> None:
        flow = _refresh(session)
        self.nat.ended(flow, flow.state if flow.state in ("denied", "failed") else "over")


class _Echoes(EchoChooser):
    def __init__(self, nat: Nat) -> None:
        self.nat = nat

    def owner(self, src: int) -> str | int:
        return self.nat.owner(src)

    def begun(self, pings: Pings, now: int) -> None:
        nat = self.nat
        flow = pings.flow = nat.flow("icmp", pings.src, pings.ident, pings.dst, 0, now)

        def go(address: int, port: int, now: int) -> None:
            if pings.verdict == nc.WAITS:
                pings.settle(address, now)

        nat.choose(flow, lambda decision, now: nat.settled(flow, decision, go, partial(pings.deny, now=now)))

    def ended(self, pings: Pings, now: int) -> None:
        flow = _refresh(pings)
        self.nat.ended(flow, flow.state if flow.state in ("denied", "failed") else "over")
