"""TCP flows of guests: from a SYN that is held to a relay that works, and what the guest hears when it doesn't come to that.

    SYN -> gate -> connect of the host, non-blocking -> connected    SYN,ACK; from now on the relay (relay.py)
                                                     -> refused      RST
                                                     -> unreachable  the ICMP error that came, in the name of who sent it
                                                     -> silence      silence: the guest's SYN times out, and takes the socket along
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from ...address import Ip4
from ...errors import NetstackError
from ...instant import Instant
from ...runtime.doors.callers import Caller
from ...tcp.catch import Request
from ..conversation import Flow, State
from ..flow import Decision, Handler
from . import const as nc
from . import errqueue, quote, sysio
from .farstream import connected
from .relay import Owner, Relay, Slabs

if TYPE_CHECKING:
    from .nat import Nat

PATIENCE = 5.0  # seconds that an inspector waits for the first bytes: some protocols let the server speak first
NOWHERE = {errno.EHOSTUNREACH: 1, errno.ENETUNREACH: 0, errno.EHOSTDOWN: 1, errno.EACCES: 13, errno.EPERM: 13}
OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
ENDED = ("denied", "failed", "over")
_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class TcpNat(Owner):
    """All of them. A flow counts from its SYN to its end."""

    __slots__ = ("count", "guests", "mib", "most", "most_per_guest", "nat", "others", "poller", "relays", "slabs", "timers")

    def __init__(self, nat: Nat) -> None:
        self.nat = nat
        self.mib = nat.mib
        self.poller = nat.poller
        self.timers = nat.timers
        self.most = nat.config.max_tcp
        self.most_per_guest = nat.config.tcp_per_guest
        self.slabs = Slabs()
        self.relays: dict[Relay, None] = {}
        self.others: dict[Flow, asyncio.Task[None] | None] = {}  # undecided, or somebody else's (`Decision.take`, handlers)
        self.guests: dict[str | int, int] = {}
        self.count = 0

    # -- beginning ------------------------------------------------------------------------------------------------------------

    def caught(self, request: Request) -> None:
        nat = self.nat
        now = request.began
        src = request.src
        guest = "" if nat.guest_of is None else nat.guest_of(src)
        owner = guest or src
        mine = self.guests.get(owner, 0)
        if self.count >= self.most:
            self.mib.TcpTableFull += 1
            request.forget()
        elif mine >= self.most_per_guest:
            self.mib.TcpGuestFull += 1
            request.forget()
        elif request.ttl <= 1:
            self.mib.TtlExceeded += 1
            nat.icmp.report(request.quote, src, nat.gateway, 11, 0, 0, now)
            request.forget()
        else:
            if self.count == 0:
                nat.look_after(now)
            self.count += 1
            self.guests[owner] = mine + 1
            if nat.scarce:
                nat.share_out(now)
            flow = Flow("tcp", src, request.src_port, request.dst, request.dst_port, Instant(now), guest)
            try:
                said = nat.gate.decide(flow)
            except Exception as error:
                said = nat.denied_by_fault(error)
            if isinstance(said, Decision):
                self.decided(request, flow, said, now)
            else:
                request.on_end = partial(self.forsaken, request, flow)
                self.others[flow] = nat.wait(said, partial(self.decided, request, flow))

    def forsaken(self, request: Request, flow: Flow) -> None:
        """The guest has given up before anything was decided."""
        self.mib.TcpForsaken += 1
        task = self.others.get(flow)
        self.never(request, flow, "failed", "the guest has given up")
        if task is not None:
            task.cancel()

    def never(self, request: Request, flow: Flow, state: State, note: str) -> None:
        """Nothing has come of it, or nothing any more."""
        if flow.state not in ENDED:
            self.others.pop(flow, None)
            self.done(request.src, flow, state, note)

    def done(self, src: int, flow: Flow, state: State, note: str = "") -> None:
        self.count -= 1
        owner = flow.guest or src
        left = self.guests[owner] - 1
        if left:
            self.guests[owner] = left
        else:
            del self.guests[owner]
        if self.nat.scarce:
            self.nat.share_out(self.nat.now())
        self.nat.ended(flow, state, note)

    def decided(self, request: Request, flow: Flow, decision: Decision, now: int) -> None:
        nat = self.nat
        if not request.live:
            return  # `forsaken` has told
        if decision.action == "deny":
            self.mib.Denied += 1
            request.on_end = None
            if decision.how == "reset":
                request.refuse(now)
            elif decision.how == "unreachable":
                nat.icmp.report(request.quote, request.src, nat.gateway, 3, 13, 0, now)
                request.drop()  # a peer may take it for a passing trouble (RFC 1122 4.2.3.9), and will not be asked about again
            else:
                request.drop()
            self.never(request, flow, "denied", decision.reason)
        elif decision.action == "take":
            self.take(request, flow, decision, now)
        else:
            flow.state = "connecting"
            flow.rate = decision.rate
            target: tuple[int, int] | bytes | str
            target = (flow.dst_int, flow.dst_port) if decision.to is None else nat.target(flow, decision)
            if isinstance(target, str):
                request.on_end = partial(self.forsaken, request, flow)
                self.others[flow] = nat.own(self.look_up(request, flow, decision, target))
            else:
                self.connect(request, flow, decision, target, now)

    async def look_up(self, request: Request, flow: Flow, decision: Decision, name: str) -> None:
        """A name of the host's world."""
        nat = self.nat
        assert isinstance(decision.to, tuple)
        port = decision.to[1]
        try:
            address = int(Ip4.parse(await nat.resolve(name)))
        except OSError as error:
            if request.live:
                request.on_end = None
                request.refuse(nat.now())
                nat.crank.rearm()
            self.never(request, flow, "failed", f"{name}: {error}")
            return
        if request.live:
            nat.turn(lambda now: self.connect(request, flow, decision, (address, port), now))

    def connect(self, request: Request, flow: Flow, decision: Decision, target: tuple[int, int] | bytes, now: int) -> None:
        """Begin to connect, to an address and a port or to the path of a unix socket."""
        if isinstance(target, bytes):
            fd, error = dial_unix(target)
        else:
            address: int = target[0]
            port: int = target[1]
            source: int = self.nat.outbound if address >> 24 != 127 else 0
            fd, error = sysio.dial(address, port, request.ttl - 1, request.tos & nc.DSCP, source)
        if fd < 0:
            self.mib.NoSocket += 1
            request.on_end = None
            request.forget()
            self.never(request, flow, "failed", f"the host has no socket for it: {os.strerror(-fd)}")
            return
        relay = Relay(self, self.poller, self.slabs, self.timers, fd, request, flow, now)
        self.others.pop(flow, None)
        self.relays[relay] = None
        relay.tag = decision
        if error == 0 or error == errno.EINPROGRESS:
            self.poller.watch(fd, relay)
        if error == errno.EINPROGRESS:
            relay.asked = not isinstance(target, bytes)
            request.on_end = partial(self.given_up, relay)
        else:
            self.connected(relay, error, now)

    def given_up(self, relay: Relay) -> None:
        """The guest has, while we were connecting."""
        self.mib.TcpForsaken += 1
        relay.tag = ("failed", "the guest has given up")
        relay.cut(self.nat.now())

    # -- what the far side says -------------------------------------------------------------------------------------------------

    def connected(self, relay: Relay, error: int, now: int) -> None:
        relay.request.on_end = None
        decision: Decision = relay.tag
        if error == errno.ECONNRESET and decision.handler is None:
            self.mib.TcpFlows += 1
            relay.accept_reset(error, now)
            return
        if error:
            self.failed(relay, error, now)
            return
        self.mib.TcpFlows += 1
        if decision.handler is not None:
            self.hand_over(relay, decision.handler, now)
            return
        if decision.inspect is not None:
            relay.inspected = True
        if decision.rate is not None or decision.share is not None:
            relay.limit(decision.rate or decision.share.there.rate, decision.share, now)  # type: ignore[union-attr]  # one of both
        relay.accept(now)

    def failed(self, relay: Relay, error: int, now: int) -> None:
        """The guest hears what we heard."""
        nat = self.nat
        request = relay.request
        told = errqueue.read_fd(relay.fd) if relay.asked else []
        if error == errno.ETIMEDOUT:
            self.mib.TcpSilent += 1
            request.drop()
        elif error in OURS:
            self.mib.NoSocket += 1
            request.forget()
        elif told and error != errno.ECONNREFUSED:
            self.mib.TcpUnreachable += 1
            for one in told[:1]:
                rest = quote.rest(one.type, one.code, one.info)
                nat.icmp.report(request.quote, request.src, one.offender, one.type, one.code, rest, now)
            request.forget()
        elif error in NOWHERE:
            self.mib.TcpUnreachable += 1
            nat.icmp.report(request.quote, request.src, nat.gateway, 3, NOWHERE[error], 0, now)
            request.forget()
        else:
            self.mib.TcpRefused += 1
            request.refuse(now)
        relay.tag = ("failed", os.strerror(error))
        relay.cut(now)

    def opened(self, relay: Relay, now: int) -> None:
        flow: Flow = relay.flow
        flow.state = "open"
        if relay.inspected:
            self.nat.loop.call_later(PATIENCE, self.impatient, relay)

    def over(self, relay: Relay, error: Exception | None, now: int) -> None:
        if self.relays.pop(relay, self) is self:
            return
        refresh(relay)
        flow: Flow = relay.flow
        state: State = "over"
        note = ""
        if isinstance(relay.tag, tuple):
            state, note = relay.tag
        elif error is not None:
            self.mib.TcpResets += 1
            note = str(error)
        self.done(relay.request.src, flow, state, note)

    # -- the guest's first bytes ------------------------------------------------------------------------------------------------

    def inspect(self, relay: Relay, final: bool, now: int) -> None:
        decision: Decision = relay.tag
        flow: Flow = relay.flow
        assert decision.inspect is not None
        try:
            verdict = decision.inspect(flow, relay.first(), final)
        except Exception as error:
            self.nat.complain("an inspector failed", error)
            verdict = False
        if verdict:
            relay.let_pass(now)
        elif verdict is False or final:
            self.mib.Denied += 1
            relay.tag = ("denied", flow.note or "what the guest said first")
            relay.abort(now)

    def impatient(self, relay: Relay) -> None:
        if relay.inspected and relay.state == nc.OPEN:
            self.nat.turn(lambda now: self.inspect(relay, True, now))

    # -- those that somebody else carries -----------------------------------------------------------------------------------------

    def take(self, request: Request, flow: Flow, decision: Decision, now: int) -> None:
        """We are the far end."""
        assert decision.handler is not None
        request.on_end = None
        self.others[flow] = self.nat.own(self.attend(request, flow, decision.handler, None))

    def hand_over(self, relay: Relay, handler: Handler, now: int) -> None:
        sock = socket.socket(fileno=relay.give_away())
        del self.relays[relay]
        self.others[relay.flow] = self.nat.own(self.attend(relay.request, relay.flow, handler, sock))

    async def attend(self, request: Request, flow: Flow, handler: Handler, sock: socket.socket | None) -> None:
        nat = self.nat
        near: Any = None
        far: Any = None
        state: State = "over"
        note = ""
        try:
            if sock is not None:
                far = connected(sock, nat.loop)
            near = await Caller(nat.net, request).accept()
            flow.state = "open"
            await (handler(flow, near) if far is None else handler(flow, near, far))
            near.close()
            if far is not None:
                far.close()
        except asyncio.CancelledError:
            raise
        except (NetstackError, OSError) as error:  # one side has broken: no fault of the handler's
            state, note = ("failed" if near is None else "over"), str(error)
        except Exception as error:
            nat.complain("a flow's handler failed", error)
            note = "its handler failed"
        finally:
            for stream in (near, far):
                if stream is not None:
                    stream.abort()
            if far is None and sock is not None:
                sock.close()
            request.forget()
            self.never(request, flow, state, note)

    # -- ends -------------------------------------------------------------------------------------------------------------------

    def sweep(self, now: int) -> None:
        config = self.nat.config
        self.slabs.rest()
        for relay in list(self.relays):
            calm = relay.state == nc.OPEN and not relay.end_out and not relay.ending
            if now - relay.last >= (config.tcp_idle if calm else config.tcp_transitory) and relay.state != nc.CONNECTING:
                self.mib.TcpIdle += 1
                relay.abort(now)

    def flows(self) -> list[Flow]:
        for relay in self.relays:
            refresh(relay)
        return [*(relay.flow for relay in self.relays), *self.others]

    def end(self, flow: Flow, now: int) -> bool:
        """Reset it, whatever it is doing. Was it there?"""
        for relay in self.relays:
            if relay.flow is flow:
                relay.abort(now)
                return True
        task = self.others.get(flow)
        if task is not None:
            task.cancel()
        return task is not None

    def close(self, now: int) -> None:
        for relay in list(self.relays):
            relay.abort(now)


def refresh(relay: Relay) -> None:
    flow: Flow = relay.flow
    flow.sent = relay.sent
    flow.received = relay.received
    flow.last = Instant(relay.last)


def dial_unix(path: bytes) -> tuple[int, int]:
    """As `sysio.dial`, for a unix socket, which is connected or refused at once."""
    try:
        sock = socket.socket(socket.AF_UNIX, _STREAM)
    except OSError as problem:
        return -(problem.errno or errno.EIO), 0
    error = sock.connect_ex(path)
    return sock.detach(), error
