"""Several guests on one link: a switch that learns, and believes nobody.

    guest a ── Port ─┐
    guest b ── Port ─┼─ SwitchCore ── the stack (a netif to it)
    guest c ── Port ─┘

**Who is who.** A link address belongs to the port that used it first, an internet address too, unless somebody who knows better
(the DHCP server, the command line) has said whose it is (`bind_mac`, `bind_ip`). What comes with an address of another port's,
of the router's, or of nobody's, is dropped and counted, in IPv4 headers and in ARP. So the source of a packet says which guest
it is from (`guest_of`), which is what policy goes by. What a guest may claim is bounded, and what it claims beyond costs it its
own oldest: it can't fill the table, nor have others forgotten. It can claim what nobody uses yet: bind what matters.

**Who hears what.** A unicast goes to the port of its address, and nowhere else: what nobody has used is dropped, since whoever
wants to be reached has answered an ARP request. Broadcasts and multicasts go to all, at most FLOOD_RATE a second from each
port: each costs as many frames as there are guests. What clients say to DHCP servers is for the router alone, and no guest can
be such a server, or it could make itself the others' gateway. With `isolate` guests reach the router and nobody else. IPv4 and
ARP pass, nothing else: what is not understood can't be checked.

**Units stay units.** A super-segment of up to 64 KiB is passed on as it came where the other device takes it, and cut where it
doesn't; a checksum that was left to the device is left to that one, or completed. Nothing is copied but headers.
"""

from ... import const, gso, raw
from ...cores import Frame, FrameSink, NetifCore, Out
from ...errors import UsageError
from ...gso import Cutter
from ...netif import SendOnly
from .mib import PortMib

MACS = 4  # link addresses of one guest: a bridge or a macvlan in it has a few
IPS = 16  # internet addresses of one guest
PORTS = 1024
FLOOD_RATE = 1000  # frames a second from one port to all others: ARP and mDNS of a lively guest are tens
FLOOD_BURST = 200
FLOOD_COST = const.SECOND // FLOOD_RATE  # in nanoseconds of credit
FLOOD_CREDIT = FLOOD_BURST * FLOOD_COST
OWN = 0x52550A000202  # of the stack: 52:55 and 10.0.2.2, as slirp has it
DHCP_SERVER = 67
OFFERS = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO | const.OFFLOAD_GATHER


