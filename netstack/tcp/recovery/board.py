"""The scoreboard: what is in flight, when it was sent, and what is known of its fate (RFC 6675 3, RFC 8985 5.1).

The flight is a list of *runs*, in order and without gaps from SND.UNA to SND.NXT. A run is a stretch of sequence numbers that left
at one instant, or nearly so, and has one fate: on its way, SACKed, or lost and waiting to be sent again. A batch of segments, or a
super-segment, is one run; what the peer says of its middle cuts it. So a lossless transfer keeps a handful of runs, whatever the
window, and each ACK takes the first off the list.

    pipe = flight - sacked - lost          what is still on the way, in bytes (RFC 6675 4)

A retransmission is its run again, with a new instant: it counts in `pipe`, and may be lost like any other.

The peer decides where runs are cut, so it could make the list long and every ACK a walk along it (CVE-2019-11478). `MOST_RUNS`
ends that: beyond it a SACK block is used only as far as it needs no new cut. An honest peer can need many: when slow start
overruns a queue, every second segment is lost of a whole window.
"""

from ... import raw, serial

MOST_RUNS = 4096  # 2048 holes at a time, as slow start leaves them in 6 MB of window. Walking all of them takes 10 us, compiled


class Run:
    """Sequence numbers from `seq` to `end`, a FIN's among them."""

    __slots__ = ("at", "delivered", "delivered_at", "end", "first_at", "lost", "resent", "sacked", "seq", "why")

    def __init__(self) -> None:
        # no arguments: there is one of these for each segment, and numbers in C cost more to pass than all the rest
        self.seq = 0
        self.end = 0
        self.at = 0  # when it last left
        self.sacked = False
        self.lost = False  # and not sent again since
        self.resent = False  # ever: whose ACK it is can't be told (Karn)
        self.why = 0  # what made it lost: tc.BY_…
        self.delivered = 0  # the connection's count when it left, the instant of that …
        self.delivered_at = 0
        self.first_at = 0  # … and when the flight began that it belongs to: for the delivery rate


