"""Small worlds: a clock that jumps, a wire with faults, netifs around netifs. Shipped, for the tests of programs too.

    clock     VirtualClock: time passes only when everything due has been done
    net       World, Host, Endpoint: whole networks, by name
    topology  pair, star, chain, dumbbell, from_dict
    nodes     Link, Way: cables between two nodes; router: Router
    cord      Cord, End: two stacks of one process joined back to back, super-segments and all
    load      users of connections and ports that do one thing, for measurements
    wire      Wire, WirePort: any number of hosts on one segment in memory
    faults    Faults: what a bad cable does, as numbers drawn from a seed; line: Line, one direction of it at work
    netifs    Probe, Loopback; and around any netif: Capture, Trace, FaultInjector
    conformance  what streams and datagrams promise, as a suite for stacks of anybody's
    dissect   one line for a frame, in the manner of tcpdump
    streams   TCP connections out of a capture, with the bytes of both directions (netstack/captures)
    explore   the same test in thousands of worlds, and the smallest that fails (netstack/exploring)

Import from the modules: this one loads none of them. `streams`, `explore`, and what is said to it, are names of this one, too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..captures.streams import streams as streams
    from ..exploring.explore import explore as explore
    from ..exploring.schedule import Event as Event
    from ..exploring.schedule import Schedule as Schedule
    from ..exploring.storms import Storm as Storm
    from ..exploring.storms import Survey as Survey

_WHERE = {
    "streams": "captures.streams",
    "explore": "exploring.explore",
    **dict.fromkeys(("Event", "Schedule"), "exploring.schedule"),
    **dict.fromkeys(("Storm", "Survey"), "exploring.storms"),
}
__all__ = list(_WHERE)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'netstack.testing' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"netstack.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
