"""The proxy of relay.py on two streams, and what is asked of the policy for each request."""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from ...errors import BrokenError, ClosedError, NetstackError, UsageError, WireError
from ...http.events import RequestHead
from ...http.headers import Headers
from ...http.serve.upgraded import Upgraded
from ...http.target import split_target
from ...instant import SECOND, Duration, Instant
from ...signatures import Address, Stream
from ...tls.errors import TruncatedError
from ..flow import Flow
from .asking import name_of, tell, within
from .bucket import TokenBucket
from .relay import HttpRelay
from .said import FIRST, Said, host_of, read_said
from .web import Reply, Request

if TYPE_CHECKING:
    from .policy import Policy

log = logging.getLogger("netstack.policy")

PATIENCE = 10.0  # seconds for a guest to say a name, once it is connected
LINGER = 2.0  # seconds for a guest to notice that its connection ends
LINGERED = 1 << 20  # bytes that are read and dropped meanwhile


async def serve_http(policy: Policy, checked: bool, rate: int | None, flow: Flow, guest: Stream, far: Stream) -> None:
    """The handler of a flow in the clear. `checked`: each request must be for a name that the rules allow."""
    await Pump(policy, flow, *metered(policy, flow, rate, guest, far), "http", checked).run()


async def serve_any(policy: Policy, rate: int | None, flow: Flow, guest: Stream, far: Stream) -> None:
    """The handler of a flow on any port, which must say a name that the rules allow: in TLS once, in HTTP with each request."""
    guest, far = metered(policy, flow, rate, guest, far)
    first = b""
    said: Said | None = None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while said is None and len(first) < FIRST and (data := await guest.receive(FIRST - len(first))):
                    first += data
                    said = read_said(first)
    except WireError as error:
        policy.denied(flow, "malformed", str(error))
        said = None
    except (OSError, NetstackError):
        said = None
    else:
        if said is None or not said.name:
            policy.denied(flow, "nameless", "it says no name, and only a name could allow it")
            said = None
        elif not policy.says(flow, said.name):
            said = None
    if said is None:
        guest.abort()
        far.abort()
    elif said.protocol == "http":
        await Pump(policy, flow, Upgraded(guest, first), far, "http", True).run()
    else:
        await pass_through(guest, far, first)


class Metered:
    """A stream whose bytes are counted for its flow, and sent no faster than `rate` and `shared` have it. `there`: what is sent
    goes from the guest."""

    def __init__(self, stream: Stream, flow: Flow, rate: int | None, shared: TokenBucket | None, there: bool) -> None:
        self._stream = stream
        self._flow = flow
        self._there = there
        self._loop = asyncio.get_running_loop()
        own = None if rate is None else TokenBucket(rate, None, self._now())
        self._buckets = [bucket for bucket in (own, shared) if bucket is not None]
        self.local_address: Address = stream.local_address
        self.remote_address: Address = stream.remote_address
        self.receive = stream.receive
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose
        self.abort = stream.abort

    def _now(self) -> Instant:
        return Instant(int(self._loop.time() * SECOND))

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        flow = self._flow
        await self._stream.send_all(data, timeout)
        if self._there:
            flow.sent += len(data)
        else:
            flow.received += len(data)
        flow.last = self._now()
        waits = [bucket.take(len(data), flow.last) for bucket in self._buckets]
        if any(waits):
            await asyncio.sleep(max(waits) / SECOND)


def metered(policy: Policy, flow: Flow, rate: int | None, guest: Stream, far: Stream) -> tuple[Metered, Metered]:
    share = policy.share_of(flow)
    back, there = (None, None) if share is None else (share.back, share.there)
    return Metered(guest, flow, rate, back, False), Metered(far, flow, rate, there, True)


