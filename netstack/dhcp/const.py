"""Numbers of DHCP, as IANA's registry "BOOTP Vendor Extensions and DHCP Options" has them."""

from __future__ import annotations

import enum

SERVER_PORT = 67
CLIENT_PORT = 68
BOOTREQUEST = 1
BOOTREPLY = 2
ETHERNET = 1  # htype
COOKIE = b"\x63\x82\x53\x63"  # RFC 2131 3: what tells DHCP's options from BOOTP's vendor area
BROADCAST = 0x8000  # in flags: answer to everybody, since I can't receive what is addressed to me yet
FIXED = 236  # octets before the cookie
SMALLEST = 300  # BOOTP's message: relays and clients of that age drop what is shorter (RFC 1542 2.1)
DEFAULT_SIZE = 576  # of the whole datagram, which everybody must take who says nothing else (RFC 2131 2)
FOREVER = 0xFFFFFFFF  # a lease that never ends


class Kind(enum.IntEnum):
    """Option 53 (RFC 2132 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option(enum.IntEnum):
    """Those that are spoken here; the others pass as numbers."""

    PAD = 0
    MASK = 1
    ROUTER = 3
    DNS = 6
    HOSTNAME = 12
    DOMAIN = 15
    MTU = 26
    BROADCAST = 28
    NTP = 42
    REQUESTED = 50
    LEASE = 51
    OVERLOAD = 52
    KIND = 53
    SERVER = 54
    PARAMETERS = 55
    MESSAGE = 56
    MAX_SIZE = 57
    T1 = 58
    T2 = 59
    VENDOR_CLASS = 60
    CLIENT_ID = 61
    RAPID_COMMIT = 80  # RFC 4039
    FQDN = 81  # RFC 4702
    RELAY = 82  # RFC 3046
    SEARCH = 119  # RFC 3397
    ROUTES = 121  # RFC 3442
    MS_ROUTES = 249  # the same, for Windows before it knew 121
    END = 255
