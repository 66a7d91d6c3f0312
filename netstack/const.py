"""Numbers that C arithmetic uses. A twin, never compiled: const.pxd holds the same names as C enumerators.

A module constant in compiled arithmetic is a Python object (24-45 ns each); an enumerator is free. `tests/unit/ground/
test_twins.py` compares the two files. Constants that nobody computes with stay beside their rule.
"""

M16 = 0xFFFF
M31 = 0x7FFFFFFF
M32 = 0xFFFFFFFF
M64 = 0xFFFFFFFFFFFFFFFF

TICK_SHIFT = 20  # a tick of the timer wheel is 2**20 ns, 1.05 ms

# a packet on its way down: headers grow towards lower offsets from the end of `Out.hdr`
HEADROOM = 160  # vnet_hdr 12 + Ethernet 14 + IPv4 with options 60 + TCP with options 60 = 146
BATCH = 64  # frames handed up for each wake-up: amortises one loop iteration (perf.md), bounds the time away from it
READS = 256  # frames read for each wake-up where runs of them are joined: they take as long as 10 frames of 64 KiB
LITTLE = 1024  # bytes of a frame that may be a message of its own; bulk comes in longer ones

# buffers.Pool. 256 slabs of 66 KiB are 16 MiB: four full batches of super-frames, and more than a last-level cache holds. As many
# may be lent: beyond, receivers copy out instead, so that a reader that never reads holds 16 MiB at most.
SLABS_FREE = 256
SLABS_LENT = 256
SLABS_LOOK = 16  # at lent slabs that are still in use, for each batch
# A view of fewer bytes than this is not worth a slab: it costs what copying 4 KiB does, and would keep 66 KiB from the pool.
LEND_LEAST = 8192

# Frame.cast: how the link addressed the frame (RFC 1122 3.2.2 forbids answers to all but the first)
UNICAST = 0
BROADCAST = 1
MULTICAST = 2

# Frame.csum: what is known of the transport checksum
CSUM_UNKNOWN = 0  # verify it
CSUM_GOOD = 1  # the device verified it, or it never crossed a wire
CSUM_PARTIAL = 2  # as good, and not done: the field holds the sum of the pseudo-header, for whoever passes it on

# offload flags of a device, handed up by link and internet layers
OFFLOAD_CSUM = 1  # the device completes a transport checksum from the pseudo-header sum
OFFLOAD_TSO4 = 2  # the device cuts TCP/IPv4 super-segments of up to 64 KiB
OFFLOAD_TSO6 = 4
OFFLOAD_TSO_ECN = 8  # super-segments whose first segment carries CWR, or all of them ECE (RFC 3168)
OFFLOAD_USO = 16  # UDP datagrams of one size in one unit of up to 64 KiB, IPv4 and IPv6
OFFLOAD_GATHER = 32  # it takes a payload in pieces (Out.rest)
GATHER = 64  # the most of them: a super-segment of pieces of a KiB. Linux takes 1024 in one writev

# gro.Gatherer.join: what became of a frame
GRO_APART = 0
GRO_JOINED = 1
GRO_LAST = 2

ETH_HEADER = 14
MAC_BROADCAST = 0xFFFFFFFFFFFF
MAC_IP4_GROUPS = 0x01005E000000  # and the low 23 bits of the group (RFC 1112 6.4)
ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD

# states of a neighbour (RFC 4861 7.3.2; PERMANENT and FAILED as in Linux)
NUD_INCOMPLETE = 0
NUD_REACHABLE = 1
NUD_STALE = 2
NUD_DELAY = 3
NUD_PROBE = 4
NUD_FAILED = 5
NUD_PERMANENT = 6
NUD_GONE = 7

# what the neighbour cache tells its caller to do
ARP_NOTHING = 0
ARP_SEND = 1  # send the packet to n.mac
ARP_PARK = 2  # keep the packet
ARP_ASK = 3  # keep the packet, if there is one, and ask everybody
ARP_VERIFY = 4  # ask the neighbour itself
ARP_RELEASE = 5  # send what waited
ARP_REFUSE = 6  # there is nobody: drop the packet
ARP_FAIL = 7  # drop all that waited
ARP_LOCKED = 8  # what was said is not believed

PROTO_ICMP = 1
PROTO_IGMP = 2
PROTO_TCP = 6
PROTO_UDP = 17

TCP_CHECKSUM = 16  # offset of the checksum in the header: Out.csum_off
UDP_CHECKSUM = 6

# ICMP message types (RFC 792): the error ones are those of cores.IpError
ICMP_ECHO_REPLY = 0
ICMP_UNREACHABLE = 3
ICMP_SOURCE_QUENCH = 4
ICMP_REDIRECT = 5
ICMP_ECHO = 8
ICMP_TIME_EXCEEDED = 11
ICMP_PARAMETER_PROBLEM = 12

DATAGRAM_OVERHEAD = 128  # what a waiting datagram costs beside its bytes: the bytes object, the tuple, its place in the queue

# IPv4 flags and fragment offset (RFC 791 3.1)
IP_DF = 0x4000
IP_MF = 0x2000
IP_OFFSET = 0x1FFF

# TCP control bits (RFC 9293 3.1)
FIN = 1
SYN = 2
RST = 4
PSH = 8
ACK = 16
URG = 32
ECE = 64
CWR = 128

# time, in nanoseconds
MICROSECOND = 1000
MILLISECOND = 1000000
SECOND = 1000000000
NEVER = 0x7FFFFFFFFFFFFFFF  # an Instant that does not come

# SipHash's first state: "somepseudorandomlygeneratedbytes"
SIP0 = 0x736F6D6570736575
SIP1 = 0x646F72616E646F6D
SIP2 = 0x6C7967656E657261
SIP3 = 0x7465646279746573
