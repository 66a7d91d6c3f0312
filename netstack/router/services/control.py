"""The control API: HTTP over a unix socket, for whoever runs the router.

As gvisor-tap-vsock has it, so that what talks to that one talks to us:

    GET  /services/forwarder/all                       [{"local": …, "remote": …, "protocol": …}]
    POST /services/forwarder/expose                    {"local": ":6443", "remote": "10.0.2.15:6443", "protocol": "tcp"}
                                                       {"local": "/run/x.sock", "remote": "tcp://10.0.2.15:22", "protocol": "unix"}
    POST /services/forwarder/unexpose                  {"local": ":6443", "protocol": "tcp"}
    GET  /services/dns/all                             [{"Name": …, "Records": [{"Name": …, "IP": …}], "DefaultIP": …}]
    POST /services/dns/add                             {"Name": "crc.testing.", "Records": […], "DefaultIP": …}
    GET  /services/dhcp/leases   /leases               {"10.0.2.100": "02:00:00:00:00:01"}
    GET  /stats   /cam                                 counters, with BytesSent and BytesReceived; link addresses and their ports

and of our own:

    GET  /flows            ?limit=N, ?watch=SECONDS    the flows; with `watch` again and again, a line of JSON each
    GET  /forwards                                     forwards with their numbers and counts
    POST /forwards                                     {"proto": "tcp", "forward": "2222:22"}, or "out": "5432" for the guest's side
    DELETE /forwards/N
    GET  /dhcp                                         leases with names, guests and times
    GET  /metrics                                      counters for Prometheus
    GET  /pcap             ?live=SECONDS               the frames of the last seconds, or those to come (0: until you hang up)
    GET  /trace            ?seconds=N, ?as=text        what our TCP does and why: a Chrome trace, or lines (0: until you hang up)
    GET  /policy                                       default, rules, denials
    POST /policy                                       {"allow": RULE}, {"deny": RULE} or {"remove": NUMBER}

What is wrong with a request is one sentence, and its status: 400 the request itself, 404 nothing there, 409 it can't be done now.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from ...address import Ip4
from ...errors import UsageError
from ...http.config import HttpConfig, HttpLimits
from ...http.serve.message import HttpError, Request, Response
from ...http.serve.server import HttpServer
from ...instant import MILLISECOND, Duration
from ..flow import Flow
from . import metrics
from .capture import Recorder
from .dhcp import DhcpService
from .dns import GuestDns
from .flowtable import MOST, snapshot
from .forwards import Forwards
from .names import PATTERN, LocalNames, LocalZone, ZoneRecord, canonical
from .tracing import traced
from .unixdoor import UnixStreams

BODY = 1 << 20  # a zone of 4096 records is a quarter of it
WATCHERS = 16  # streams at once: each is told of all flows, again and again
FASTEST = 0.1  # seconds between two of its lines
GRACE = Duration(200 * MILLISECOND)  # when the router ends: who watches would for ever

Route = Callable[[Request], Awaitable[Response]]


class Control:
    """What a router has is given; what it hasn't is 404. `cam()` gives link addresses and the numbers of their ports, `counters()`
    and `meanings()` what is counted; `policy` has `default`, `rules`, `denials()`, `allow`, `deny` and `remove`."""

    def __init__(
        self,
        net: Any,
        *,
        flows: Callable[[], Iterable[Flow]] = tuple,
        forwards: Forwards | None = None,
        dhcp: DhcpService | None = None,
        names: LocalNames | None = None,
        dns: GuestDns | None = None,
        recorder: Recorder | None = None,
        policy: Any = None,
        cam: Callable[[], Mapping[str, int]] | None = None,
        counters: Callable[[], Mapping[str, Mapping[str, int]]] | None = None,
        meanings: Callable[[], Mapping[str, Mapping[str, str]]] | None = None,
    ) -> None:
        self._net = net
        self._flows = flows
        self._forwards = forwards
        self._dhcp = dhcp
        self._names = names
        self._dns = dns
        self._recorder = recorder
        self._policy = policy
        self._cam = cam
        self._counters = counters or net.counters
        self._meanings = meanings or net.meanings
        self._watchers = 0
        self._exposed: dict[tuple[str, str], tuple[int, str]] = {}  # protocol and local, as they were said: number and remote
        self._door: UnixStreams | None = None
        self._server: HttpServer[UnixStreams] | None = None
        self._routes: dict[str, dict[str, Route]] = {
            "/": {"GET": self._index},
            "/services/forwarder/all": {"GET": self._all},
            "/services/forwarder/expose": {"POST": self._expose},
            "/services/forwarder/unexpose": {"POST": self._unexpose},
            "/services/dns/all": {"GET": self._zones},
            "/services/dns/add": {"POST": self._add_zone},
            "/services/dhcp/leases": {"GET": self._leases},
            "/leases": {"GET": self._leases},
            "/stats": {"GET": self._stats},
            "/cam": {"GET": self._show_cam},
            "/flows": {"GET": self._show_flows},
            "/forwards": {"GET": self._show_forwards, "POST": self._add_forward},
            "/dhcp": {"GET": self._show_dhcp},
            "/metrics": {"GET": self._metrics},
            "/pcap": {"GET": self._pcap},
            "/trace": {"GET": self._trace},
            "/policy": {"GET": self._show_policy, "POST": self._change_policy},
        }

    # -- the door -------------------------------------------------------------------------------------------------------------

    async def listen(self, path: str) -> None:
        """Raises UsageError, AddressInUse, OSError."""
        self._door = UnixStreams(path)
        config = HttpConfig(limits=HttpLimits(body=BODY))
        self._server = HttpServer(self._door, self, config=config)
        await self._server.listen()

    async def aclose(self) -> None:
        if self._server is not None and self._door is not None:
            await self._server.aclose(GRACE)
            await self._door.aclose()

    async def __call__(self, request: Request) -> Response:
        methods = self._routes.get(request.path)
        if methods is None and re.fullmatch(r"/forwards/[0-9]{1,9}", request.path, re.ASCII):
            methods = {"DELETE": self._remove_forward}
        if methods is None:
            raise HttpError(404, f"There is nothing at {request.path[:100]}: GET / says what there is.")
        route = methods.get(request.method) or (methods.get("GET") if request.method == "HEAD" else None)
        if route is None:
            allowed = ", ".join(methods)
            raise HttpError(405, f"{request.path} takes {allowed}.", {"allow": allowed})
        try:
            return await route(request)
        except UsageError as error:
            raise HttpError(400, _sentence(error)) from None
        except OSError as error:
            raise HttpError(409, _sentence(error)) from None

    async def _index(self, request: Request) -> Response:
        return Response.text("\n".join(f"{' '.join(methods):8} {path}" for path, methods in self._routes.items()) + "\n")

    # -- forwards -------------------------------------------------------------------------------------------------------------

    async def _all(self, request: Request) -> Response:
        known = {number: (protocol, local, remote) for (protocol, local), (number, remote) in self._exposed.items()}
        found = []
        for each in _there(self._forwards, "forwards").list():
            if each.direction == "in":
                guest = f"{each.guest_addr}:{each.guest_port}"
                said = (
                    ("unix", each.unix, f"tcp://{guest}")
                    if each.unix
                    else (each.proto, f"{each.host_addr}:{each.host_port}", guest)
                )
                protocol, local, remote = known.get(each.id, said)
                found.append({"local": local, "remote": remote, "protocol": protocol})
        return Response.json(sorted(found, key=lambda each: (each["local"], each["protocol"])))

    async def _expose(self, request: Request) -> Response:
        forwards = _there(self._forwards, "forwards")
        said = await _object(request, "local", "remote", "protocol")
        local, remote = _text(said, "local"), _text(said, "remote")
        protocol = _text(said, "protocol", "tcp") or "tcp"
        self._forget()
        if (protocol, local) in self._exposed:
            raise HttpError(409, f"{protocol} {local} is exposed already.")
        if protocol == "unix":
            if not remote.startswith("tcp://"):
                raise UsageError(f"{remote!r} can't be reached from a unix socket: write tcp://ADDRESS:PORT")
            guest, port = _endpoint(remote.removeprefix("tcp://").rstrip("/"), "remote")
            number = await forwards.add_unix(local, guest, port)
        elif protocol in ("tcp", "udp"):
            guest, port = _endpoint(remote, "remote")
            host, host_port = _endpoint(local, "local")
            number = await forwards.add(protocol, host, host_port, guest, port)
        else:
            raise UsageError(f"{protocol!r} can't be exposed: say tcp, udp or unix")
        self._exposed[protocol, local] = number, remote
        return Response()

    async def _unexpose(self, request: Request) -> Response:
        forwards = _there(self._forwards, "forwards")
        said = await _object(request, "local", "protocol")
        local, protocol = _text(said, "local"), _text(said, "protocol", "tcp") or "tcp"
        self._forget()
        found = self._exposed.pop((protocol, local), None)
        number = found[0] if found else self._like(protocol, local)
        if number is None:
            raise HttpError(404, f"{protocol} {local[:100]} is not exposed.")
        await forwards.remove(number)
        return Response()

    def _like(self, protocol: str, local: str) -> int | None:
        """A forward that was made in another way, at the start perhaps."""
        forwards: Forwards = _there(self._forwards, "forwards")
        for each in forwards.list():
            shown = each.unix if protocol == "unix" else f"{each.host_addr}:{each.host_port}"
            if each.direction == "in" and shown == local and (each.proto == protocol or (each.unix and protocol == "unix")):
                return each.id
        return None

    def _forget(self) -> None:
        """What was removed by its number."""
        there = {each.id for each in _there(self._forwards, "forwards").list()}
        self._exposed = {key: value for key, value in self._exposed.items() if value[0] in there}

    async def _show_forwards(self, request: Request) -> Response:
        return Response.json([each.as_dict() for each in _there(self._forwards, "forwards").list()])

    async def _add_forward(self, request: Request) -> Response:
        forwards = _there(self._forwards, "forwards")
        said = await _object(request, "proto", "forward", "out")
        proto = _text(said, "proto", "tcp")
        if ("forward" in said) == ("out" in said):
            raise UsageError('say what: "forward" towards the guest, or "out" from it')
        if "out" in said:
            numbers = forwards.add_out_spec(proto, _text(said, "out"))
        else:
            numbers = await forwards.add_spec(proto, _text(said, "forward"))
        return Response.json({"ids": numbers})

    async def _remove_forward(self, request: Request) -> Response:
        forwards, number = _there(self._forwards, "forwards"), int(request.path.rpartition("/")[2])
        if number not in {each.id for each in forwards.list()}:
            raise HttpError(404, f"There is no forward {number}.")
        await forwards.remove(number)
        return Response()

    # -- names and addresses --------------------------------------------------------------------------------------------------

    async def _zones(self, request: Request) -> Response:
        return Response.json(
            [
                {
                    "Name": f"{zone.name}.",
                    "Records": [
                        {"Name": each.name, "IP": str(each.address)}
                        | ({} if each.pattern is None else {"Regexp": each.pattern.pattern})
                        for each in zone.records
                    ],
                    "DefaultIP": "" if zone.default is None else str(zone.default),
                }
                for zone in _there(self._names, "names").zones.values()
            ]
        )

    async def _add_zone(self, request: Request) -> Response:
        names = _there(self._names, "names")
        said = await _object(request, "name", "records", "defaultip")
        rows = said.get("records") or []
        if not isinstance(rows, list):
            raise UsageError('"Records" must be a list')
        records = [_record(each) for each in rows]
        default = _text(said, "defaultip", "")
        names.add(LocalZone(canonical(_text(said, "name")), records, Ip4.parse(default) if default else None))
        return Response()

    async def _leases(self, request: Request) -> Response:
        return Response.json({str(each["address"]): each["mac"] for each in _there(self._dhcp, "leases").table()})

    async def _show_dhcp(self, request: Request) -> Response:
        return Response.json(_there(self._dhcp, "leases").table())

    # -- what happens ---------------------------------------------------------------------------------------------------------

    def _all_counters(self) -> dict[str, Mapping[str, int]]:
        found = dict(self._counters())
        if self._dhcp is not None:
            found["Dhcp"] = self._dhcp.core.mib.snapshot()
        if self._dns is not None:
            found |= {f"Dns{name}": values for name, values in self._dns.counters().items()}
        return found

    async def _stats(self, request: Request) -> Response:
        found: dict[str, object] = dict(self._all_counters())
        ip = self._net.counters().get("Ip", {})
        found |= {"BytesSent": ip.get("OutOctets", 0), "BytesReceived": ip.get("InOctets", 0)}
        return Response.json(found)

    async def _show_cam(self, request: Request) -> Response:
        if self._cam is not None:
            return Response.json(dict(self._cam()))
        arp = self._net.stack.arp
        return Response.json({} if arp is None else {str(each.mac): 0 for each in arp.table() if each.mac is not None})

    async def _metrics(self, request: Request) -> Response:
        meanings = dict(self._meanings())
        if self._dhcp is not None:
            meanings["Dhcp"] = self._dhcp.core.mib.MEANING
        if self._dns is not None:
            meanings |= {f"Dns{name}": values for name, values in self._dns.meanings().items()}
        kinds = snapshot(self._flows(), self._net.now(), 0)["kinds"]
        assert isinstance(kinds, dict)
        rows = [(dict(zip(("proto", "state"), kind.split(), strict=True)), count) for kind, count in kinds.items()]
        gauges: list[metrics.Gauge] = [("netstack_flows", "flows that are there", rows)]
        if self._dhcp is not None:
            gauges.append(("netstack_leases", "addresses that are leased", [({}, len(self._dhcp.table()))]))
        if self._forwards is not None:
            each = [({"id": str(one.id), "proto": one.proto}, one.open) for one in self._forwards.list() if one.direction == "in"]
            gauges.append(("netstack_forward_open", "connections and senders of a forward", each))
        return Response.text(metrics.text(self._all_counters(), meanings, gauges), content_type=metrics.CONTENT_TYPE)

    async def _show_flows(self, request: Request) -> Response:
        asked = _query(request, "limit", "watch")
        most = int(_number(asked, "limit", MOST, 0, MOST))
        if "watch" not in asked:
            return Response.json(snapshot(self._flows(), self._net.now(), most))
        every = _number(asked, "watch", 1, FASTEST, 3600)
        self._one_more()
        return Response(200, {"content-type": "application/x-ndjson", "cache-control": "no-store"}, self._watch(every, most))

    def _one_more(self) -> None:
        if self._watchers >= WATCHERS:
            raise HttpError(503, f"{WATCHERS} others watch already.")
        self._watchers += 1

    async def _watch(self, every: float, most: int) -> AsyncIterator[bytes]:
        try:
            while True:
                yield json.dumps(snapshot(self._flows(), self._net.now(), most), separators=(",", ":")).encode() + b"\n"
                await asyncio.sleep(every)
        finally:
            self._watchers -= 1

    async def _pcap(self, request: Request) -> Response:
        recorder = _there(self._recorder, "captures")
        asked = _query(request, "live")
        epoch = time.time_ns() - self._net.now()
        if "live" in asked:
            seconds = _number(asked, "live", 0, 0, 86400)
            self._one_more()
            pieces = self._until_left(recorder.live(epoch, seconds or None))
        else:
            pieces = recorder.recent(epoch)
        return Response(200, {"content-type": "application/x-pcapng", "cache-control": "no-store"}, pieces)

    async def _trace(self, request: Request) -> Response:
        asked = _query(request, "seconds", "as")
        seconds = _number(asked, "seconds", 10, 0, 86400)
        if asked.get("as", "json") not in ("json", "text"):
            raise UsageError("a trace is had as=json, for ui.perfetto.dev, or as=text")
        tracks = asked.get("as", "json") == "json"
        self._one_more()
        pieces = self._until_left(traced(self._net, seconds or None, tracks))
        kind = "application/json" if tracks else "text/plain; charset=utf-8"
        return Response(200, {"content-type": kind, "cache-control": "no-store"}, pieces)

    async def _until_left(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for piece in pieces:
                yield piece
        finally:
            self._watchers -= 1
            await pieces.aclose()  # type: ignore[attr-defined]  # a generator's

    # -- policy ---------------------------------------------------------------------------------------------------------------

    async def _show_policy(self, request: Request) -> Response:
        policy = _there(self._policy, "policy")
        denials = [str(each) for each in tuple(policy.denials())[-100:]]
        return Response.json({"default": policy.default, "rules": [str(rule) for rule in policy.rules], "denials": denials})

    async def _change_policy(self, request: Request) -> Response:
        policy = _there(self._policy, "policy")
        said = await _object(request, "allow", "deny", "remove")
        if len(said) != 1:
            raise UsageError('say one thing: "allow", "deny" or "remove"')
        if "remove" in said:
            number = said["remove"]
            if not isinstance(number, int) or not 0 <= number < len(policy.rules):
                raise UsageError(f"there is no rule {number!r}: they are numbered from 0 to {len(policy.rules) - 1}")
            policy.remove(policy.rules[number])
        elif "allow" in said:
            policy.allow(_text(said, "allow"))
        else:
            policy.deny(_text(said, "deny"))
        return Response()


# -- reading what was said ----------------------------------------------------------------------------------------------------


def _there(part: Any, what: str) -> Any:
    if part is None:
        raise HttpError(404, f"This router has no {what}.")
    return part


async def _object(request: Request, *keys: str) -> dict[str, Any]:
    """The body: a JSON object with some of these keys, in letters of either case, as Go reads them. Raises UsageError."""
    body = await request.body.read(BODY)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("the body must be JSON") from None
    if not isinstance(said, dict):
        raise UsageError("the body must be a JSON object")
    return _keys(said, *keys)


def _keys(said: dict[str, Any], *keys: str) -> dict[str, Any]:
    found = {key.lower(): value for key, value in said.items()}
    for key in found:
        if key not in keys:
            raise UsageError(f"{key[:40]!r} means nothing here: there are {', '.join(keys)}")
    return found


def _text(said: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = said.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise UsageError(f'"{key}" must be a text')
    return value


def _endpoint(text: str, key: str) -> tuple[str, int]:
    """`10.0.2.15:22`, `:22`, `[::1]:22`. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise UsageError(f'{text[:100]!r} is no address with a port: "{key}" is like 10.0.2.15:22, or :22')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _record(said: Any) -> ZoneRecord:
    if not isinstance(said, dict):
        raise UsageError('each of "Records" must be an object')
    row = _keys(said, "name", "ip", "regexp")
    address = Ip4.parse(_text(row, "ip"))
    pattern = _text(row, "regexp", "")
    if not pattern:
        name = _text(row, "name", "").lower()
        return ZoneRecord(address, canonical(name) if name else "")
    if len(pattern) > PATTERN:
        raise UsageError(f"a regular expression may have {PATTERN} characters, and not {len(pattern)}")
    try:
        return ZoneRecord(address, pattern=re.compile(pattern))
    except re.error as error:
        raise UsageError(f"{pattern!r} is no regular expression: {error}") from None


def _query(request: Request, *keys: str) -> dict[str, str]:
    try:
        asked = parse_qs(request.query or "", keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise UsageError("so much can't be asked for at once") from None
    for key in asked:
        if key not in keys:
            raise UsageError(f"{key[:40]!r} means nothing here: there are {', '.join(keys)}")
    return {key: values[-1] for key, values in asked.items()}


def _number(asked: Mapping[str, str], key: str, default: float, least: float, most: float) -> float:
    text = asked.get(key, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise UsageError(f"{key}={text[:40]}: it must be a number from {least:g} to {most:g}")
    return value


def _sentence(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return said[:1].upper() + said[1:] + ("" if said.endswith(".") else ".")
