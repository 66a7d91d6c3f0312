"""Which packets are meant, in tcpdump's words, as far as they go: `host 10.0.0.1 and (tcp port 80 or not udp)`.

    ip ip6 arp icmp igmp tcp udp         protocols
    [src|dst] host A, net A/N, port N    addresses and ports of IPv4; ports of TCP and UDP
    and or not ( )                       `and` binds more closely than `or`; two words side by side mean `and`

A fragment that isn't the first has addresses and no ports.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..address import Cidr
from ..errors import UsageError
from ..pcap import Packet
from .links import IPV4, IPV6, READERS

_PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17}
_LINKS = {"ip": IPV4, "ip6": IPV6, "arp": 0x0806}
_WORDS = "ip, ip6, arp, icmp, igmp, tcp, udp, [src|dst] host A, net A/N, port N, and, or, not, ( )"
DEEPEST = 50  # brackets and nots: a person writes three


class Facts(NamedTuple):
    """What a filter knows of a packet; 0 and () where it has none."""

    ethertype: int
    proto: int
    addresses: tuple[int, ...]
    ports: tuple[int, ...]


Filter = Callable[[Facts], bool]


def facts(packet: Packet) -> Facts:
    """Total: any packet has some, or none."""
    reader = READERS.get(packet.interface.linktype)
    head = None if reader is None else reader(packet.data)
    if head is None:
        return Facts(0, 0, (), ())
    p, at = packet.data, head.offset
    if head.ethertype != IPV4 or len(p) < at + 20 or p[at] >> 4 != 4:
        return Facts(head.ethertype, 0, (), ())
    proto, l4 = p[at + 9], at + ((p[at] & 15) << 2)
    addresses = int.from_bytes(p[at + 12 : at + 16], "big"), int.from_bytes(p[at + 16 : at + 20], "big")
    ports: tuple[int, ...] = ()
    if proto in (6, 17) and not (p[at + 6] & 0x1F or p[at + 7]) and len(p) >= l4 + 4:
        ports = p[l4] << 8 | p[l4 + 1], p[l4 + 2] << 8 | p[l4 + 3]
    return Facts(IPV4, proto, addresses, ports)


def parse(words: Sequence[str]) -> Filter:
    """A filter from what was typed, in one argument or in several; none at all means every packet. Raises UsageError."""
    tokens = " ".join(words).replace("(", " ( ").replace(")", " ) ").split()
    if not tokens:
        return lambda facts: True
    parser = _Parser(tokens)
    found = parser.either(0)
    if parser.tokens:
        raise UsageError(f"nothing may follow {parser.tokens[0]!r} in a filter: the words are {_WORDS}")
    return found


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def either(self, depth: int) -> Filter:
        choices = [self.all_of(depth)]
        while self.tokens[:1] == ["or"]:
            del self.tokens[0]
            choices.append(self.all_of(depth))
        return choices[0] if len(choices) == 1 else lambda facts: any(choice(facts) for choice in choices)

    def all_of(self, depth: int) -> Filter:
        parts = [self.one(depth)]
        while self.tokens and self.tokens[0] not in ("or", ")"):
            if self.tokens[0] == "and":
                del self.tokens[0]
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else lambda facts: all(part(facts) for part in parts)

    def one(self, depth: int) -> Filter:
        word = self.take("a word")
        if depth > DEEPEST:
            raise UsageError(f"a filter of more than {DEEPEST} brackets and nots: write it more simply")
        if word == "not":
            inner = self.one(depth + 1)
            return lambda facts: not inner(facts)
        if word == "(":
            inner = self.either(depth + 1)
            if self.take("a )") != ")":
                raise UsageError("a ( in the filter has no )")
            return inner
        if word in _PROTOCOLS:
            proto = _PROTOCOLS[word]
            return lambda facts: facts.ethertype == IPV4 and facts.proto == proto
        if word in _LINKS:
            ethertype = _LINKS[word]
            return lambda facts: facts.ethertype == ethertype
        return self.place(word)

    def place(self, word: str) -> Filter:
        """`src host A`, `net A/N`, `dst port N`."""
        side = {"src": slice(0, 1), "dst": slice(1, 2)}.get(word)
        if side is not None:
            word = self.take("host, net or port")
        chosen = side or slice(0, 2)
        if word == "port":
            text = self.take("a number")
            if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536):
                raise UsageError(f"port {text} is not possible: write a number up to 65535")
            port = int(text)
            return lambda facts: port in facts.ports[chosen]
        if word not in ("host", "net"):
            raise UsageError(f"{word!r} is no word of a filter: they are {_WORDS}")
        text = self.take("an address")
        network = Cidr.parse(text if "/" in text else f"{text}/32")
        return lambda facts: any(address in network for address in facts.addresses[chosen])

    def take(self, wanted: str) -> str:
        if not self.tokens:
            raise UsageError(f"the filter ends where {wanted} should follow: the words are {_WORDS}")
        return self.tokens.pop(0)