class Board:
    """`begin` opens the news of one ACK; `cumulative` and `sack` tell it; then these hold what it brought, until the next `begin`:

    fresh      bytes newly delivered                  first_at   when the first of them left, if none had been sent twice; else -1
    marked     bytes newly marked lost                last_at    when the one sent last had left, if it had been sent once; else -1
    relost     of these, sent again before
    """

    __slots__ = (
        "ambiguous", "any_resent", "broken", "dup_bytes", "dupacks", "first_at", "fresh", "last_at", "lost", "marked",
        "prior_sacked", "relost", "runs", "sack_at", "sack_hits", "sacked", "sample",
    )  # fmt: skip

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.clear()

    def clear(self) -> None:
        if self.runs:
            self.runs.clear()
        self.sacked = 0
        self.lost = 0
        self.any_resent = False
        self.broken = False
        self.dupacks = 0  # of a peer without SACK, and …
        self.dup_bytes = 0  # … what they say has left the network
        self.sack_hits = 0  # ACKs that brought new SACKs since there were none
        self.begin()

    def begin(self) -> None:
        self.prior_sacked = self.sacked
        self.fresh = 0
        self.marked = 0
        self.relost = 0
        self.first_at = -1
        self.last_at = -1
        self.sack_at = -1
        self.ambiguous = False
        self.sample: Run | None = None

    def deliver(self, run: Run, end: int) -> None:
        """`run`, or its beginning up to `end`, has arrived (rack.py)."""
        raise NotImplementedError

    def pipe(self, flight: int) -> int:
        """Bytes on the way, of a flight of so many."""
        n = flight - self.sacked - self.lost - self.dup_bytes
        return n if n > 0 else 0

    # -- sending --------------------------------------------------------------------------------------------------------------

    def sent(self, seq: int, end: int, now: int, grain: int) -> Run:
        """New: `seq` to `end` leaves now. The run that it became part of: one that began to leave no more than `grain` before is
        the same, unless something was sent again in between, whose instant must not lie within it."""
        runs = self.runs
        if self.broken:
            self.broken = False
        elif runs:
            last = runs[-1]
            if not (last.sacked or last.lost or last.resent) and (now - last.at <= grain or len(runs) >= MOST_RUNS):
                last.end = end
                return last
        run = Run()
        run.seq = seq
        run.end = end
        run.at = now
        runs.append(run)
        return run

    def unsent(self, seq: int) -> None:
        """What was noted from `seq` on, at the end, has not left after all."""
        last = self.runs[-1]
        if last.seq == seq:
            del self.runs[-1]
        else:
            last.end = seq

    def resent(self, i: int, now: int) -> int:
        """The lost run at `i` leaves again, now. Where it is in the list: it may have joined the one before."""
        runs = self.runs
        run = runs[i]
        if run.lost:
            run.lost = False
            self.lost -= serial.sub(run.end, run.seq)
        run.resent = True
        run.at = now
        self.any_resent = True
        self.broken = True
        if i > 0:
            left = runs[i - 1]
            if left.resent and left.at == now and not left.lost and not left.sacked and left.delivered_at == run.delivered_at:
                left.end = run.end
                del runs[i]
                return i - 1
        return i

    def split(self, i: int, seq: int) -> None:
        """Cut the run at `i` in two, the second beginning at `seq`, which lies within."""
        left = self.runs[i]
        right = Run()
        right.seq = seq
        right.end = left.end
        right.at = left.at
        right.lost = left.lost
        right.sacked = left.sacked
        right.resent = left.resent
        right.why = left.why
        right.delivered = left.delivered
        right.delivered_at = left.delivered_at
        right.first_at = left.first_at
        left.end = seq
        self.runs.insert(i + 1, right)

    # -- what the peer says ---------------------------------------------------------------------------------------------------

    def cumulative(self, ack: int) -> None:
        """Everything before `ack` has arrived."""
        runs = self.runs
        i = 0
        while i < len(runs):
            run = runs[i]
            if not serial.lt(run.seq, ack):
                break
            end = run.end if serial.le(run.end, ack) else ack
            n = serial.sub(end, run.seq)
            if run.sacked:
                self.sacked -= n
            else:
                if run.lost:
                    self.lost -= n
                if run.resent:
                    self.ambiguous = True
                elif self.first_at < 0:
                    self.first_at = run.at
                self.fresh += n
                self.deliver(run, end)
            if end != run.end:
                run.seq = ack
                break
            i += 1
        if i:
            raw.behead(runs, i)
        if not self.sacked:
            self.sack_hits = 0
        if not runs:
            self.any_resent = False

    def sack(self, begin: int, end: int) -> bool:
        """`begin` to `end`, within the flight, is queued by the peer. False when there are too many runs to take it in."""
        runs = self.runs
        i = self.find(begin)
        while i < len(runs):
            run = runs[i]
            if not serial.lt(run.seq, end):
                break
            if run.sacked:
                i += 1
                continue
            if serial.lt(run.seq, begin) or serial.lt(end, run.end):
                if len(runs) >= MOST_RUNS:
                    return False
                if serial.lt(run.seq, begin):
                    self.split(i, begin)
                    i += 1
                    continue
                self.split(i, end)
            n = serial.sub(run.end, run.seq)
            if run.lost:
                run.lost = False
                self.lost -= n
            if not run.resent and self.sack_at < 0:
                self.sack_at = run.at
            self.fresh += n
            self.sacked += n
            run.sacked = True
            self.deliver(run, run.end)
            i = self.join(i) + 1
        if i < len(runs):
            self.join(i)
        return True

    def join(self, i: int) -> int:
        """Make one SACKed run of the one at `i` and the one before it, if both are. Where it is."""
        if i == 0:
            return i
        run = self.runs[i]
        left = self.runs[i - 1]
        if not (run.sacked and left.sacked):
            return i
        left.end = run.end
        del self.runs[i]
        return i - 1

    def find(self, seq: int) -> int:
        """The index of the run that holds `seq`, or else of the first behind it."""
        runs = self.runs
        low = 0
        high = len(runs)
        while low < high:
            middle = (low + high) >> 1
            run = runs[middle]
            if serial.le(run.end, seq):
                low = middle + 1
            else:
                high = middle
        return low

    # -- losses ---------------------------------------------------------------------------------------------------------------

    def lose(self, run: Run, why: int) -> None:
        """`run` is on its way no more."""
        n = serial.sub(run.end, run.seq)
        run.lost = True
        run.why = why
        self.lost += n
        self.marked += n
        if run.resent:
            self.relost += n

    def lose_all(self, why: int) -> None:
        """Everything that the peer has not SACKed. Neighbours become one run, to be cut anew."""
        runs = self.runs
        i = 0
        while i < len(runs):
            run = runs[i]
            if not run.sacked and not run.lost:
                self.lose(run, why)
            left = runs[i - 1] if i > 0 else run
            if run.lost and left.lost and left is not run:
                left.end = run.end
                left.resent = left.resent or run.resent
                del runs[i]
            else:
                i += 1

    def lose_head(self, mss: int, why: int) -> None:
        """The first segment, for a peer without SACK."""
        run = self.runs[0]
        if not run.lost:
            if serial.sub(run.end, run.seq) > mss:
                self.split(0, serial.add(run.seq, mss))
            self.lose(run, why)

    def head_is_fresh(self) -> bool:
        """Is there a first run, and has it been sent only once?"""
        if not self.runs:
            return False
        head = self.runs[0]
        return not head.resent

    def find_again(self) -> None:
        """Nothing was lost, after all."""
        for run in self.runs:
            run.lost = False
        self.lost = 0

    def renege(self) -> None:
        """The peer has discarded what it had SACKed, as it may (RFC 2018 8)."""
        for run in self.runs:
            run.sacked = False
        self.sacked = 0
        self.sack_hits = 0

    def resent_bytes(self) -> int:
        """Retransmissions on their way."""
        n = 0
        for run in self.runs:
            if run.resent and not run.sacked and not run.lost:
                n += serial.sub(run.end, run.seq)
        return n
