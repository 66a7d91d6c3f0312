"""ICMP errors about datagrams on their way (RFC 1812 4.3): as few as may be, and limited."""

from collections.abc import Callable

from .. import const, raw
from ..cores import Frame, IpCore, Out
from ..ipv4 import icmp_wire
from ..ipv4.mib import IcmpMib
from . import const as rc
from .ways import Egress, Port, Ways

QUOTE = 576 - 28  # RFC 1812 4.3.2.3


class Reports(Ways):
    """They are sent by the host's own internet layer, and share its bound (`bucket`)."""

    __slots__ = ("bucket", "icmp", "ip", "quoted")

    def __init__(self) -> None:
        super().__init__()
        self.icmp = IcmpMib()  # the host's own takes its place
        self.bucket: Callable[[int], bool] | None = None
        self.ip: IpCore = IpCore()
        self.quoted = Out()

    def report(self, port: Port, f: Frame, type: int, code: int, rest: int) -> None:
        """Tell the sender of `f`, which must be as it came."""
        n = f.end - f.l3
        self.complain(port, raw.take(f.buf, f.l3, QUOTE if n > QUOTE else n), f.src, type, code, rest, f.now)

    def complain(self, port: "Port | None", quote: bytes, to: int, type: int, code: int, rest: int, now: int) -> None:
        """An ICMP error to `to`, from our address on the port on which it came in (what traceroute shows); by the layer above."""
        m = self.mib
        if not self.may_complain(quote, to):
            m.OutErrorsForbidden += 1
            return
        if self.bucket is not None and not self.bucket(now):
            m.OutErrorsLimited += 1
            return
        p = self.quoted
        p.reset()
        p.off = p.l4 = const.HEADROOM - 8
        p.data = quote
        p.n = len(quote)
        p.src = 0 if port is None else self.address_for(port, to)
        p.dst = to
        p.proto = const.PROTO_ICMP
        p.tos = 0xC0  # RFC 1812 4.3.2.5: internetwork control
        icmp_wire.put_message(p.hdr, p.off, type, code, rest, quote, 0, p.n)
        self.icmp.OutMsgs += 1
        try:
            self.ip.send(p, now)
        except OSError:  # no way back: nobody to tell
            self.icmp.OutErrors += 1
            m.OutErrors += 1
            return
        finally:
            p.data = None
        if type == const.ICMP_UNREACHABLE:
            self.icmp.OutDestUnreachs += 1
        elif type == const.ICMP_TIME_EXCEEDED:
            self.icmp.OutTimeExcds += 1
        elif type == const.ICMP_PARAMETER_PROBLEM:
            self.icmp.OutParmProbs += 1
        else:
            m.OutRedirects += 1

    def may_complain(self, quote: bytes, to: int) -> bool:
        """RFC 1812 4.3.2.7: never about an error, a later fragment, or to somebody who is no single host."""
        top = to >> 24
        if top == 0 or top == 127 or top >= 224:
            return False
        e = self.way(to)
        if e.kind != rc.ONWARD or (quote[6] << 8 | quote[7]) & const.IP_OFFSET:
            return False
        if quote[9] != const.PROTO_ICMP:
            return True
        ihl = (quote[0] & 15) << 2
        return len(quote) > ihl and quote[ihl] in icmp_wire.QUERIES

    def address_for(self, port: Port, to: int) -> int:
        """Our address on the network of `to`, or the port's first; 0 where it has none."""
        for network, mask, address in port.addresses:
            if to & mask == network:
                return address
        return port.addresses[0][2] if port.addresses else 0

    def redirect(self, port: Port, f: Frame, e: Egress) -> None:
        """RFC 1812 5.2.7.2: back to the network it came from, so its sender could have gone there himself."""
        hop = e.next_hop or f.dst
        for network, mask, _ in port.addresses:
            if f.src & mask == network and hop & mask == network:
                self.report(port, f, const.ICMP_REDIRECT, 1, hop)
                return
