"""Numbers of the relay that C arithmetic uses. A twin, as `netstack.const`: const.pxd holds the same names for C."""

# epoll(7)
READ = 0x001
WRITE = 0x004
ERROR = 0x008
ENDING = 0x2018  # EPOLLRDHUP, EPOLLHUP, EPOLLERR
ALL = 0x80002005  # EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET

# the states of a relay
CONNECTING = 0
ACCEPTED = 1  # the guest has its SYN,ACK
OPEN = 2
OVER = 3

SLAB = 262144  # four super-segments in one read
ROOM = 65536  # a slab with less left is not read into any more
COPY = 16384  # less than this is copied out of its slab: a guest that acknowledges nothing must not hold 256 KiB by each of them
SHARE = 1048576  # bytes that one relay may read in a turn, while others wait
FIRST = 16384  # bytes that an inspector sees at the most: a TLS hello, or the head of a request
TICK = 20000000  # a purse is looked at each 20 ms

DSCP = 0xFC  # of a TOS byte: its class (RFC 2474); the rest is ECN, which each of two connections has for itself

DATAGRAM = 65536  # room for the longest
DATAGRAMS = 16  # that one socket may bring in a turn
EARLY = 8  # datagrams that wait for a decision: what a client sends before it has an answer
USED = 1000000000  # how exact the order of use is, ns

# what was decided about a session
WAITS = 0
PASSES = 1
DENIED_QUIETLY = 2
DENIED_ALOUD = 3
