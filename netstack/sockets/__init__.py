"""Sockets: one non-blocking object on the stack, from which every socket-shaped face is made.

    Sockets            the sockets of one stack                             table.py
    Socket             what every socket is                                 base.py
    StreamSocket       TCP                                                  stream.py, end.py, listening.py, ports.py
    DatagramSocket     UDP                                                  datagram.py, datagramend.py
    options, control   by the kernel's own numbers                          const.py
    Inbox              what came and was not read: of streams, too          inbox.py

Nothing is imported from here: a program that only has streams needs `inbox` and not the rest. Nothing here waits, and nothing
knows of tasks, threads or descriptors: `runtime/` does.
"""
