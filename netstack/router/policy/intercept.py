"""TLS that is opened on its way: to the guest with a certificate of our own, to the far side as a client that trusts what this host
trusts.

The far side goes first, so that a guest is never shown a good certificate of ours for a bad one of theirs: then it gets 502 for
whatever it asks, and a denial says why. What the guest's hello names is what the far side must prove to be, and every request
within must be for that name: a request for another one inside (domain fronting) is denied.

A hello for a name that nobody wants to look at, on an address that several names share, passes untouched.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import BrokenError, NetstackError, TimedOut, WireError
from ...http.serve.upgraded import Upgraded
from ...instant import SECOND, Duration
from ...runtime.waits import waits_here
from ...signatures import Address, Stream
from ...tls.engine import Engine
from ...tls.errors import CertificateError, TlsError
from ...tls.mib import TlsMib
from ...tls.stream import TlsStream
from ..flow import Flow
from .hello import Hello, read_hello
from .pump import Pump, metered, pass_through
from .said import FIRST

if TYPE_CHECKING:
    from .policy import Policy

log = logging.getLogger("netstack.policy")

HELLO = 10.0  # seconds for a guest to say it, once it is connected
HANDSHAKE = Duration(30 * SECOND)


async def serve_tls(policy: Policy, checked: bool, rate: int | None, flow: Flow, guest: Stream, far: Stream) -> None:
    """The handler of a flow whose requests somebody may want to see."""
    try:
        await _serve(policy, checked, flow, *metered(policy, flow, rate, guest, far))
    except (OSError, NetstackError) as error:
        log.debug("%s: %s", flow, error)
        guest.abort()
        far.abort()
    except BaseException:
        guest.abort()
        far.abort()
        raise


async def _serve(policy: Policy, checked: bool, flow: Flow, guest: Stream, far: Stream) -> None:
    try:
        hello, first = await _hello(guest)
    except WireError as error:
        policy.denied(flow, "malformed", str(error))
        raise
    if hello is None or not hello.name:
        if checked:
            policy.denied(flow, "nameless", "it says no name, and only a name could allow it")
            raise TimedOut("no name")
        await pass_through(guest, far, first)
        return
    name = hello.name
    if not policy.says(flow, name, learnt=checked):
        raise WireError(flow.note)
    if not policy.web.wants(name, "tls"):
        await pass_through(guest, far, first)
        return
    fault = ""
    secure: Stream
    try:
        secure = await _to_far(policy, name, far)
    except CertificateError as error:
        fault = f"The certificate of {name} is not one to trust: {error.verify_message or error}."
        policy.denied(flow, "certificate", fault)
        secure = Nobody(far)
    try:
        with_guest = await _to_guest(policy, flow, name, Upgraded(guest, first))
    except (OSError, NetstackError) as error:
        policy.mib.InterceptErrors += 1
        log.info("%s: no TLS with the guest, does it trust the authority? %s", flow, error)
        raise
    policy.mib.Intercepted += 1
    await Pump(policy, flow, with_guest, secure, "https", checked, name, fault).run()


async def _hello(guest: Stream) -> tuple[Hello | None, bytes]:
    """What the guest says first, and all that was received of it. Raises WireError."""
    first = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(HELLO):
            while len(first) < FIRST and (data := await guest.receive(FIRST - len(first))):
                first += data
                if (hello := read_hello(first)) is not None:
                    return hello, first
    return None, first


async def _to_far(policy: Policy, name: str, far: Stream) -> TlsStream:
    trust = policy.web.trust
    assert trust is not None
    engine = Engine(trust, server_side=False, server_hostname=name)
    return await _shaken(far, engine)


async def _to_guest(policy: Policy, flow: Flow, name: str, guest: Stream) -> TlsStream:
    authority = policy.web.authority
    assert authority is not None
    try:
        context = authority.context_for(name)
    except Exception as error:
        policy.denied(flow, "certificate", f"no certificate can be made for {name}: {error}")
        log.error("no certificate can be made for %s", name, exc_info=error)
        raise BrokenError(flow.note) from error
    engine = Engine(context, server_side=True, truncation=False)
    policy.mib.Certificates = authority.made
    return await _shaken(guest, engine)


async def _shaken(lower: Stream, engine: Engine) -> TlsStream:
    stream = TlsStream(lower, engine, waits_here(), TlsMib())
    try:
        await stream.shake(HANDSHAKE)
    except TlsError:
        with suppress(OSError, NetstackError):
            await lower.aclose()  # in order: an alert may be in it
        raise
    return stream


class Nobody:
    """In place of a far side that is not who it should be: it takes nothing and says nothing."""

    def __init__(self, stream: Stream) -> None:
        self.local_address: Address = stream.local_address
        self.remote_address: Address = stream.remote_address

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None: ...
    async def send_eof(self) -> None: ...
    async def aclose(self) -> None: ...
    def abort(self) -> None: ...
