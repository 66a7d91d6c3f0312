"""Numbers of the DNS that C arithmetic uses. A twin: const.pxd holds the same names for C. `numbers.py` has them for people."""

HEADER = 12  # octets (RFC 1035 4.1.1)
MAX_NAME = 255  # octets, the root's zero among them (RFC 1035 2.3.4)
MAX_POINTERS = 127  # in one name: it can't have more labels, and a pointer that leads to a pointer serves nobody
MAX_MESSAGE = 65535  # what the length before a message on a stream can say (RFC 1035 4.2.2)
MIN_PAYLOAD = 512  # RFC 1035 4.2.1; RFC 6891 6.2.3: smaller values count as this
MAX_TTL = 0x7FFFFFFF  # RFC 2181 8: a larger one counts as 0

QR = 0x8000
AA = 0x0400
TC = 0x0200
RD = 0x0100
RA = 0x0080
AD = 0x0020
CD = 0x0010
OPCODE = 0x7800
UPDATE = 5 << 11  # the opcode, where it stands
DO = 0x8000  # of the OPT record's flags (RFC 3225)

IN = 1
NONE_CLASS = 254
ANY_CLASS = 255

A = 1
NS = 2
CNAME = 5
SOA = 6
PTR = 12
MX = 15
AAAA = 28
OPT = 41
DS = 43
RRSIG = 46
NSEC = 47
DNSKEY = 48
NSEC3 = 50
NSEC3PARAM = 51
DNAME = 39
TSIG = 250
ANY = 255
NSID = 3  # options (RFC 5001, RFC 7873)
COOKIE = 10

# rcodes
NXDOMAIN = 3
BADCOOKIE = 23  # RFC 7873 8

# kinds of responses, as limits on their rates tell them apart, and what becomes of one (serve/limiter.py)
RESPONSES = 0
REFERRALS = 1
NODATA = 2
NXDOMAINS = 3
ERRORS = 4
ALL = 5
SEND = 0
DROP = 1
SLIP = 2
ACCOUNT = 16  # octets
ACCOUNTS = 64  # of a set of four

# what a server knows of its client by the cookie (serve/cookies.py)
STRANGER = 1
KNOWN = 2
COOKIE_OPTION = 28  # octets of the option in an answer: code, length, the client's 8, ours 16
COOKIE_LIFE = 3600  # seconds (RFC 9018 4.3)
COOKIE_RENEW = 1800
COOKIE_EARLY = 300
