"""Numbers of TCP that C arithmetic uses. A twin, as `netstack.const`: const.pxd holds the same names for C.

The states are plain ints for the loops; `state.py` has them as an enum for people, in the same order.
"""

CLOSED = 0
LISTEN = 1
SYN_SENT = 2
SYN_RECEIVED = 3
ESTABLISHED = 4  # from here on synchronized: RFC 9293 3.10.7.4 speaks of "these synchronized states"
FIN_WAIT_1 = 5
FIN_WAIT_2 = 6
CLOSE_WAIT = 7
CLOSING = 8
LAST_ACK = 9
TIME_WAIT = 10

HEADER = 20  # bytes without options (RFC 9293 3.1)
FLAGS = 0x3F  # the control bits of RFC 793; CWR and ECE are not looked at (no ECN)

# What a peer or a router may talk us down to. A segment of one byte costs 41 on the wire and a place in every queue: the
# floor is what makes "SACK panic" (CVE-2019-11479) harmless. Linux has 48 with options, FreeBSD 216 since.
MIN_MSS = 88
DEFAULT_MSS = 536  # RFC 9293 3.7.1: what IPv4 peers without the option are sent
MIN_MTU = 552  # RFC 5927 7 and Linux's min_pmtu: a "fragmentation needed" below it is a lie or a wreck, and ignored
TS_WORD = 0x0101080A  # NOP NOP TIMESTAMPS 10: how everybody lays the option out (RFC 7323 appendix A)
TS_SPACE = 12

IP_TCP = 40  # IPv4 and TCP headers without options: the MTU minus this is the MSS (RFC 9293 3.7.1)

DUPACKS = 3  # RFC 5681 3.2, and RFC 8985's DupThresh

# Where loss recovery stands. OPEN has RFC 5681's slow start and congestion avoidance in it, and reordering that is no loss yet
OPEN = 0
RECOVERY = 1  # fast recovery: PRR says what may leave
LOSS = 2  # after a time-out, until what was in flight then is acknowledged

# What t_rexmt is for
RTO = 0  # RFC 6298
PROBE = 1  # a tail loss probe, RFC 8985 7
REORDER = 2  # the end of a reordering window, RFC 8985 6.2
PERSIST = 3  # a shut window, RFC 9293 3.8.6.1

# Why something is sent again (recovery/history.py)
BY_RACK = 1
BY_DUPACKS = 2
BY_PARTIAL = 3
BY_RTO = 4
BY_PROBE = 5
BY_PMTU = 6
BY_RENEGING = 7
BY_SYN = 8

REO_PERSIST = 16  # recoveries for which a wider reordering window is kept (RFC 8985 6.2 step 4)
REO_MULT_MAX = 64  # quarters of the shortest round trip: the smoothed one bounds it long before
MOST_ACK_DELAY = 200_000_000  # ns: how long a lonely segment's ACK may be delayed (RFC 8985 7.2)
MIN_RTT_AGE = 300_000_000_000  # ns: a path may change, so the shortest round trip is forgotten (as Linux's tcp_min_rtt_wlen)
PIECE = 104  # what a piece costs besides its bytes: two objects and a slot. Pieces of one byte must not be cheap to have us keep
JOIN = 2048  # queues copy chunks together up to this size: two neighbours hold more, so bytes / 1024 bounds the chunks

DELAYED_ACK = 40_000_000  # ns. RFC 9293 3.8.6.3 allows 500 ms; Linux's floor is 40, and peers have been tuned to that
LULL = 200_000_000  # ns: whoever was silent for so long is not about to send a second segment (connection.py)
CHALLENGE_GAP = 500_000_000  # ns between two challenge ACKs of one connection, as Linux's tcp_invalid_ratelimit
VOUCH_GAP = 500_000_000  # ns: how often a connection says that its way works; below the second for which ARP then believes no other

# RFC 6298: 2.1; 5.7, a SYN had to be retransmitted, so the first guess was too short; 2.5 allows 60 s and more, Linux has 120
RTO_INITIAL = 1_000_000_000
RTO_AFTER_SYN_LOSS = 3_000_000_000
RTO_MAX = 120_000_000_000

ISS_TICK = 4000  # ns: the clock of RFC 9293 3.4.1
COOKIE_LIFE = 134_217_728_000  # ns: two periods of 2**24 ticks (cookies.py)

TS_TICK = 1_000_000  # ns: RFC 7323 5.4 allows 1 ms to 1 s
TS_STALE = 2_073_600_000_000_000  # ns: 24 days, less than half a turn of the fastest clock (RFC 7323 5.5)

# Buffers (tuning.py, budget.py)
RCV_START = 65536  # the receive window of a new connection: what 16 bits can say, and room for three round trips of slow start
RCV_LEAST = 2048  # no buffer is smaller: one segment of an Ethernet fits
SND_START = 262144  # unacknowledged bytes that a writer may have before the congestion window asks for more: four super-segments
TUNE_AFTER = 8192  # bytes received before a connection's reader is measured: an idle one, or one short request, is not worth it
LEAST = 2048  # bytes in each direction that a connection may hold though the budget is used up: 128 MiB for 65,536 of them

CWND_MAX = 1 << 30  # beyond any window that scaling can name (RFC 7323 2.3)
