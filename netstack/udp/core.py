"""UDP on the packet path (RFC 768, RFC 1122 4.1).

Who gets a datagram: the port that is connected to its sender; else the one that is bound to its destination; else the one that
is bound to any address. Broadcast and multicast go to everybody who could get them. The answer for the last sender is
remembered, since datagrams come in trains.
"""

import errno

from .. import const, raw
from ..cores import DatagramCatcher, DatagramUser, Frame, IpCore, IpError, Out, PacketSink
from ..errors import ClosedError, MessageTooLong, Refused, Unreachable, UsageError
from ..signatures import Ip
from .mib import UdpMib

PAYLOAD_MAX = 65535 - 20 - 8
SEGMENTS_MAX = 64  # datagrams in one unit: what every Linux takes (UDP_MAX_SEGMENTS was 64 before it was 128)
NOBODY = 1 << 40


class UdpPort:
    """A bound port. Made by `Udp.bind`; addresses and ports are ints.

    local       0 when it is bound to any address
    remote      0 when it is not connected
    """

    __slots__ = ("closed", "core", "groups", "local", "local_port", "quiet", "remote", "remote_port", "reuse", "user")

    def __init__(
        self, core: "UdpCore", local: int, local_port: int, remote: int, remote_port: int, user: DatagramUser, reuse: bool
    ) -> None:
        self.core = core
        self.local = local
        self.local_port = local_port
        self.remote = remote
        self.remote_port = remote_port
        self.user = user
        self.reuse = reuse
        self.groups: list[int] = []
        self.quiet = False  # what it sends to a group is not for this host (IP_MULTICAST_LOOP off)
        self.closed = False

    def send(
        self, data: bytes, address: int, port: int, now: int, ttl: int = 0, tos: int = 0, df: bool = False, source: int = 0
    ) -> None:
        """Send one datagram; 0 for `address` and `port` on a connected port means its peer, 0 for `ttl` the default. `source`:
        one of our addresses, for a port that is bound to all; 0: the one that leads there.

        Raises UsageError, ClosedError, Unreachable, MessageTooLong. `data` is not kept.
        """
        address, port = self.destination(address, port, ttl, tos)
        n = raw.size(data)
        if n > PAYLOAD_MAX:
            raise MessageTooLong(f"{n} bytes do not fit in a datagram: at most {PAYLOAD_MAX}", mtu=65535)
        self.core.transmit(self, data, 0, n, 0, address, port, now, ttl, tos, df, source)

    def send_many(
        self, data: bytes, size: int, address: int, port: int, now: int, ttl: int = 0, tos: int = 0, df: bool = False
    ) -> int:
        """Send `data` in datagrams of `size` bytes, the last one as short as it is: for a device one unit for each 64 KiB, which it
        cuts (UDP_SEGMENT of Linux). How many datagrams; none for no data. Otherwise as `send`; what was sent before an error is
        sent, and `MessageTooLong` comes before anything is.
        """
        address, port = self.destination(address, port, ttl, tos)
        n = raw.size(data)
        if not 0 < size <= PAYLOAD_MAX:
            raise UsageError(f"datagrams of {size} bytes can't be sent: choose a size from 1 to {PAYLOAD_MAX}")
        core = self.core
        unit = size
        if core.offload & const.OFFLOAD_USO and size + 28 <= core.ip.mtu_for(address, now):
            unit = min(PAYLOAD_MAX // size, SEGMENTS_MAX) * size
        o = 0
        while o < n:
            k = min(unit, n - o)
            core.transmit(self, data, o, k, size if k > size else 0, address, port, now, ttl, tos, df, 0)
            o += k
        return (n + size - 1) // size

    def answer(self, f: Frame, sport: int, data: "bytes | bytearray", n: int, now: int) -> None:
        """Send the first `n` bytes of `data` to where `f` came from, from the address that it was sent to: on a host that has
        several, who asked one would not know another. Raises as `send`."""
        if self.closed:
            raise ClosedError("this port was closed")
        if sport == 0:
            raise UsageError("0 is not a port to send to")
        self.core.transmit(self, data, 0, n, 0, f.src, sport, now, 0, 0, False, f.dst if f.cast == const.UNICAST else 0)

    def destination(self, address: int, port: int, ttl: int, tos: int) -> tuple[int, int]:
        """Where to send to, when all of that can be. Raises UsageError, ClosedError."""
        if self.closed:
            raise ClosedError("this port was closed")
        if address == 0 and port == 0:
            address = self.remote
            port = self.remote_port
        if not 0 < port < 65536:
            raise UsageError(f"{port} is not a port to send to: name an address and a port from 1 to 65535")
        if not 0 < address <= const.M32 or not 0 <= ttl <= 255 or not 0 <= tos <= 255:
            raise UsageError(f"address {address}, ttl {ttl} and tos {tos} must be an IPv4 address and two bytes")
        return address, port

    def join(self, group: int) -> None:
        """Receive what is sent to a multicast group; ends with `close` at the latest."""
        if self.closed:
            raise ClosedError("this port was closed")
        if group in self.groups:
            raise UsageError("this port is in that group already")
        self.core.ip.join(group)
        self.groups.append(int(group))

    def leave(self, group: int) -> None:
        if group not in self.groups:
            raise UsageError("this port is not in that group")
        self.groups.remove(group)
        self.core.ip.leave(group)

    def close(self) -> None:
        """Free the port, at once; closing twice is closing once."""
        if self.closed:
            return
        self.closed = True
        self.core.unbind(self)
        for group in self.groups:
            self.core.ip.leave(group)
        self.groups = []

    def takes(self, dst: int, src: int, sport: int) -> bool:
        """Would it take a broadcast or multicast to `dst`? A group only if it joined it, as RFC 1112 7.2 has it."""
        if self.local != 0 and self.local != dst:
            return False
        if self.remote != 0 and (self.remote != src or self.remote_port != sport):
            return False
        return dst >> 28 != 14 or dst in self.groups


class UdpCore(PacketSink):
    """The ports of a stack, and both directions through them."""

    __slots__ = (
        "below", "bound", "catcher", "closed", "connected", "dst0", "ip", "key0", "mib", "offload", "out", "port0", "ports",
    )  # fmt: skip

    def __init__(self, ip: Ip) -> None:
        self.ip = ip
        self.below: IpCore = ip.core
        self.offload = ip.offload  # it does not shrink once a transport is there
        self.mib = UdpMib()
        self.out = Out()
        self.ports: dict[int, list[UdpPort]] = {}  # port -> all that are bound to it
        self.bound: dict[int, UdpPort] = {}  # address << 16 | port, those without a peer, the last one bound
        self.connected: dict[tuple[int, int], UdpPort] = {}  # (peer << 32 | both ports, our address)
        self.catcher: DatagramCatcher | None = None
        self.forget()

    def forget(self) -> None:
        self.key0 = 0
        self.dst0 = NOBODY
        self.port0: UdpPort = None  # type: ignore[assignment]  # dst0 says whether it is there

    # -- the table --------------------------------------------------------------------------------------------------------

    def enter(self, u: UdpPort) -> None:
        self.ports.setdefault(u.local_port, []).append(u)
        if u.remote:
            self.connected[u.remote << 32 | u.remote_port << 16 | u.local_port, u.local] = u
        else:
            self.bound[u.local << 16 | u.local_port] = u
        self.forget()

    def unbind(self, u: UdpPort) -> None:
        mates = self.ports[u.local_port]
        mates.remove(u)
        if not mates:
            del self.ports[u.local_port]
        if u.remote:
            del self.connected[u.remote << 32 | u.remote_port << 16 | u.local_port, u.local]
        elif self.bound[u.local << 16 | u.local_port] is u:
            del self.bound[u.local << 16 | u.local_port]
            for mate in mates:  # those who share the address take over
                if not mate.remote and mate.local == u.local:
                    self.bound[u.local << 16 | u.local_port] = mate
        self.forget()

    def look_up(self, src: int, dst: int, sport: int, dport: int) -> "UdpPort | None":
        u: UdpPort | None = None
        if self.connected:
            key = src
            key = key << 32 | sport << 16 | dport
            u = self.connected.get((key, dst))
        if u is None:
            u = self.bound.get(dst << 16 | dport)
            if u is None and (self.catcher is None or self.ip.is_local(dst)):
                u = self.bound.get(dport)  # "all addresses" are our own ones, where somebody catches what is for others
        return u

    def catch(self, catcher: "DatagramCatcher | None") -> None:
        """Datagrams to one address that no port wants go to `catcher` from now on, and are not answered by an ICMP error; with
        `Ipv4Config.any_ip`, those for every address. Ports that are bound to all addresses keep to our own ones then. None: not
        any more. Raises UsageError when somebody catches already."""
        if catcher is not None and self.catcher is not None:
            raise UsageError("somebody catches the datagrams of this stack already: he must let go first")
        self.catcher = catcher
        self.forget()

    # -- in ---------------------------------------------------------------------------------------------------------------

    def input(self, f: Frame) -> None:
        m = self.mib
        b = f.buf
        o = f.off
        have = f.end - o
        if have < 8:
            m.InErrors += 1
            m.InTooShort += 1
            return
        sport, dport, length, check = raw.get_udp(b, o)
        if length < 8 or length > have:
            m.InErrors += 1
            m.InBadLength += 1
            return
        f.end = o + length
        # 0: the sender did not compute one, which RFC 768 allows
        if check != 0 and f.csum == const.CSUM_UNKNOWN and raw.csum(b, o, length, self.below.pseudo_in(f)) != const.M16:
            m.InErrors += 1
            m.InCsumErrors += 1
            return
        if f.cast != const.UNICAST:
            self.spread(f, sport, dport)
            return
        key = f.src
        key = key << 32 | sport << 16 | dport
        u = self.port0
        if key != self.key0 or f.dst != self.dst0:
            u = self.look_up(f.src, f.dst, sport, dport)  # type: ignore[assignment]  # None ends the method below
            if u is None:
                if self.catcher is not None:
                    m.InDatagrams += 1
                    f.off = o + 8
                    self.catcher.caught(f, sport, dport, f.now)
                    return
                m.NoPorts += 1
                self.below.unreachable(f, 3)
                return
            self.key0 = key
            self.dst0 = f.dst
            self.port0 = u
        f.off = o + 8
        self.hand_over(u, f, sport)

    def hand_over(self, u: UdpPort, f: Frame, sport: int) -> None:
        """What is in `f` to the port's user: one datagram, or many of one size that came as one (USO), the last one as long as it
        happens to be."""
        size = f.gso
        end = f.end
        if size == 0 or end - f.off <= size:
            self.mib.InDatagrams += 1
            u.user.datagram(f, sport, f.now)
            return
        o = f.off
        while o < end and not u.closed:
            f.off = o  # the user may have moved both
            o += size
            f.end = o if o < end else end
            self.mib.InDatagrams += 1
            u.user.datagram(f, sport, f.now)

    def spread(self, f: Frame, sport: int, dport: int) -> None:
        """Broadcast and multicast: to each port that wants it."""
        off = f.off + 8
        end = f.end
        found = False
        for u in list(self.ports.get(dport, ())):
            if u.takes(f.dst, f.src, sport) and not u.closed:
                found = True
                f.off = off  # each finds the frame as the first did
                f.end = end
                self.hand_over(u, f, sport)
        if not found:
            self.mib.IgnoredMulti += 1

    def flush(self, now: int) -> None:
        pass

    def error(self, e: IpError, now: int) -> None:
        """An ICMP error: told to the port that the quoted datagram came from."""
        quote = e.quote
        if len(quote) < 4:
            self.mib.InErrorsUnmatched += 1
            return
        sport = quote[0] << 8 | quote[1]
        dport = quote[2] << 8 | quote[3]
        u = self.look_up(e.dst, e.src, dport, sport)
        if u is None and self.catcher is not None:
            self.catcher.error(e, sport, dport, now)
            if e.believed:
                self.mib.InErrorsMatched += 1
                return
        if u is None:
            self.mib.InErrorsUnmatched += 1
            return
        self.mib.InErrorsMatched += 1
        e.believed = True
        u.user.error(exception_for(e), e.dst, dport, now)

    # -- out --------------------------------------------------------------------------------------------------------------

    def send_as(
        self, f: Frame, n: int, gso: int, local: int, local_port: int, address: int, port: int, now: int, ttl: int = 0, tos: int = 0
    ) -> bool:
        """Send the `n` bytes of `f` from `f.off` on in the name of `local`, whoever that is; with `gso` as datagrams of that size.
        False when it could not leave, which is counted. For catchers."""
        try:
            self.put(f.buf, f.off, n, gso, local, local_port, address, port, now, ttl, tos, False, False)
        except OSError:
            return False
        return True

    def transmit(
        self,
        u: UdpPort,
        data: "bytes | bytearray",
        o: int,
        n: int,
        gso: int,
        address: int,
        port: int,
        now: int,
        ttl: int,
        tos: int,
        df: bool,
        source: int,
    ) -> None:
        """Send `n` bytes of `data` from `o` as one datagram, or for the device to cut every `gso` bytes. `source`: 0, or the
        address that a port which is bound to all of them sends from."""
        if df and (gso or n) + 28 > self.ip.mtu_for(address, now):
            self.mib.SndbufErrors += 1
            mtu = self.ip.mtu_for(address, now)
            raise MessageTooLong(f"{n} bytes where the path carries {mtu - 28}", mtu=mtu)
        local = u.local
        if local >> 28 == 14 or local == const.M32 or local == 0:  # bound to a group: that is no source
            local = source
        self.put(data, o, n, gso, local, u.local_port, address, port, now, ttl, tos, df, u.quiet)

    def put(
        self,
        data: "bytes | bytearray",
        o: int,
        n: int,
        gso: int,
        local: int,
        local_port: int,
        address: int,
        port: int,
        now: int,
        ttl: int,
        tos: int,
        df: bool,
        quiet: bool,
    ) -> None:
        """A header before it, and down. `local` 0: the internet layer chooses."""
        p = self.out
        p.reset()
        p.data = data  # type: ignore[assignment]  # a bytearray is as good: who keeps it makes bytes of it
        p.o = o
        p.n = n
        p.gso = gso
        p.src = local
        p.dst = address
        p.proto = const.PROTO_UDP
        p.ttl = ttl
        p.tos = tos
        p.df = df
        p.quiet = quiet
        head = const.HEADROOM - 8
        try:
            s = self.below.pseudo_out(p, 8 + n)
            if self.offload & const.OFFLOAD_CSUM:
                raw.put_udp(p.hdr, head, local_port, port, 8 + n, s)
                p.csum_off = const.UDP_CHECKSUM
            else:
                s = raw.fold(s + local_port + port + 8 + n)
                if n:
                    s = raw.csum_of(data, o, n, s)
                # RFC 768: a checksum that computes to 0 is sent as all ones, since 0 says that there is none
                raw.put_udp(p.hdr, head, local_port, port, 8 + n, const.M16 if s == const.M16 else s ^ const.M16)
            p.off = head
            p.l4 = head
            self.below.send(p, now)
        except OSError:
            self.mib.SndbufErrors += 1
            raise
        finally:
            p.data = None
        self.mib.OutDatagrams += (n + gso - 1) // gso if gso else 1


def exception_for(e: IpError) -> Exception:
    """What an ICMP error means to whoever sent the datagram, as the errors of sockets (Linux's icmp_err_convert)."""
    if e.type == const.ICMP_TIME_EXCEEDED:
        return Unreachable("the datagram's time to live ended on the way")
    if e.type == const.ICMP_PARAMETER_PROBLEM:
        return Unreachable("a host on the way did not understand the header", errno.EPROTO)
    if e.code == 3:
        return Refused("nobody is bound to that port")
    if e.code == 4:
        return MessageTooLong(f"the path carries only {e.mtu} bytes", mtu=e.mtu)
    if e.code == 2:
        return Unreachable("the host does not speak UDP", errno.ENOPROTOOPT)
    if e.code in (0, 6, 9, 11):
        return Unreachable("no way to the network", errno.ENETUNREACH)
    return Unreachable("no way to the host")
