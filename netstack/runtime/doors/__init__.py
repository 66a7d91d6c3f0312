"""Ways between a net and the host that it runs on, for programs that can't be entered.

    forward        a port here is a port there, TCP and UDP, either way         ends: how they are written
    socks          a proxy into the net: SOCKS5 and HTTP CONNECT                sockswire: its codec
    dialfd         a descriptor of the kernel's that leads into the stack
    joint          two ends that pass on to each other, of either kind          hostside: the host's end; lookup: names
"""
