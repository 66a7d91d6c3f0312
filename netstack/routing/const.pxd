# The twin of const.py.
cdef enum:
    NOWHERE = 0
    ONWARD = 1
    OURS = 2
    EVERYBODY = 3
    ROUTED = 0
    INSIDE = 1
    OUTSIDE = 2
    OFF = 0
    LOOSE = 1
    STRICT = 2
    UP = 1
    DROP = 2
    NO_PORTS = -1
    ERROR = -2
    FOLLOWS = 1
    ALONE = 2
    ABOVE = 3
    LOST = 4
    IDLE = 0
    UNSURE = 1
    ASSURED = 2
    SYN_SENT = 1
    ESTABLISHED = 4
    LINK_LOCAL = 0xA9FE
    ONE_HOP = 0xFEFF