class Port(FrameSink):
    """One guest's end of the switch."""

    __slots__ = (
        "core", "credit", "ips", "ip0", "mac0", "macs", "mib", "mtu", "name", "netif", "number", "offload", "seen", "switch",
    )  # fmt: skip

    def __init__(
        self, switch: "SwitchCore", number: int, name: str, netif: object, core: NetifCore, mtu: int, offload: int
    ) -> None:
        self.switch = switch
        self.number = number
        self.name = name
        self.netif = netif
        self.core = core
        self.mtu = mtu
        self.offload = offload
        self.mib = PortMib()
        self.macs: dict[int, bool] = {}  # in the order in which they were claimed; True: somebody said so
        self.ips: dict[int, bool] = {}
        self.mac0 = -1  # the last of each: most frames are from the address of the one before
        self.ip0 = -1
        self.credit = FLOOD_CREDIT
        self.seen = 0

    # -- from the guest -----------------------------------------------------------------------------------------------------

    def input(self, f: Frame) -> None:
        switch, mib = self.switch, self.mib
        mib.InFrames += 1
        n = f.end - f.off
        if n < const.ETH_HEADER:
            mib.InTooShort += 1
            return
        dst, src, ethertype = raw.get_eth(f.buf, f.off)
        if src != self.mac0 and not self.claim_mac(src):
            return
        if ethertype == const.ETH_IPV4:
            if n < const.ETH_HEADER + 20:
                mib.InTooShort += 1
                return
            ip = raw.g32(f.buf, f.off + 26)
            if ip != self.ip0 and not self.claim_ip(ip):
                return
        elif ethertype == const.ETH_ARP:
            if not self.honest_arp(f, n):
                return
        else:
            mib.InOtherType += 1
            return
        if dst == switch.own:
            switch.sink.input(f)
        elif dst >> 40 & 1:
            if ethertype != const.ETH_IPV4 or self.may_flood(f, n):
                self.flood(f)
            switch.sink.input(f)
        else:
            self.forward(f, dst, ethertype, n)

    def flush(self, now: int) -> None:
        self.switch.sink.flush(now)

    def claim_mac(self, mac: int) -> bool:
        """May this guest send from `mac`? The first to do so is the one who may."""
        switch = self.switch
        if mac in self.macs:
            self.mac0 = mac
            return True
        if mac >> 40 & 1 or mac == 0 or mac == switch.own or mac in switch.macs:
            self.mib.InSpoofedMac += 1
            return False
        return self.take_mac(mac, False)

    def take_mac(self, mac: int, sure: bool) -> bool:
        if len(self.macs) >= MACS:
            oldest = -1
            for each, said in self.macs.items():
                if not said:
                    oldest = each
                    break
            if oldest < 0:
                self.mib.InSpoofedMac += 1
                return False
            del self.macs[oldest]
            del self.switch.macs[oldest]
            self.mib.MacsForgotten += 1
        self.macs[mac] = sure
        self.switch.macs[mac] = self
        self.mac0 = mac
        return True

    def claim_ip(self, ip: int) -> bool:
        """May this guest send from `ip`? 0 is nobody yet: a client of DHCP, a probe of ARP."""
        switch = self.switch
        if ip == 0:
            return True
        if ip in self.ips:
            self.ip0 = ip
            return True
        if ip in switch.ips or ip in switch.reserved or ip >> 28 >= 0xE or ip >> 24 == 127 or ip >> 24 == 0:
            self.mib.InSpoofedIp += 1
            return False
        if ip & switch.mask != switch.network:
            self.mib.InForeignIp += 1
            return False
        if switch.mask and (ip == switch.network or ip | switch.mask == const.M32):  # the network itself, and all of it
            self.mib.InSpoofedIp += 1
            return False
        if switch.strict:
            self.mib.InSpoofedIp += 1
            return False
        return self.take_ip(ip, False)

    def take_ip(self, ip: int, sure: bool) -> bool:
        if len(self.ips) >= IPS:
            oldest = -1
            for each, said in self.ips.items():
                if not said:
                    oldest = each
                    break
            if oldest < 0:
                self.mib.InSpoofedIp += 1
                return False
            del self.ips[oldest]
            del self.switch.ips[oldest]
            self.mib.IpsForgotten += 1
        self.ips[ip] = sure
        self.switch.ips[ip] = self
        self.ip0 = ip
        return True

    def honest_arp(self, f: Frame, n: int) -> bool:
        """Does an ARP packet say of its own sender where he is? (RFC 826: hardware and protocol, then sender, then target)"""
        if n < const.ETH_HEADER + 28:
            self.mib.InTooShort += 1
            return False
        at = f.off + const.ETH_HEADER
        mac = raw.g16(f.buf, at + 8)
        mac = mac << 32 | raw.g32(f.buf, at + 10)
        if mac != self.mac0 and mac not in self.macs:
            self.mib.InSpoofedArp += 1
            return False
        ip = raw.g32(f.buf, at + 14)
        if ip != self.ip0 and not self.claim_ip(ip):
            self.mib.InSpoofedArp += 1
            return False
        return True

    def is_dhcp(self, f: Frame, n: int) -> int:
        """1 for what clients say to servers, 2 for what servers say: the ports of UDP over IPv4, else 0."""
        b = f.buf
        ip = f.off + const.ETH_HEADER
        l4 = ip + ((raw.g8(b, ip) & 15) << 2)
        if raw.g8(b, ip + 9) != const.PROTO_UDP or raw.g16(b, ip + 6) & const.IP_OFFSET or l4 + 4 > f.off + n:
            return 0
        if raw.g16(b, l4) == DHCP_SERVER:
            return 2
        return 1 if raw.g16(b, l4 + 2) == DHCP_SERVER else 0

    def may_flood(self, f: Frame, n: int) -> bool:
        kind = self.is_dhcp(f, n)
        if kind == 2:
            self.mib.InRogueDhcp += 1
        return kind == 0

    def flood(self, f: Frame) -> None:
        switch = self.switch
        if switch.isolate or len(switch.ports) < 2:
            return
        self.credit += f.now - self.seen
        self.seen = f.now
        if self.credit > FLOOD_CREDIT:
            self.credit = FLOOD_CREDIT
        if self.credit < FLOOD_COST:
            self.mib.InFloodLimited += 1
            return
        self.credit -= FLOOD_COST
        self.mib.InFlooded += 1
        for port in switch.ports:
            if port is not self:
                port.carry(f)

    def forward(self, f: Frame, dst: int, ethertype: int, n: int) -> None:
        port = self.switch.macs.get(dst)
        if port is None or port is self:
            self.mib.InUnknown += 1
        elif self.switch.isolate:
            self.mib.InIsolated += 1
        elif ethertype == const.ETH_IPV4 and self.is_dhcp(f, n) == 2:
            self.mib.InRogueDhcp += 1
        elif raw.g32(f.buf, f.off + 26) == 0 and ethertype == const.ETH_IPV4:  # to a neighbour, from nobody
            self.mib.InSpoofedIp += 1
        else:
            self.mib.InForwarded += 1
            port.carry(f)

    # -- to the guest -------------------------------------------------------------------------------------------------------

    def carry(self, f: Frame) -> None:
        """A frame of another guest's, as it came."""
        p = self.switch.out
        p.reset()
        if (f.csum == const.CSUM_PARTIAL or f.gso) and not self.lay_out(p, f):
            if f.gso:
                self.mib.OutRefused += 1
                return
            p.reset()
        if not p.csum_off:
            p.off = const.HEADROOM - const.ETH_HEADER  # the link header where everybody looks for it
            raw.move(p.hdr, p.off, f.buf, f.off, const.ETH_HEADER)
            p.data = f.buf  # type: ignore[assignment]  # during this call it is as good as bytes
            p.o = f.off + const.ETH_HEADER
            p.n = f.end - p.o
        self.deliver(p, f.now)
        p.data = None

    def lay_out(self, p: Out, f: Frame) -> bool:
        """The frame as a packet whose checksum, and cutting, is left to the device. False where it is no plain TCP or UDP."""
        b = f.buf
        ip = f.off + const.ETH_HEADER
        if f.end - ip < 20 or raw.g16(b, ip - 2) != const.ETH_IPV4 or raw.g8(b, ip) >> 4 != 4:
            return False
        ihl = (raw.g8(b, ip) & 15) << 2
        total = raw.g16(b, ip + 2)
        proto = raw.g8(b, ip + 9)
        l4 = ip + ihl
        if ihl < 20 or total > f.end - ip or total < ihl + 8 or raw.g16(b, ip + 6) & (const.IP_MF | const.IP_OFFSET):
            return False
        if proto == const.PROTO_TCP:
            if total < ihl + 20:
                return False
            hl = raw.g8(b, l4 + 12) >> 4 << 2
            csum_off = const.TCP_CHECKSUM
            if hl < 20:
                return False
        elif proto == const.PROTO_UDP:
            hl = 8
            csum_off = const.UDP_CHECKSUM
        else:
            return False
        length = total - ihl
        if hl > length:
            return False
        head = const.ETH_HEADER + ihl + hl
        p.off = const.HEADROOM - head
        p.l4 = const.HEADROOM - hl
        raw.move(p.hdr, p.off, b, f.off, head)
        raw.p16(p.hdr, p.l4 + csum_off, raw.csum(b, ip + 12, 8, proto + length))
        p.csum_off = csum_off
        p.gso = f.gso
        p.data = b  # type: ignore[assignment]  # as above
        p.o = l4 + hl
        p.n = length - hl
        return True

    def deliver(self, p: Out, now: int) -> None:
        """What the device is not asked for, since it doesn't offer it, is done here."""
        mib = self.mib
        if p.rest_n and not self.offload & const.OFFLOAD_GATHER:
            p.join()
        size = const.HEADROOM - p.off - const.ETH_HEADER
        size = size + (p.gso if p.gso else p.n + p.rest_n)
        if size > self.mtu:
            mib.OutTooLong += 1
            return
        try:
            if p.gso and not self.offload & (const.OFFLOAD_USO if p.csum_off == const.UDP_CHECKSUM else const.OFFLOAD_TSO4):
                self.cut(p, now)
                return
            if p.csum_off and not self.offload & const.OFFLOAD_CSUM:
                gso.complete(p)
            self.core.send(p, now)
            mib.OutFrames += 1
        except OSError:
            mib.OutRefused += 1

    def cut(self, p: Out, now: int) -> None:
        cutter = self.switch.cutter
        if not cutter.begin(p, const.ETH_HEADER):
            self.mib.OutRefused += 1
            return
        while cutter.next(p):
            if not self.offload & const.OFFLOAD_CSUM:
                gso.complete(p)
            self.core.send(p, now)
            self.mib.OutCut += 1
        self.mib.OutFrames += 1


