"""What our host did, held against what it did when it was captured."""

from __future__ import annotations

from ..address import ip4_text
from .compare import Comparison
from .exchange import DatagramPlay
from .player import Player
from .report import Mismatch, Report, of_bytes
from .talk import TcpPlay


def report_of(player: Player, comparison: Comparison, rearranged: bool) -> Report:
    """The whole report: connections in the order of the capture, and then what it doesn't have."""
    mismatches: list[Mismatch] = []
    notes = list(player.script.notes)
    plays = player.plays()
    for play in plays:
        if isinstance(play, TcpPlay):
            mismatches += of_connection(play, comparison, rearranged)
        else:
            mismatches += of_datagrams(play, comparison)
    mismatches += player.strange
    if player.timed_out:
        text = f"the deadline has come, with {player.unfinished} packets of the capture still to go"
        mismatches.append(Mismatch("deadline", ip4_text(player.script.host), text))
    return Report(
        mismatches,
        notes,
        connections=sum(isinstance(play, TcpPlay) for play in plays),
        exchanges=sum(isinstance(play, DatagramPlay) for play in plays),
        packets=player.packets,
        duration=player.ended - player.started,
        played=[play.played() for play in plays if isinstance(play, TcpPlay)],
    )


def of_connection(play: TcpPlay, comparison: Comparison, rearranged: bool) -> list[Mismatch]:
    talk, where = play.talk, play.talk.name
    first = talk.steps[0].number
    if play.host_isn is None:
        if not talk.peer_opens:
            text = f"our host never opens this connection, which it does in packet {first}"
            return [Mismatch("never opened", where, text, packet=first)]
        if not talk.was_accepted:
            return []
        what = "refuses" if play.reset else "does not answer"
        text = f"our host {what} this connection, which begins in packet {first}"
        return [Mismatch("refused", where, text, packet=first)]
    if talk.refused:
        text = f"our host accepts this connection, which it refuses in packet {talk.our_rst}"
        return [Mismatch("accepted", where, text, packet=talk.our_rst)]
    found: list[Mismatch] = []
    expected, sent = talk.from_us.data, bytes(play.heard)
    if talk.from_us.end > len(expected):
        sent = sent[: len(expected)]  # the capture lacks what comes here
    difference = comparison.first(expected, sent)
    if difference is not None:
        packet = talk.from_us.packet(difference.expected_offset)
        crossed = talk.their_rst is not None and packet is not None and packet > talk.their_rst  # a reset on its way to us
        if difference.kind != "missing" or not crossed:
            found.append(of_bytes(where, difference, packet))
    found += _ending(play)
    if play.taken is not None:
        found += _received(play, rearranged)
    elif not play.ended and 0 <= play.acked < min(play.sent, talk.to_us.end):
        text = f"our host takes {play.acked} bytes and no more, where the peer sends {talk.to_us.end}"
        found.append(Mismatch("stuck", where, text, packet=talk.to_us.packet(play.acked)))
    return found


def _ending(play: TcpPlay) -> list[Mismatch]:
    """How our host's side of the connection ends."""
    talk, where = play.talk, play.talk.name
    if talk.our_fin is not None:
        packet = talk.our_fin[1]
        if play.fin is not None or (talk.their_rst is not None and talk.their_rst < packet):
            return []
        what = "resets the connection, where it ends it" if play.reset else "does not end its stream, which it does"
        return [Mismatch("ended", where, f"our host {what} in packet {packet}", packet=packet)]
    if talk.our_rst is not None:
        if play.reset or talk.their_rst is not None:
            return []
        ends = play.fin is not None
        what = "ends its stream, where it resets the connection" if ends else "does not reset the connection, which it does"
        return [Mismatch("ended", where, f"our host {what} in packet {talk.our_rst}", packet=talk.our_rst)]
    if play.reset and talk.their_rst is None:
        last = talk.steps[-1].number
        return [Mismatch("ended", where, f"our host resets the connection, which is open in packet {last}, its last", packet=last)]
    return []


def _received(play: TcpPlay, rearranged: bool) -> list[Mismatch]:
    """What the stack delivered, where the program that got it says so."""
    talk = play.talk
    assert play.taken is not None
    if rearranged and talk.to_us.conflict is not None:
        return []  # another order is another first version
    expected, got = talk.to_us.data, bytes(play.taken)
    if talk.their_rst is not None:
        expected = expected[: max((step.start for step in talk.steps if step.number == talk.their_rst), default=0)]
    if (talk.our_rst is not None or talk.their_rst is not None) and expected.startswith(got[: len(expected)]):
        return []  # what was still on its way when the connection was reset may have come or not
    difference = Comparison().first(expected, got)
    if difference is None:
        return []
    packet = talk.to_us.packet(difference.expected_offset)
    return [of_bytes(talk.name, difference, packet, "received", " of what our host was sent")]


def of_datagrams(play: DatagramPlay, comparison: Comparison) -> list[Mismatch]:
    """The first datagram that differs, and how many are missing or too many."""
    where = play.talk.name
    captured, heard = play.comparable()
    if play.talk.kind == "echo" and not play.talk.we_asked:
        # the stack answers every request, also those whose answers were lost when it was captured
        heard = [each for each, _ in captured if each in heard]
    for i, ((expected, packet), got) in enumerate(zip(captured, heard, strict=False)):
        difference = comparison.first(expected, got)
        if difference is not None:
            return [of_bytes(f"{where}, datagram {i + 1}", difference, packet)]
    if len(captured) > len(heard):
        packet = captured[len(heard)][1]
        text = f"{len(captured) - len(heard)} of {len(captured)} datagrams are missing, the first one that in packet {packet}"
        return [Mismatch("missing", where, text, packet=packet)]
    if len(heard) > len(captured):
        text = f"{len(heard) - len(captured)} datagrams more than the {len(captured)} of the capture"
        return [Mismatch("extra", where, text, got=heard[len(captured)][:64])]
    if play.taken is not None:
        sent = [step for step in play.talk.steps if not step.ours]
        left = iter(play.taken)  # among what came to the port from there, to this address or to all
        if play.talk.kind == "udp" and not all(step.payload in left for step in sent):
            text = f"our host was sent {len(sent)} datagrams, and took {len(play.taken)}, or others"
            return [Mismatch("received", where, text, packet=sent[0].number if sent else None)]
    return []
