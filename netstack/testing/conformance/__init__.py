"""One suite for whoever carries streams or datagrams: what `signatures.StreamStack` and `DatagramStack` promise, as cases.

It passes on our own TCP and UDP, on a wire in memory and through the loopback, and on the kernel's sockets, under asyncio and
uvloop. A back end of yours is tested in a few lines, by pytest or unittest, without any plug-in:

    import contextlib
    from netstack.testing.conformance import DatagramStackSuite, Ends, StreamStackSuite, VerbSuite

    @contextlib.asynccontextmanager
    async def two():
        async with MyStack("one") as client, MyStack("two") as server:
            yield Ends(client, server, host="10.0.0.2")      # where the server is, for the client

    class TestMyStreams(StreamStackSuite):
        def ends(self):
            return two()

    class TestMyDatagrams(DatagramStackSuite):
        def ends(self):
            return two()

    class TestMyVerbs(VerbSuite): ...                       # where your streams have receive_into, receive_view, send_file …
    class TestMyRest(RestSuite): ...                        # where they have rest

`ends` is entered anew for each case. One stack that reaches itself will do: `Ends(net, net, "127.0.0.1")`. With
`silent=(host, port)`, where nobody answers, time-outs of connecting are tested too.

What a transport can't do is said by a flag of the class, `half_close = False`; the cases about it are then skipped, and its users
should know. The flags stand in `StreamSuiteBase` and `DatagramSuiteBase`, each with what it costs.

Cases run on asyncio's own loop; `runner = AsyncioRunner(uvloop.new_event_loop)` takes another, and `Runner` is the little that
something else than asyncio has to supply. A case fails, too, when a task is left at its end or something was told to the loop's
exception handler. With `pytest.register_assert_rewrite("netstack.testing.conformance")` before the import, pytest shows the
values in what failed. Dice are the same in each run.
"""

from .closing import Closing
from .datagrams import DatagramStackSuite as DatagramStackSuite
from .listening import Listening
from .resting import RestSuite as RestSuite
from .runner import AsyncioRunner as AsyncioRunner
from .runner import Cancelled as Cancelled
from .runner import Event as Event
from .runner import Job as Job
from .runner import Runner as Runner
from .runner import Tasks as Tasks
from .suite import DatagramSuiteBase as DatagramSuiteBase
from .suite import Ends as Ends
from .suite import StreamSuiteBase as StreamSuiteBase
from .transfers import Transfers
from .verbs import VerbSuite as VerbSuite
from .waiting import Waiting


class StreamStackSuite(Transfers, Closing, Waiting, Listening):
    """Any StreamStack. Supply `ends`, and set flags to False where they can't hold (see StreamSuiteBase)."""


__all__ = [
    "AsyncioRunner", "Cancelled", "DatagramStackSuite", "DatagramSuiteBase", "Ends", "Event", "Job", "RestSuite", "Runner",
    "StreamStackSuite", "StreamSuiteBase", "Tasks", "VerbSuite",
]  # fmt: skip
