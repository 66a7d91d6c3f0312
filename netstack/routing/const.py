"""Numbers of the forwarding plane that C compares with. A twin, never compiled: const.pxd holds the same names."""

# Egress.kind: what an address is to this router
NOWHERE = 0
ONWARD = 1
OURS = 2
EVERYBODY = 3  # a broadcast address of one of our networks

# Port.role
ROUTED = 0
INSIDE = 1
OUTSIDE = 2

# Ways.reverse_path
OFF = 0
LOOSE = 1
STRICT = 2

# Nat.verdict, about what begins no flow
UP = 1  # for this host itself
DROP = 2  # counted already

# Plane.endpoints, where there are none
NO_PORTS = -1  # too short to tell
ERROR = -2  # an ICMP error, which belongs to the flow that it quotes

# Piece.verdict: what became of a first fragment
FOLLOWS = 1  # it was translated
ALONE = 2  # it was routed, as each of them is
ABOVE = 3
LOST = 4

# Flow.ring: in which list of its host
IDLE = 0
UNSURE = 1
ASSURED = 2

# Flow.state, as tcptrack.TcpState
SYN_SENT = 1
ESTABLISHED = 4

LINK_LOCAL = 0xA9FE  # 169.254/16
ONE_HOP = 0xFEFF  # what one less of TTL adds to a ones'-complement sum: it is the upper half of its word
