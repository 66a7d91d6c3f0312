"""Sockets of the stack for threads: calls that wait.

    stacksocket    an object like socket.socket, with nothing of the kernel's behind it
    blocking       what makes them: of a net on a loop, or of one with a thread of its own
    owner, helm    who may touch a stack, and who turns it while its loop stands
    mirror         a descriptor that is ready when the socket is, for select and its like
    patch          `socket.socket` in their place, for programs that can't be told
"""
