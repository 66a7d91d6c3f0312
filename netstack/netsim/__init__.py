"""Test worlds: programs that know nothing of it, on hosts of their own, in virtual time, under any weather, from a seed.

    async def test_upload_survives_loss(netsim):                 the fixture of the pytest plug-in (plugin.py)
        server, client = netsim.host("server"), netsim.host("client")
        await server.run(app.serve, "0.0.0.0", 8080)             unchanged asyncio or trio code
        assert await client.run(upload, "server", 8080) == "ok"

    outcome = netstack.netsim.run(scenario, seed=7)              the same without pytest

    sim         Netsim: the world, its seed, its clock, and what befalls it
    host        SimHost: what runs on one host; Program: what was started there
    running     run, Outcome: a scenario from its beginning to its end
    arguments   what the mark and the keywords say, checked; shapes: topologies by a name
    onasyncio   programs of hosts on asyncio; ontrio: on trio
    times       time.time and its like, names, dice: what a program asks of the machine, answered by the world (substitutes.py)
    record      what passed on all wires: its digest, and captures of what failed
    doing       what the programs of each host were doing

Nothing is imported before it is used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .failures import HostCrashed as HostCrashed
    from .host import Program as Program
    from .host import SimHost as SimHost
    from .running import Outcome as Outcome
    from .running import run as run
    from .sim import Netsim as Netsim

_WHERE = {
    "HostCrashed": "failures",
    "Netsim": "sim",
    "Outcome": "running",
    "Program": "host",
    "SimHost": "host",
    "run": "running",
}
__all__ = ["HostCrashed", "Netsim", "Outcome", "Program", "SimHost", "run"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'netstack.netsim' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
