"""Small worlds: a clock that jumps, a wire with faults, netifs around netifs. Shipped, for the tests of programs too.

    clock   VirtualClock: time passes only when everything due has been done
    wire    Wire, WirePort: any number of hosts on one segment in memory
    faults  Faults, Line: what a bad cable does, as numbers drawn from a seed
    netifs  Probe, Loopback; and around any netif: Capture, Trace, FaultInjector
    dissect one line for a frame, in the manner of tcpdump

Import from the modules: this one loads none of them.
"""
