"""Flows as operators read them."""

from attrs import frozen

from .. import const
from ..address import ip4_text
from .tcptrack import TcpState
from .track import Flow, Way

NAMES = {const.PROTO_ICMP: "icmp", const.PROTO_TCP: "tcp", const.PROTO_UDP: "udp"}


@frozen
class Side:
    """What one side's packets say: as they come in, and as they go out."""

    src: str
    src_port: int
    dst: str
    dst_port: int
    to_src: str
    to_src_port: int
    to_dst: str
    to_dst_port: int
    packets: int
    octets: int


@frozen
class FlowView:
    """`there` is the side that began. Instants are those of the stack's clock."""

    proto: str
    state: str
    assured: bool
    inbound: bool
    began: int
    last: int
    until: int
    there: Side
    back: Side

    def __str__(self) -> str:
        a = self.there
        state = f" {self.state}" if self.state else ""
        return (
            f"{self.proto}{state} {a.src}:{a.src_port} -> {a.dst}:{a.dst_port} as {a.to_src}:{a.to_src_port} -> "
            f"{a.to_dst}:{a.to_dst_port}, {a.octets} bytes there, {self.back.octets} back"
        )


def side(w: Way) -> Side:
    return Side(
        ip4_text(w.src),
        w.ports >> 16,
        ip4_text(w.dst),
        w.ports & const.M16,
        ip4_text(w.to_src),
        w.to_ports >> 16,
        ip4_text(w.to_dst),
        w.to_ports & const.M16,
        w.packets,
        w.octets,
    )


def view(f: Flow) -> FlowView:
    return FlowView(
        NAMES.get(f.proto, str(f.proto)),
        TcpState(f.state).name if f.state else "",
        f.ring == 2,
        f.inbound,
        f.began,
        f.last,
        f.last + f.timeout,
        side(f.there),
        side(f.there.reply),
    )
