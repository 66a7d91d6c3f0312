"""What was found as one HTML file that needs nothing else, or as an SVG of one connection.

A capture is hostile: all that comes out of it passes `escape` on its way into the page. There is no script in it but a small one
that zooms, and nothing needs it to be read. The size is bounded, however many packets there were: `MOST_DRAWN` connections have
diagrams, the busiest; `MOST_LISTED` stand in the table.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources

from .findings import BAD, Finding, duration, findings, size, times
from .gather import Gathered, end_text
from .shapes import HIGH, WIDE, Diagram, diagrams
from .talk import Talk

MOST_DRAWN = 24
MOST_LISTED = 500
BUDGET = 6_000_000  # bytes of diagrams: a page that a browser opens at once
EARLIEST = 10**18 // 2  # ns: before 1985 nobody captured; virtual time begins in 1970
MARK = {"bad": "!", "note": "i", "good": "✓"}


def chosen(talks: Iterable[Talk]) -> list[Talk]:
    """Those that are drawn: where most happened, in the order of the file."""
    busiest = sorted(talks, key=lambda talk: -(talk.out.bytes + talk.back.bytes + 1000 * (talk.out.again() + talk.back.again())))
    return sorted(busiest[:MOST_DRAWN], key=lambda talk: talk.number)


def html(found: Gathered, name: str) -> Iterator[str]:
    """The page, piece by piece. `name`: what the capture is called."""
    title = f"{escape(name)} explained"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
    yield f"<style>\n{_file('shapes.css')}{_file('page.css')}</style></head>\n<body>\n"
    yield f"<header><h1>{title}</h1>\n{_summary(found)}</header>\n<main>\n"
    drawn = chosen(found.talks)
    known = {talk.number: findings(talk) for talk in drawn}
    yield _table(found, {talk.number for talk in drawn}, known)
    spent = 0
    for talk in drawn:
        section = _section(talk, known[talk.number], spent < BUDGET)
        spent += len(section)
        yield section
    yield f"</main>\n{_HELP}<script>\n{_file('zoom.js')}</script>\n</body></html>\n"


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _when(found: Gathered) -> str:
    if found.epoch is None or found.epoch < EARLIEST:
        return ""
    try:
        return f"{datetime.datetime.fromtimestamp(found.epoch // 10**9, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "at a time that can't be"


def _summary(found: Gathered) -> str:
    said = [f"{times(found.packets, 'packet')} in {duration(found.last)}"]
    if when := _when(found):
        said.append(f"from {when} on")
    said.append(times(len(found.talks), "TCP connection"))
    others = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.others.items(), key=lambda each: -each[1])[:8])
    if others:
        said.append(f"and besides: {others}")
    more = f"<p class=warn>{times(found.missed, 'segment')} of further connections are not looked at.</p>\n" if found.missed else ""
    if found.trouble:
        more += f"<p class=warn>The file can't be read to its end: {escape(found.trouble)}</p>\n"
    return f"<p>{escape(' · '.join(said))}</p>\n{more}"


def _table(found: Gathered, drawn: set[int], known: dict[int, list[Finding]]) -> str:
    heads = "".join(
        f"<th scope=col{' class=n' if number else ''}>{head}</th>"
        for head, number in (
            ("Connection", 0), ("From", 1), ("Took", 1), ("Sent", 1), ("Received", 1), ("Again", 1), ("Round trip", 1),
            ("Ended", 0),
        )
    )  # fmt: skip
    rows = []
    listed = [talk for talk in found.talks if talk.number in drawn]
    listed += [talk for talk in found.talks if talk.number not in drawn][: MOST_LISTED - len(listed)]
    for talk in sorted(listed, key=lambda each: each.number):
        name = f"{escape(end_text(talk.client, talk.version))} → {escape(end_text(talk.server, talk.version))}"
        if talk.number in drawn:
            name = f'<a href="#c{talk.number}">{name}</a>'
        again = talk.out.again() + talk.back.again()
        bad = sum(each.weight == BAD for each in known.get(talk.number, ()))
        trip = min((way.min_rtt for way in (talk.out, talk.back) if way.min_rtt), default=0) or talk.round_trip
        cells = (
            duration(talk.began), duration(talk.last - talk.began), size(talk.out.bytes), size(talk.back.bytes),
            f"{again:,}" if again else "-", duration(talk.round_trip or trip) if talk.round_trip or trip else "-",
        )  # fmt: skip
        row = "".join(f"<td class=n>{escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{' class=bad' if bad else ''}><th scope=row>{name}</th>{row}<td>{escape(talk.ended)}</td></tr>\n")
    more = len(found.talks) - len(listed)
    tail = f"<p>{times(more, 'more connection')} not listed.</p>\n" if more else ""
    return (
        "<section aria-labelledby=all><h2 id=all>Connections</h2>\n"
        '<div class=scroll tabindex=0 role=region aria-label="Connections">'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody></table></div>\n{tail}</section>\n"
    )


def _section(talk: Talk, known: list[Finding], draw: bool) -> str:
    client, server = (escape(end_text(end, talk.version)) for end in (talk.client, talk.server))
    n = talk.number
    parts = [f'<section class=talk id="c{n}" aria-labelledby="h{n}">\n<h2 id="h{n}">{client} → {server}</h2>\n']
    facts = [
        ("Began", f"{duration(talk.began)} after the first packet"),
        ("Took", duration(talk.last - talk.began)),
        ("From the client", f"{size(talk.out.bytes)} in {times(talk.out.packets, 'segment')}"),
        ("From the server", f"{size(talk.back.bytes)} in {times(talk.back.packets, 'segment')}"),
        ("Ended", talk.ended),
    ]
    parts.append(
        "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts) + "</dl>\n<ul class=findings>\n"
    )
    for each in known:
        packets = f" <span class=packets>{escape(_packets(each.packets))}</span>" if each.packets else ""
        parts.append(
            f"<li class={each.weight}><span class=mark aria-hidden=true>{MARK[each.weight]}</span>"
            f"<div><strong>{escape(each.title)}.</strong> {escape(each.text)}{packets}</div></li>\n"
        )
    parts.append("</ul>\n")
    if draw:
        parts += [_figure(each) for each in diagrams(talk)]
    else:
        parts.append("<p>Its diagrams are left out, or the page would grow too large: explain this connection alone.</p>\n")
    parts.append("</section>\n")
    return "".join(parts)


def _packets(numbers: tuple[int, ...]) -> str:
    return f"packet {numbers[0]}" if len(numbers) == 1 else f"packets {', '.join(map(str, numbers))}"


def _figure(d: Diagram) -> str:
    paths = "".join(f'<path class="{s.kind}" d="{s.path}"/>' for s in d.shapes)
    legend = "".join(f'<li><i class="{s.kind}"></i>{escape(s.label)}</li>' for s in d.shapes if s.label)
    across = "".join(f'<span style="left:{at * 100:.2f}%">{escape(text)}</span>' for at, text in d.across)
    up = "".join(f'<span style="bottom:{at * 100:.2f}%">{escape(text)}</span>' for at, text in d.up)
    label = escape(f"{d.title}: {d.about}")
    return (
        f"<figure><figcaption><strong>{escape(d.title)}</strong> <span>{escape(d.about)}</span></figcaption>\n"
        f'<div class=chart tabindex=0 data-t0="{d.began / 1e6:.6f}" data-t1="{d.ended / 1e6:.6f}">'
        f"<div class=up aria-hidden=true>{up}</div>"
        f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<path class=grid d="{_grid(d)}"/>{paths}</svg><div class=across aria-hidden=true>{across}</div></div>\n'
        f"<ul class=legend>{legend}</ul></figure>\n"
    )


def _grid(d: Diagram) -> str:
    upright = "".join(f"M{at * WIDE:.1f} 0V{HIGH}" for at, _ in d.across)
    return upright + "".join(f"M0 {HIGH - at * HIGH:.1f}H{WIDE}" for at, _ in d.up)


_HELP = """<footer><details><summary>How to read the diagrams</summary>
<p>Time runs to the right, the bytes of one direction upwards. Each short upright line is a segment, as high as it is long. Below it
runs the line of what has been acknowledged; above it the line of the window's end, which the sender must not pass. The distance
between a segment and the acknowledgement line to its right is a round trip; the distance below it is what is in flight. Where the
segments touch the upper line the receiver's window is the limit; where they end in even bursts, the congestion window. Red is what
was sent again, purple what the receiver has SACKed beyond a hole.</p>
<p>In a diagram, <kbd>+</kbd> and <kbd>-</kbd> zoom, <kbd>←</kbd> and <kbd>→</kbd> move, <kbd>0</kbd> shows all; or drag over
what is of interest, and double-click to go back.</p></details></footer>
"""


# -- SVG of one connection -------------------------------------------------------------------------------------------------------

LEFT, RIGHT, TOP, ACROSS, GAP = 84, 24, 76, 1000, 86


def svg(talk: Talk, name: str) -> Iterator[str]:
    """All diagrams of one connection below each other, with their words in them."""
    drawn = diagrams(talk)
    width, height = LEFT + ACROSS + RIGHT, TOP + len(drawn) * (HIGH + GAP)
    title = f"{end_text(talk.client, talk.version)} → {end_text(talk.server, talk.version)}"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n<title>{escape(title)}</title>\n'
    yield f"<style>\n{_file('shapes.css')}{_file('svg.css')}</style>\n"
    yield f'<rect class="paper" width="{width}" height="{height}"/>\n'
    yield f'<clipPath id="plot"><rect x="-4" y="-4" width="{WIDE + 8}" height="{HIGH + 8}"/></clipPath>\n'
    yield f'<text class="head" x="{LEFT}" y="30">{escape(title)}</text><text class="soft" x="{LEFT}" y="50">{escape(name)}</text>\n'
    for i, d in enumerate(drawn):
        y = TOP + i * (HIGH + GAP)
        about = f'<tspan class="soft">{escape(d.about)}</tspan>'
        yield f'<g transform="translate({LEFT} {y})">\n<text class="title" y="-8">{escape(d.title)} {about}</text>\n'
        yield f'<path class="grid" d="{_grid(d)}"/>\n'
        yield '<g clip-path="url(#plot)">\n'
        for s in d.shapes:
            yield f'<path class="{s.kind}" d="{s.path}"/>\n'
        yield "</g>\n"
        for at, text in d.across:
            yield f'<text class="soft" x="{at * WIDE:.1f}" y="{HIGH + 20}" text-anchor="middle">{escape(text)}</text>'
        for at, text in d.up:
            yield f'<text class="soft" x="-10" y="{HIGH - at * HIGH + 5:.1f}" text-anchor="end">{escape(text)}</text>'
        x = 0
        for s in (s for s in d.shapes if s.label):
            shown = f"M{x} {HIGH + 40}h0.01" if "dot" in s.kind else f"M{x} {HIGH + 40}h22"
            yield f'<path class="{s.kind} key" d="{shown}"/>'
            yield f'<text class="soft" x="{x + 30}" y="{HIGH + 45}">{escape(s.label)}</text>'
            x += 54 + 8 * len(s.label)
        yield "</g>\n"
    yield "</svg>\n"
