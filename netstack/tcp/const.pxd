# The twin of const.py; wide numbers are macros with a type of their own, as in netstack/const.pxd.
cdef extern from *:
    """
    #define NETSTACK_TCP_DELAYED_ACK 40000000LL
    #define NETSTACK_TCP_CHALLENGE_GAP 500000000LL
    #define NETSTACK_TCP_VOUCH_GAP 500000000LL
    #define NETSTACK_TCP_RTO_INITIAL 1000000000LL
    #define NETSTACK_TCP_RTO_AFTER_SYN_LOSS 3000000000LL
    #define NETSTACK_TCP_RTO_MAX 120000000000LL
    #define NETSTACK_TCP_TS_TICK 1000000LL
    #define NETSTACK_TCP_TS_STALE 2073600000000000LL
    """
    const long long DELAYED_ACK "NETSTACK_TCP_DELAYED_ACK"
    const long long CHALLENGE_GAP "NETSTACK_TCP_CHALLENGE_GAP"
    const long long VOUCH_GAP "NETSTACK_TCP_VOUCH_GAP"
    const long long RTO_INITIAL "NETSTACK_TCP_RTO_INITIAL"
    const long long RTO_AFTER_SYN_LOSS "NETSTACK_TCP_RTO_AFTER_SYN_LOSS"
    const long long RTO_MAX "NETSTACK_TCP_RTO_MAX"
    const long long TS_TICK "NETSTACK_TCP_TS_TICK"
    const long long TS_STALE "NETSTACK_TCP_TS_STALE"

cdef enum:
    CLOSED = 0
    LISTEN = 1
    SYN_SENT = 2
    SYN_RECEIVED = 3
    ESTABLISHED = 4
    FIN_WAIT_1 = 5
    FIN_WAIT_2 = 6
    CLOSE_WAIT = 7
    CLOSING = 8
    LAST_ACK = 9
    TIME_WAIT = 10
    HEADER = 20
    FLAGS = 0x3F
    MIN_MSS = 88
    DEFAULT_MSS = 536
    MIN_MTU = 552
    IP_TCP = 40
    TS_WORD = 0x0101080A
    TS_SPACE = 12
    DUPACKS = 3
    JOIN = 2048
    CWND_MAX = 1073741824
