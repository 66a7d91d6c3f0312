"""One line for a frame, in the manner of tcpdump: what it is, who says it to whom. Total: any bytes give a line."""

from ..address import ip4_text

_TCP_FLAGS = ((2, "S"), (1, "F"), (4, "R"), (8, "P"), (32, "U"), (64, "E"), (128, "W"), (16, "."))
_ICMP = {
    0: "echo reply",
    3: "unreachable",
    4: "source quench",
    5: "redirect",
    8: "echo request",
    11: "time exceeded",
    12: "bad parameter",
}
_UNREACHABLE = {0: "net", 1: "host", 2: "protocol", 3: "port", 4: "need to frag", 13: "prohibited"}


def describe(frame: bytes, ethernet: bool = True, length: int = -1) -> str:
    """`"IP 10.0.0.1.80 > 10.0.0.2.1024: Flags [S.], seq 1, ack 2, win 65535, length 0"`.

    `frame` may be only the beginning of one of `length` bytes; lengths in the line come from the headers.
    """
    size = len(frame) if length < 0 else length
    if not ethernet:
        return _datagram(frame, size)
    if len(frame) < 14:
        return f"a frame of {size} bytes, too short for Ethernet"
    kind = frame[12] << 8 | frame[13]
    if kind == 0x0806:
        return _arp(frame[14:])
    if kind in (0x0800, 0x86DD):
        return _datagram(frame[14:], size - 14)
    return f"{frame[6:12].hex(':')} > {frame[:6].hex(':')}, ethertype 0x{kind:04x}, length {size}"


def _word(b: bytes, o: int) -> int:
    return int.from_bytes(b[o : o + 2], "big")


def _long(b: bytes, o: int) -> int:
    return int.from_bytes(b[o : o + 4], "big")


def _arp(p: bytes) -> str:
    if len(p) < 28 or p[:6] != b"\0\1\x08\0\6\4":
        return f"ARP, not of Ethernet and IPv4, length {len(p)}"
    operation, sender, target = _word(p, 6), ip4_text(_long(p, 14)), ip4_text(_long(p, 24))
    if operation == 1:
        who = "" if sender == "0.0.0.0" else f" tell {sender}"
        return f"ARP who has {target}?{who}" if sender != target else f"ARP announcement of {sender} at {p[8:14].hex(':')}"
    if operation == 2:
        return f"ARP {sender} is at {p[8:14].hex(':')}"
    return f"ARP operation {operation}"


def _datagram(p: bytes, size: int) -> str:
    version = p[0] >> 4 if p else 0
    if version == 6 and len(p) >= 40:
        ends = f"{_ip6(p[8:24])} > {_ip6(p[24:40])}"
        return f"IP6 {ends}: next header {p[6]}, length {_word(p, 4)}"
    header = (p[0] & 15) * 4 if p else 0
    if version != 4 or header < 20 or len(p) < header:
        return f"a datagram of {size} bytes, too short or of no known version"
    source, destination = ip4_text(_long(p, 12)), ip4_text(_long(p, 16))
    total, fragment = _word(p, 2), _word(p, 6)
    payload, length = p[header:], max(total - header, 0)
    if fragment & 0x1FFF:
        return (
            f"IP {source} > {destination}: fragment of id {_word(p, 4)} at {(fragment & 0x1FFF) * 8}, proto {p[9]}, length {length}"
        )
    more = ", more fragments" if fragment & 0x2000 else ""
    if p[9] == 6 and len(payload) >= 20:
        return f"IP {source}.{_word(payload, 0)} > {destination}.{_word(payload, 2)}: {_tcp(payload, length)}{more}"
    if p[9] == 17 and len(payload) >= 8:
        return f"IP {source}.{_word(payload, 0)} > {destination}.{_word(payload, 2)}: UDP, length {_word(payload, 4) - 8}{more}"
    if p[9] == 1 and len(payload) >= 8:
        return f"IP {source} > {destination}: ICMP {_icmp(payload)}, length {length}{more}"
    return f"IP {source} > {destination}: proto {p[9]}, length {length}{more}"


def _ip6(address: bytes) -> str:
    # no zeros are shortened: this is a trace, not an address for people to type
    return ":".join(f"{_word(address, o):x}" for o in range(0, 16, 2))


def _icmp(p: bytes) -> str:
    kind, code = p[0], p[1]
    if kind in (0, 8):
        return f"{_ICMP[kind]}, id {_word(p, 4)}, seq {_word(p, 6)}"
    if kind == 3:
        return f"unreachable, {_UNREACHABLE.get(code, f'code {code}')}" + (f", mtu {_word(p, 6)}" if code == 4 else "")
    return f"{_ICMP.get(kind, f'type {kind}')}, code {code}"


def _tcp(p: bytes, length: int) -> str:
    header, flags = (p[12] >> 4) * 4, p[13]
    shown = "".join(letter for bit, letter in _TCP_FLAGS if flags & bit) or "none"
    data = max(length - header, 0)
    seq = _long(p, 4)
    parts = [f"Flags [{shown}]", f"seq {seq}:{(seq + data) & 0xFFFFFFFF}" if data else f"seq {seq}"]
    if flags & 16:
        parts.append(f"ack {_long(p, 8)}")
    parts.append(f"win {_word(p, 14)}")
    options = _tcp_options(p[20:header])
    if options:
        parts.append(f"options [{', '.join(options)}]")
    parts.append(f"length {data}")
    return ", ".join(parts)


def _tcp_options(p: bytes) -> list[str]:
    shown = []
    at = 0
    while at < len(p) and p[at] != 0:
        if p[at] == 1:
            at += 1
            continue
        kind, size = p[at], p[at + 1] if at + 1 < len(p) else 0
        if size < 2 or at + size > len(p):
            shown.append("cut off")
            break
        value = p[at + 2 : at + size]
        if (kind, size) == (2, 4):
            shown.append(f"mss {_word(value, 0)}")
        elif (kind, size) == (3, 3):
            shown.append(f"wscale {value[0]}")
        elif (kind, size) == (4, 2):
            shown.append("sackOK")
        elif kind == 5 and size % 8 == 2:
            shown.append("sack " + " ".join(f"{_long(value, o)}:{_long(value, o + 4)}" for o in range(0, len(value), 8)))
        elif (kind, size) == (8, 10):
            shown.append(f"TS val {_long(value, 0)} ecr {_long(value, 4)}")
        else:
            shown.append(f"option {kind}")
        at += size
    return shown
