"""What may be seen on a wire, whatever is done to it: looked at where each host sends and where segments reach it.

RCV.NXT and the right edge     what a host acknowledges never moves back, nor does the right edge of the window that it offers,
                               but for what a scaled window can't name (RFC 7323 2.4)
the peer's window              nothing is sent beyond the largest edge that the peer's segments have brought; a probe of one byte
                               and a FIN may go one further
no holes                       a host sends from within what it has sent, or just behind it
sizes                          no segment is larger than the peer's MSS option, its own options counted (RFC 6691)
storms                         `Watch.most` bounds all that is ever sent
"""

from __future__ import annotations

from model_wire import HEADER

from netstack import const
from netstack.tcp import const as tc

Options = tuple[int, int]  # MSS and window scale of a SYN; 0 and -1 where it has none


def syn_options(data: bytes) -> Options:
    mss, scale = 0, -1
    o, end = 20, data[12] >> 4 << 2
    while o < end and data[o]:
        if data[o] == 1:
            o += 1
            continue
        if data[o] == 2:
            mss = data[o + 2] << 8 | data[o + 3]
        elif data[o] == 3:
            scale = min(data[o + 2], 14)
        o += data[o + 1]
    return mss, scale


class Flow:
    """One host's side of one incarnation of a connection. Offsets count from the two initial sequence numbers."""

    __slots__ = ("ack_sent", "edge_heard", "edge_sent", "iss", "irs", "max_sent", "mss_heard", "own_scale", "scale_heard")

    def __init__(self, iss: int, own_scale: int) -> None:
        self.iss = iss
        self.irs = -1
        self.own_scale = own_scale
        self.max_sent = 1
        self.edge_heard = 0
        self.mss_heard = 0
        self.scale_heard = -1
        self.ack_sent = 0
        self.edge_sent = 0

    def shift(self) -> int:
        return self.own_scale if self.own_scale >= 0 and self.scale_heard >= 0 else 0

    def peer_shift(self) -> int:
        return self.scale_heard if self.own_scale >= 0 and self.scale_heard >= 0 else 0


