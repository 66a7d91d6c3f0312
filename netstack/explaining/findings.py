"""What can be learnt of a connection, in sentences: what went wrong, and what it waited for."""

from __future__ import annotations

import attrs

from ..instant import MILLISECOND, SECOND
from .talk import Talk
from .way import Way

BAD, NOTE, GOOD = "bad", "note", "good"
BESIDE = 20  # times as far to the other end
LONG_HANDSHAKE = 3  # times the shortest round trip
SLOW_THOUGHT = 100 * MILLISECOND


@attrs.frozen
class Finding:
    weight: str  # bad, note, good
    title: str
    text: str
    packets: tuple[int, ...] = ()


def duration(ns: int) -> str:
    if ns < MILLISECOND:
        return f"{ns / 1000:.0f} µs"
    if ns < SECOND:
        return f"{ns / 1e6:.1f} ms" if ns < 100 * MILLISECOND else f"{ns / 1e6:.0f} ms"
    return f"{ns / 1e9:.2f} s" if ns < 100 * SECOND else f"{ns // SECOND} s"


def size(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    return f"{n:.0f} {unit}" if unit == "bytes" or n >= 100 else f"{n:.1f} {unit}"


def times(n: int, one: str, many: str = "") -> str:
    return f"1 {one}" if n == 1 else f"{n:,} {many or one + 's'}"


def findings(talk: Talk) -> list[Finding]:
    """The worst first."""
    found = [*_handshake(talk), *_end(talk)]
    for way, who, other in ((talk.out, "client", "server"), (talk.back, "server", "client")):
        found += _again(way, who, other)
        found += _windows(way, who, other)
        found += _order(way, who)
        found += _stalls(way, who, other)
    found += _waiting(talk)
    if talk.cut:
        text = f"{times(talk.cut, 'packet')} of it were captured only in part: the headers are enough for these diagrams."
        found.append(Finding(NOTE, "Packets were cut", text))
    if not any(each.weight == BAD for each in found) and not any(way.marks.count.get("late") for way in (talk.out, talk.back)):
        text = "No segment had to be sent again, no window was shut, and nobody reset the connection."
        found.append(Finding(GOOD, "Nothing was lost", text))
    return sorted(found, key=lambda each: (BAD, NOTE, GOOD).index(each.weight))


def _handshake(talk: Talk) -> list[Finding]:
    found = []
    syns, synacks = talk.syns, talk.synacks
    packets = tuple(number for _, number in syns[:5])
    if len(syns) > 1 and not synacks and not talk.resets:
        text = (
            f"The client sent its SYN {times(len(syns), 'time')} in {duration(syns[-1][0] - syns[0][0])} and heard nothing. A"
            " firewall drops them, the host is down, or the way back is broken: a host that is up and does not listen resets."
        )
        return [Finding(BAD, "The server never answered", text, packets)]
    if len(syns) > 1:
        text = (
            f"The SYN was sent {times(len(syns), 'time')}: the first answer took {duration((synacks or syns)[0][0] - syns[0][0])},"
            " nearly all of it the client's waiting for its timer, which begins at a second."
        )
        found.append(Finding(BAD, "The SYN was sent again", text, packets))
    if len(synacks) > 1:
        text = f"The server sent its SYN,ACK {times(len(synacks), 'time')}: that, or the client's ACK of it, was lost."
        found.append(Finding(BAD, "The SYN,ACK was sent again", text, tuple(number for _, number in synacks[:5])))
    if talk.round_trip and talk.opened >= 0:
        far, near = talk.round_trip, talk.near_trip
        both = f"from here {duration(far)} to the server and back, {duration(near)} to the client"
        text = f"It took {duration(talk.opened - syns[0][0])}: {both}."
        if near * BESIDE < far:
            text = f"It took {duration(far)} to the server and back: this was captured beside the client."
        elif far * BESIDE < near:
            text = f"It took {duration(near)} to the client and back: this was captured beside the server."
        fastest = talk.out.min_rtt
        if fastest and far > LONG_HANDSHAKE * fastest and far > 20 * MILLISECOND:
            text += f" Later round trips took as little as {duration(fastest)}: the server was slow to accept, or a queue was full."
        found.append(Finding(NOTE, "The handshake", text, (syns[0][1], synacks[0][1])))
    return found


def _end(talk: Talk) -> list[Finding]:
    found = []
    for t, by_client, number, after in talk.resets[:1]:
        who = "client" if by_client else "server"
        where = f"The {who} reset the connection at {duration(t)}, {after}."
        if talk.ended == "refused":
            found.append(Finding(BAD, "The server refused", f"{where} Nobody listens on port {talk.server[1]}.", (number,)))
            continue
        fins = [by for _, by, _ in talk.fins]
        if (by_client in fins) and (not by_client) in fins:
            why = " Both sides had ended already: late data, or a program that does not wait."
        elif by_client in fins:
            why = f" It had ended its side before: data came that nobody there reads any more, or the {who}'s program has gone."
        else:
            why = f" Without a FIN: the {who}'s program aborted, crashed, or closed while data for it was unread."
        found.append(Finding(BAD, "The connection was reset", where + why, (number,)))
    return found


KINDS = {
    "fast": "after ACKs had shown the hole (fast retransmit), which repairs a loss within a round trip",
    "timeout": "after a time-out: nothing was heard, so the sender waited for its timer",
    "tail": "as the last of a flight, sooner than a time-out (tail loss probe), to make the receiver say what it has",
    "needless": "though the capture shows that it had been acknowledged",
    "again": "together with new data",
}


def _again(way: Way, who: str, other: str) -> list[Finding]:
    count = way.again()
    if not count:
        return []
    told = []
    for kind, how in KINDS.items():
        n = way.marks.count.get(kind, 0)
        if n:
            told.append(how if n == count else f"{n:,} {how}")
    share = f" That is {100 * count / max(way.packets, 1):.1f} % of its segments." if way.packets > 20 else ""
    text = f"The {who} sent {times(count, 'segment')} again, {'; '.join(told)}.{share}"
    if way.spurious:
        needless = times(way.spurious, "of them was", "of them were")
        text += f" The {other} reported by D-SACKs that {needless} not needed: the original had arrived, late or out of order."
    numbers = tuple(number for kind in KINDS for number in way.marks.numbers(kind))
    return [Finding(BAD, f"The {who} sent data again", text, numbers[:6])]


def _windows(way: Way, who: str, other: str) -> list[Finding]:
    if way.shut:
        worst = max(end - begin for begin, end, _ in way.shut)
        probes = way.marks.count.get("probe", 0)
        text = (
            f"The {other} shut its window {times(len(way.shut), 'time')}, for {duration(way.shut_time)} together and"
            f" {duration(worst)} at most: its program did not read what came. The network is not to blame."
            + (f" {times(probes, 'probe')} of the {who} asked whether it was open again." if probes else "")
        )
        return [Finding(BAD, f"The {other} could not keep up", text, tuple(each[2] for each in way.shut[:4]))]
    if way.busy_time and way.limited_time * 2 > way.busy_time and way.bytes > 20 * max(way.mss, 1) and way.min_rtt:
        full, rate = 100 * way.limited_time // way.busy_time, way.window * SECOND / way.min_rtt
        share, window, trip = f"{full} % of the time", size(way.window), duration(way.min_rtt)
        text = (
            f"While the {who} had data on its way, the {other}'s window was full {share}. A window of {window} in a round trip of"
            f" {trip} can carry {size(rate)} in a second, however fast the link is: a larger receive buffer would help."
        )
        return [Finding(NOTE, f"The {other}'s window limits the rate", text)]
    return []


def _order(way: Way, who: str) -> list[Finding]:
    late = way.marks.count.get("late", 0)
    if not late:
        return []
    text = (
        f"{times(late, 'segment')} of the {who} came here after what follows them: overtaken on the way, or lost before they came"
        " here and sent again."
    )
    return [Finding(NOTE, f"The {who}'s data came out of order", text, tuple(way.marks.numbers("late", 5)))]


def _stalls(way: Way, who: str, other: str) -> list[Finding]:
    if way.stalls < 2:
        return []
    text = (
        f"{times(way.stalls, 'time')} the {who} sent a small segment, waited for its ACK, and sent on as soon as that came; the"
        f" {other} delays such ACKs. {duration(way.stalled_time)} were lost so. It is Nagle's rule (RFC 9293 3.7.4) meeting delayed"
        f" ACKs: the {who}'s program should write a message in one piece, or set TCP_NODELAY."
    )
    return [Finding(BAD, "Small writes wait for delayed ACKs", text, (way.stall_at,))]


def _waiting(talk: Talk) -> list[Finding]:
    whole = max(talk.last - talk.began, 1)
    if not talk.turns or (talk.thinking < SLOW_THOUGHT and talk.thinking * 4 < whole):
        return []
    text = (
        f"The server began to answer {times(talk.turns, 'time')}; beyond the round trip it took {duration(talk.thinking)} together,"
        f" {duration(talk.slowest[0])} at most. That is {100 * talk.thinking // whole} % of the connection's {duration(whole)}: the"
        " program there, not the network."
    )
    return [Finding(NOTE, "The server took its time", text, (talk.slowest[1],))]
