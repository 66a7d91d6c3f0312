# The twin of const.py. Small numbers are enumerators; wide ones are macros with a type of their own, since one
# enumerator beyond int would make the arithmetic of all its neighbours unsigned and 64 bits wide.
cdef extern from *:
    """
    #define NETSTACK_M31 0x7FFFFFFFU
    #define NETSTACK_M32 0xFFFFFFFFU
    #define NETSTACK_M64 0xFFFFFFFFFFFFFFFFULL
    #define NETSTACK_MICROSECOND 1000LL
    #define NETSTACK_MILLISECOND 1000000LL
    #define NETSTACK_SECOND 1000000000LL
    #define NETSTACK_NEVER 0x7FFFFFFFFFFFFFFFLL
    #define NETSTACK_MAC_BROADCAST 0xFFFFFFFFFFFFULL
    #define NETSTACK_SIP0 0x736F6D6570736575ULL
    #define NETSTACK_SIP1 0x646F72616E646F6DULL
    #define NETSTACK_SIP2 0x6C7967656E657261ULL
    #define NETSTACK_SIP3 0x7465646279746573ULL
    #define NETSTACK_MAC_IP4_GROUPS 0x01005E000000ULL
    """
    const unsigned int M31 "NETSTACK_M31"
    const unsigned int M32 "NETSTACK_M32"
    const unsigned long long M64 "NETSTACK_M64"
    const long long MICROSECOND "NETSTACK_MICROSECOND"
    const long long MILLISECOND "NETSTACK_MILLISECOND"
    const long long SECOND "NETSTACK_SECOND"
    const long long NEVER "NETSTACK_NEVER"
    const unsigned long long MAC_BROADCAST "NETSTACK_MAC_BROADCAST"
    const unsigned long long SIP0 "NETSTACK_SIP0"
    const unsigned long long SIP1 "NETSTACK_SIP1"
    const unsigned long long SIP2 "NETSTACK_SIP2"
    const unsigned long long SIP3 "NETSTACK_SIP3"
    const unsigned long long MAC_IP4_GROUPS "NETSTACK_MAC_IP4_GROUPS"

cdef enum:
    M16 = 0xFFFF
    TICK_SHIFT = 20
    HEADROOM = 160
    BATCH = 64
    READS = 256
    LITTLE = 1024
    SLABS_FREE = 256
    SLABS_LENT = 256
    SLABS_LOOK = 16
    LEND_LEAST = 8192
    UNICAST = 0
    BROADCAST = 1
    MULTICAST = 2
    CSUM_UNKNOWN = 0
    CSUM_GOOD = 1
    CSUM_PARTIAL = 2
    OFFLOAD_CSUM = 1
    OFFLOAD_TSO4 = 2
    OFFLOAD_TSO6 = 4
    OFFLOAD_TSO_ECN = 8
    OFFLOAD_USO = 16
    OFFLOAD_GATHER = 32
    GATHER = 64
    GRO_APART = 0
    GRO_JOINED = 1
    GRO_LAST = 2
    ETH_HEADER = 14
    ETH_IPV4 = 0x0800
    ETH_ARP = 0x0806
    ETH_IPV6 = 0x86DD
    NUD_INCOMPLETE = 0
    NUD_REACHABLE = 1
    NUD_STALE = 2
    NUD_DELAY = 3
    NUD_PROBE = 4
    NUD_FAILED = 5
    NUD_PERMANENT = 6
    NUD_GONE = 7
    ARP_NOTHING = 0
    ARP_SEND = 1
    ARP_PARK = 2
    ARP_ASK = 3
    ARP_VERIFY = 4
    ARP_RELEASE = 5
    ARP_REFUSE = 6
    ARP_FAIL = 7
    ARP_LOCKED = 8
    PROTO_ICMP = 1
    PROTO_IGMP = 2
    PROTO_TCP = 6
    PROTO_UDP = 17
    TCP_CHECKSUM = 16
    UDP_CHECKSUM = 6
    ICMP_ECHO_REPLY = 0
    ICMP_UNREACHABLE = 3
    ICMP_SOURCE_QUENCH = 4
    ICMP_REDIRECT = 5
    ICMP_ECHO = 8
    ICMP_TIME_EXCEEDED = 11
    ICMP_PARAMETER_PROBLEM = 12
    DATAGRAM_OVERHEAD = 128
    IP_DF = 0x4000
    IP_MF = 0x2000
    IP_OFFSET = 0x1FFF
    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128