class Watch:
    def __init__(self) -> None:
        self.flows: tuple[dict[int, Flow], dict[int, Flow]] = ({}, {})
        self.past: tuple[dict[int, list[Flow]], dict[int, list[Flow]]] = ({}, {})
        self.syns: tuple[dict[int, dict[int, tuple[Options, int]]], ...] = ({}, {})
        self.sent = [0, 0]  # segments; a super-segment counts as those it will be cut into
        self.resets = [0, 0]
        self.retransmitted = [0, 0]
        self.arrived = [0, 0]
        self.incarnations: dict[tuple[int, int], int] = {}
        self.tainted: set[tuple[int, int]] = set()  # ports at host 0 and host 1 between which a forger has guessed right
        self.unseen = [False, False]  # the host's own layers may have lost what it sent before anybody could see it
        self.most = 2000

    def taint(self, d: int, ports: int) -> None:
        """A segment to host `d` with this first word was forged with the right numbers."""
        there, here = ports >> 16, ports & const.M16
        self.tainted.add((here, there) if d == 0 else (there, here))

    def between(self, d: int, ports: int) -> tuple[int, int]:
        """The ports at host 0 and 1 of a segment that `d` sent."""
        return (ports >> 16, ports & const.M16) if d == 0 else (ports & const.M16, ports >> 16)

    # -- what a host sends ------------------------------------------------------------------------------------------------------

    def leaves(self, d: int, data: bytes, gso: int) -> None:
        sport, dport, seq, ack, offset_flags, wnd, _, _ = HEADER.unpack_from(data)
        hl = offset_flags >> 12 << 2
        flags = offset_flags & 0x3F
        n = len(data) - hl
        self.sent[d] += -(-n // gso) if gso else 1
        if self.sent[0] + self.sent[1] > self.most:
            raise AssertionError(f"a storm: {self.sent} segments sent, where {self.most} were the most that the work accounts for")
        if flags & const.RST:
            self.resets[d] += 1
            return
        ports = sport << 16 | dport
        flow = self.flows[d].get(ports)
        if flags & const.SYN:
            # a cookie is the same for each SYN of a minute or two, and the minute's last may be answered in the next
            if flow is None or flow.iss != seq or (flags & const.ACK and flow.ack_sent > 1):
                if flow is not None:
                    self.past[d].setdefault(ports, []).append(flow)
                flow = self.flows[d][ports] = Flow(seq, syn_options(data)[1])
                pair = self.between(d, ports)
                self.incarnations[pair] = self.incarnations.get(pair, 0) + 1
                if self.between(d, ports) in self.tainted:
                    flow.edge_heard = 1 << 40
            if flags & const.ACK and flow.own_scale >= 0:  # a SYN,ACK offers only what the SYN did, a SYN anything
                flow.own_scale = syn_options(data)[1]
        if flow is None and self.unseen[d]:
            return
        assert flow is not None, "a segment of a connection that has sent no SYN"
        if (sport, dport)[:: 1 if d == 0 else -1] in self.tainted:
            return
        if (seq - flow.iss) & const.M32 > flow.max_sent:
            for old in self.past[d].get(ports, ()):
                if (seq - old.iss) & const.M32 <= old.max_sent:
                    self.flows[d][ports] = flow = old
        if flags & const.ACK:
            self._acknowledges(flow, d, ports, ack, wnd, flags)
        off = (seq - flow.iss) & const.M32
        if off > const.M31:
            raise AssertionError(f"sequence number {off - (1 << 32)} before the first")
        size = gso or n
        end = off + n + (1 if flags & const.FIN else 0) + (1 if flags & const.SYN else 0)
        assert off <= flow.max_sent or self.unseen[d], f"a hole in what is sent: at {off}, after {flow.max_sent}"
        if end > flow.max_sent:
            flow.max_sent = end
        if n:
            assert size + hl - 20 <= max(flow.mss_heard or tc.DEFAULT_MSS, tc.MIN_MSS), f"{size} bytes, MSS {flow.mss_heard}"
            beyond = end - flow.edge_heard
            assert beyond <= 0 or (n <= 1 and beyond <= 2), f"{n} bytes up to {end}, where the peer took {flow.edge_heard}"

    def _acknowledges(self, flow: Flow, d: int, ports: int, ack: int, wnd: int, flags: int) -> None:
        if flow.irs < 0:
            self._meet(flow, d, ports, ack)
        at = (ack - flow.irs) & const.M32
        shift = 0 if flags & const.SYN else flow.shift()
        edge = at + (wnd << shift)
        assert at >= flow.ack_sent, f"acknowledged {at} after {flow.ack_sent}"
        if (
            not flags & const.SYN
        ):  # its window can't be scaled: a SYN,ACK that is sent again may offer less than an ACK before it did
            assert edge > flow.edge_sent - (1 << shift), f"the right edge went from {flow.edge_sent} to {edge}, scale {shift}"
        flow.ack_sent = at
        flow.edge_sent = max(edge, flow.edge_sent)

    def _meet(self, flow: Flow, d: int, ports: int, ack: int) -> None:
        """The first acknowledgement says which of the SYNs that came was believed."""
        known = self.syns[d].get(ports)
        assert known, "an acknowledgement without a SYN"
        flow.irs = min(known, key=lambda seq: (ack - seq) & const.M32)
        (flow.mss_heard, flow.scale_heard), wnd = known[flow.irs]
        flow.edge_heard = max(flow.edge_heard, 1 + wnd)

    # -- what reaches it --------------------------------------------------------------------------------------------------------

    def arrives(self, d: int, data: bytes) -> None:
        """A segment with a right checksum."""
        sport, dport, seq, ack, offset_flags, wnd, _, _ = HEADER.unpack_from(data)
        ports = dport << 16 | sport
        if offset_flags & const.SYN:
            self.syns[d].setdefault(ports, {})[seq] = syn_options(data), wnd
        flow = self.flows[d].get(ports)
        if flow is None or not offset_flags & const.ACK:
            return
        if flow.irs < 0:
            known = self.syns[d].get(ports)
            if not known:
                return
            self._meet(flow, d, ports, (seq + 1) & const.M32)
        at = (ack - flow.iss) & const.M32
        if at <= flow.max_sent:
            edge = at + (wnd if offset_flags & const.SYN else wnd << flow.peer_shift())
            if edge > flow.edge_heard:
                flow.edge_heard = edge