class SwitchCore(NetifCore):
    """The ports, and what the stack sends through them."""

    __slots__ = ("cutter", "ips", "isolate", "macs", "mask", "network", "out", "own", "ports", "reserved", "sink", "strict")

    def __init__(self, own: int = OWN, network: int = 0, mask: int = 0, isolate: bool = False, strict: bool = False) -> None:
        """`own` is the stack's link address; guests' addresses are in `network`/`mask`, 0 for any.

        isolate   keep guests apart          strict   an internet address must have been given by `bind_ip`
        """
        self.own = own
        self.network = network
        self.mask = mask
        self.isolate = isolate
        self.strict = strict
        self.sink: FrameSink = SendOnly()
        self.ports: list[Port] = []
        self.macs: dict[int, Port] = {}
        self.ips: dict[int, Port] = {}
        self.reserved: set[int] = set()  # of the router's own: no guest has them
        self.out = Out()
        self.cutter = Cutter()

    def send(self, p: Out, now: int) -> None:
        if const.HEADROOM - p.off < const.ETH_HEADER:  # a whole frame in one piece, as tools send it
            self.lift(p)
        dst, _, _ = raw.get_eth(p.hdr, p.off)
        port = self.macs.get(dst)
        if port is not None:
            port.deliver(p, now)
        elif dst >> 40 & 1:
            self.spread(p, now)

    def lift(self, p: Out) -> None:
        frame = p.tobytes()
        p.reset()
        p.off = const.HEADROOM - const.ETH_HEADER
        raw.fill(p.hdr, p.off, frame, 0, const.ETH_HEADER)
        p.data = frame
        p.o = const.ETH_HEADER
        p.n = len(frame) - const.ETH_HEADER

    def spread(self, p: Out, now: int) -> None:
        """To every guest, each its own packet: a device may change what it sends."""
        q = self.out
        payload = p.payload()
        for port in self.ports:
            q.reset()
            q.off = p.off
            q.l4 = p.l4
            q.csum_off = p.csum_off
            q.gso = p.gso
            raw.move(q.hdr, q.off, p.hdr, p.off, const.HEADROOM - p.off)
            q.data = payload
            q.n = len(payload)
            port.deliver(q, now)
        q.data = None

    # -- who is who ---------------------------------------------------------------------------------------------------------

    def guest_of(self, ip: int) -> str:
        """The name of the guest whose address this is, "" where nobody has it."""
        port = self.ips.get(ip)
        return "" if port is None else port.name

    def guest_of_mac(self, mac: int) -> str:
        """The same for a link address."""
        port = self.macs.get(mac)
        return "" if port is None else port.name

    def there(self, name: str) -> bool:
        return any(port.name == name for port in self.ports)

    def port(self, name: str) -> Port:
        """Raises UsageError."""
        for port in self.ports:
            if port.name == name:
                return port
        names = ", ".join([port.name for port in self.ports]) or "nobody"
        raise UsageError(f"no guest is called {name!r}: there is {names}")

    def reserve(self, ip: int) -> None:
        """An address of the router's own: no guest may send from it."""
        owner = self.ips.pop(ip, None)
        if owner is not None:
            del owner.ips[ip]
            owner.ip0 = -1
        self.reserved.add(ip)

    def bind_ip(self, name: str, ip: int) -> None:
        """The address is this guest's from now on, whoever used it. Raises UsageError for one of the router's."""
        port = self.port(name)
        if ip in self.reserved:
            raise UsageError(f"{ip >> 24}.{ip >> 16 & 255}.{ip >> 8 & 255}.{ip & 255} is the router's own: give the guest another")
        owner = self.ips.get(ip)
        if owner is not None:
            del owner.ips[ip]
            del self.ips[ip]
            owner.ip0 = -1
        port.take_ip(ip, True)

    def release_ip(self, ip: int) -> None:
        """Nobody's any more."""
        owner = self.ips.pop(ip, None)
        if owner is not None:
            del owner.ips[ip]
            owner.ip0 = -1

    def bind_mac(self, name: str, mac: int) -> None:
        """The same for a link address."""
        port = self.port(name)
        if mac >> 40 & 1 or mac in (0, self.own):
            raise UsageError("a guest's link address is neither a group's, nor none, nor the router's: give another")
        owner = self.macs.get(mac)
        if owner is not None:
            del owner.macs[mac]
            del self.macs[mac]
            owner.mac0 = -1
        port.take_mac(mac, True)

    # -- guests come and go -------------------------------------------------------------------------------------------------

    def join(self, name: str, netif: object, core: NetifCore, mtu: int, offload: int) -> Port:
        """A port for `netif`, which is to be attached to it. Raises UsageError for a name that is taken, or too many."""
        if len(self.ports) >= PORTS:
            raise UsageError(f"{PORTS} guests are on this switch already: make a second router")
        if not name or any(port.name == name for port in self.ports):
            raise UsageError(f"{name!r} can't be the name of one more guest: give each one of its own, like a=tap:tap0 b=tap:tap1")
        number = 1 + max((port.number for port in self.ports), default=0)
        port = Port(self, number, name, netif, core, mtu, offload)
        self.ports.append(port)
        return port

    def leave(self, port: Port) -> None:
        """The guest is gone, and its addresses are anybody's."""
        if port in self.ports:
            self.ports.remove(port)
        for mac in port.macs:
            self.macs.pop(mac, None)
        for ip in port.ips:
            self.ips.pop(ip, None)
        port.macs.clear()
        port.ips.clear()
        port.mac0 = port.ip0 = -1
