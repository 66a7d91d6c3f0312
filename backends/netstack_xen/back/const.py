"""Numbers of a netback that C arithmetic uses. A twin, never compiled: const.pxd holds the same names."""


MORE_SLOTS = 18  # behind the first one of a packet; with more it is refused, as Linux does
FATAL_SLOTS = 20  # behind the first one: whoever sends so many means harm
COPIES = 32  # slots after which a batch is copied: two super-segments, and what is copied is in the cache when it goes up
QUEUE_BYTES = 4194304  # of frames that wait for buffers, on each queue: a frontend that gives none costs no more
QUEUE_FRAMES = 4096  # the same for many small ones: each costs an object beside its bytes
GROUPS = 64  # multicast addresses that a frontend may ask for, as Linux has

ALGORITHM_NONE = 0
ALGORITHM_TOEPLITZ = 1

# what is hashed: numbers of the flags, and what an extra says
HASH_IPV4 = 0
HASH_IPV4_TCP = 1
HASH_IPV6 = 2
HASH_IPV6_TCP = 3

HEAD = 160  # bytes of a frame that are looked at
HEADERS = 58  # of Ethernet and IPv6, and the ports behind them
