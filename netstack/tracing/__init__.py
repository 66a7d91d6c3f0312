"""What a stack does, told while it does it: every segment and every change of state with its reason (`netstack.trace`).

    reading    a TCP segment out of a datagram's bytes
    flow       what is remembered of one connection, so that the next event can be compared with it
    reasons    why a segment was sent, what one that came has done
    watcher    looks at one stack: what it sees become events
    words      an event as a line of text
    perfetto   events as a Chrome trace: tracks, counters
    targets    where events go: a function, a stream, files of three kinds
    trace      `trace(...)`: whom to look at, and for how long
"""
