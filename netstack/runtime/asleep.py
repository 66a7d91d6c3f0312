"""Do the threads of this process wait for something, or only for a processor?

Who says in which order threads are heard has to know: a thread that waits for another one may have to be passed over, one that the
machine has no time for must not be, or the order would be the machine's.
"""

import threading

WAITING = "S"  # proc(5): sleeping, interruptibly. R runs or would like to, D waits for a disk
LOOKS = 2  # in a row that must find them all waiting: one may fall between two locks
ENOUGH = 100  # after so many the order is the machine's: a thread that has nothing to do with it may compute for ever


class Asleep:
    """To be asked from time to time, as long as a thread that should be heard is not ready."""

    def __init__(self) -> None:
        self._quiet = 0
        self._looks = 0

    def again(self) -> None:
        """Somebody was heard: from the beginning."""
        self._quiet = self._looks = 0

    def look(self) -> bool:
        """Do all threads wait but this one? True where the system doesn't tell."""
        self._looks += 1
        me = threading.get_native_id()
        others = [thread.native_id for thread in threading.enumerate() if thread.native_id not in (me, None)]
        self._quiet = self._quiet + 1 if all(_state(number) == WAITING for number in others) else 0
        return self._quiet >= LOOKS or self._looks >= ENOUGH


def _state(thread: int | None) -> str:
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode()
    except OSError:  # it has ended, or there is no such folder
        return WAITING