class Pump:
    """One flow whose requests are looked at. Under TLS, `name` is what the far side has proven to be, and every request is for it.
    Where it could not, `fault` says why, and is the answer to all of them."""

    def __init__(
        self,
        policy: Policy,
        flow: Flow,
        guest: Stream,
        far: Stream,
        scheme: str,
        checked: bool,
        name: str | None = None,
        fault: str = "",
    ) -> None:
        self._policy = policy
        self._flow = flow
        self._guest = guest
        self._far = far
        self._scheme = scheme
        self._checked = checked
        self._name = name
        self._fault = fault
        self._loop = asyncio.get_running_loop()
        self._relay = HttpRelay(self._now(), policy.web.upgrades)
        self._stirred: list[asyncio.Event] = [asyncio.Event(), asyncio.Event()]
        self._ways = (asyncio.Lock(), asyncio.Lock())
        self._timer: asyncio.TimerHandle | None = None
        self._late: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._asking = False

    def _now(self) -> Instant:
        return Instant(int(self._loop.time() * SECOND))

    async def run(self) -> None:
        """Until both sides are done. Both streams are closed then; they are reset where one broke, or when this is cancelled."""
        tasks = self._tasks = [self._loop.create_task(side) for side in (self._from_guest(), self._from_far())]
        try:
            left = set(tasks)
            while left and not self._relay.over:
                _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                raise_first(tasks)
            await self._flush()
            if self._relay.broken:
                raise BrokenError("what was begun can't be ended")
            if self._relay.lingers:
                await self._linger()
        except (OSError, NetstackError) as error:
            log.debug("%s: %s", self._flow, error)
            self._abort()
        except BaseException:
            self._abort()
            raise
        finally:
            self._policy.mib.Upgrades += bool(self._relay.tunnel)
            if self._timer is not None:
                self._timer.cancel()
            if self._late is not None:
                tasks.append(self._late)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(OSError, NetstackError):
            await self._guest.aclose()
        with suppress(OSError, NetstackError):
            await self._far.aclose()

    def _abort(self) -> None:
        self._guest.abort()
        self._far.abort()

    # -- the two sides --------------------------------------------------------------------------------------------------------

    async def _from_guest(self) -> None:
        relay = self._relay
        while not relay.over:
            room = relay.wants_guest
            if not room:
                if relay.ended[0] and relay.tunnel:
                    return
                await self._turn(0)
                continue
            data = await self._guest.receive(room)
            relay.from_guest(data, self._now())
            await self._answer()
            self._stir()
            await self._flush()
            if not data and relay.tunnel:
                await self._far.send_eof()

    async def _from_far(self) -> None:
        relay = self._relay
        while not relay.over:
            room = relay.wants_far
            if not room:
                if relay.tunnel:
                    return
                await self._turn(1)
                continue
            try:
                data = await self._far.receive(room)
            except TruncatedError:
                if relay.answering:  # somebody may have cut it
                    raise
                data = b""  # between two answers nothing is lost: many servers leave so
            relay.from_far(data, self._now())
            await self._answer()  # what the guest has pipelined
            self._stir()
            await self._flush()
            if not data and relay.tunnel:
                await self._guest.send_eof()

    async def _turn(self, side: int) -> None:
        """Until something has happened on the other side."""
        event = self._stirred[side]
        await event.wait()
        event.clear()

    def _stir(self) -> None:
        for event in self._stirred:
            event.set()
        self._arm()

    async def _flush(self) -> None:
        """Send what there is, both ways. Each way has one sender at a time, and who waits for his turn may find nothing left."""
        relay = self._relay
        if relay.to_far:
            async with self._ways[1]:
                if relay.to_far:
                    await self._far.send_all(relay.take_far())
        if relay.to_guest:
            async with self._ways[0]:
                if relay.to_guest:
                    await self._guest.send_all(relay.take_guest())

    async def _linger(self) -> None:
        """RFC 9112 9.6: end our side, and read on for a little, so that no reset overtakes the response."""
        spare = LINGERED
        self._far.abort()
        with suppress(TimeoutError, OSError, NetstackError):
            async with asyncio.timeout(LINGER):
                await self._guest.send_eof()
                while spare > 0 and (data := await self._guest.receive(65536)):
                    spare -= len(data)

    # -- time -----------------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """For the next deadline. A timer that goes off too soon is cheaper than one that is moved with each piece."""
        due = self._relay.next_deadline(self._now())
        if due is None:
            return
        when = due / SECOND
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._now()
        due = self._relay.next_deadline(now)
        if due is not None and due > now:
            self._arm()
        elif due is not None and (self._late is None or self._late.done()):
            self._relay.handle_timeout(now)
            self._late = self._loop.create_task(self._after())

    async def _after(self) -> None:
        try:
            await self._flush()
        except (OSError, NetstackError):
            return  # whoever receives there hears of it
        self._stir()
        if self._relay.over:  # which nobody else would notice
            for task in self._tasks:
                task.cancel()

    # -- requests -------------------------------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        """Decide about the requests that ask."""
        relay, policy = self._relay, self._policy
        if relay.refusal is not None and not relay.refusal.truncated:
            refusal, relay.refusal = relay.refusal, None
            policy.denied(self._flow, "malformed", refusal.reason)
        while (head := relay.asked) is not None and not self._asking:
            self._asking = True
            try:
                await self._decide(head)
            finally:
                self._asking = False

    async def _decide(self, head: RequestHead) -> None:
        relay, policy, flow = self._relay, self._policy, self._flow
        policy.mib.Requests += 1
        if self._fault:
            relay.refuse(502, self._fault)
            return
        host = self._host(head)
        if host is None:
            relay.refuse(403, f"This request is not allowed: {flow.note}.")
            return
        _, path, query = split_target(head.target)
        target = head.target if head.target[:1] in "/*" else f"{path or '/'}{'?' + query if query else ''}"
        request = Request(flow, self._scheme, host, head.method, target, head.fields)
        reply = await self._ask(request)
        if relay.over:
            return  # the far side has left meanwhile
        try:
            if reply is None:
                relay.refuse(403, f"This request is not allowed: {flow.note}.")
            elif reply is True:
                relay.pass_on(request.target, self._authority(head, host), request.fields, self._now())
            else:
                relay.answer(reply.status, Headers(reply.headers).raw(), reply.body, self._now())
                policy.mib.RequestsAnswered += 1
        except UsageError as error:
            policy.denied(flow, "hook failed", f"what a function made of the request can't be said: {error}", host)
            log.error("%r can't be said: %s", request, error)
            relay.refuse(500, "This request, or its answer, was changed to something that can't be said.")

    def _host(self, head: RequestHead) -> str | None:
        """Whom it is for, "" for an address; None where that is not allowed, and was told."""
        policy, flow = self._policy, self._flow
        try:
            host, port = host_of(head)
        except WireError as error:
            policy.denied(flow, "malformed", str(error))
            return None
        if port not in (None, flow.dst_port):
            policy.denied(flow, "mismatch", f"the request is for port {port}, on a connection to port {flow.dst_port}", host)
            return None
        if self._name is not None:
            if host != self._name:
                policy.denied(flow, "mismatch", f"the request is for {host or 'an address'}, under TLS with {self._name}", host)
                return None
            return host
        if not host:
            if self._checked:
                policy.denied(flow, "nameless", "the request names no host, and only a name could allow it")
                return None
            return host
        return host if policy.says(flow, host, learnt=self._checked) else None

    def _authority(self, head: RequestHead, host: str) -> bytes:
        """As the guest has written it, in the target or in Host."""
        authority = split_target(head.target)[0]
        if authority is not None:
            return authority.encode("ascii")
        given = next((value for name, value in head.fields if name == b"host"), b"")
        return given or (host or self._flow.hostname or str(self._flow.dst)).encode("ascii")

    async def _ask(self, request: Request) -> Reply | Literal[True] | None:
        """What the program says: True, it goes on; a Reply; None: denied, and told."""
        policy, flow = self._policy, self._flow
        for function in policy.web.functions(request):
            try:
                said = function(request)
                if inspect.isawaitable(said):
                    said = await within(policy, said)
            except Exception as error:
                tell(policy, function, flow, request, error, request.host)
                return None
            if said is False:
                policy.denied(flow, "request", f"{name_of(function)} says no to {request.method} {request.target}", request.host)
                return None
            if isinstance(said, Reply):
                return said
            if said is not None and said is not True:
                wrong = TypeError(f"{said!r} is no answer: return a Reply, False or None")
                tell(policy, function, flow, request, wrong, request.host)
                return None
        try:
            policy.web.put_secrets(request)
        except Exception as error:
            tell(policy, policy.web.put_secrets, flow, request, error, request.host)
            return None
        return True


def raise_first(tasks: list[asyncio.Task[None]]) -> None:
    """What went wrong in them, if anything."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def pass_through(guest: Stream, far: Stream, first: bytes = b"") -> None:
    """Everything as it is, `first` first, until both sides have ended."""

    async def one_way(source: Stream, sink: Stream, data: bytes) -> None:
        if data:
            await sink.send_all(data)
        while data := await source.receive(262144):
            await sink.send_all(data)
        await sink.send_eof()

    tasks = [asyncio.ensure_future(one_way(guest, far, first)), asyncio.ensure_future(one_way(far, guest, b""))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        raise_first(tasks)
    except (OSError, NetstackError):
        guest.abort()
        far.abort()
    except BaseException:
        guest.abort()
        far.abort()
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(OSError, ClosedError):
        await guest.aclose()
    with suppress(OSError, ClosedError):
        await far.aclose()
