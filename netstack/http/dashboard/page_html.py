"""The text of the demo page: one page, nothing from elsewhere, light and dark, wide and narrow.

It is drawn here and nowhere else. The script fetches the page again and copies what has changed into the one on the screen, in
place, so that the focus, a selection and how far a table is scrolled stay as they are.
"""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence

ROWS = 100  # connections that are drawn: a stranger opens thousands, and the page is drawn every second for each who looks

CSS = """
:root { color-scheme: light dark; --fg: #1b2330; --dim: #5b6576; --bg: #f6f7f9; --card: #fff; --line: #e3e6eb; --ink: #0b6e5b;
  --bad: #b3401e }
@media (prefers-color-scheme: dark) {
  :root { --fg: #e6e9ee; --dim: #97a3b5; --bg: #10141a; --card: #181e27; --line: #2a323e; --ink: #5fd4b8; --bad: #ff9b75 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif }
main { max-width: 68rem; margin: 0 auto; padding: clamp(1.2rem, 4vw, 2.5rem) 1rem 4rem }
h1 { font-size: clamp(1.6rem, 5vw, 2.4rem); line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.02em }
h1 b { color: var(--ink) }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
h2 small, .note, label { color: var(--dim); font-size: .85rem; font-weight: 400 }
p { margin: 0; color: var(--dim); max-width: 46rem }
.note { margin-top: .5rem }
a { color: var(--ink) }
:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px }
pre { margin: .8rem 0 0; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; line-height: 1.7 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.6rem 0 0 }
dl div, .table, pre { background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
dl div { padding: .7rem .9rem }
dt { color: var(--dim); font-size: .8rem }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
.table { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th { text-align: left; font-weight: 600 }
th[scope=col], th[scope=rowgroup] { color: var(--ink) }
th, td { padding: .35rem .9rem; border-top: 1px solid var(--line); vertical-align: top }
tr:first-child th[scope=col], tbody:first-child tr:first-child > * { border-top: 0 }
.n { text-align: right; font-variant-numeric: tabular-nums }
td { white-space: nowrap }
#connections th { line-height: 1.3; vertical-align: bottom }
#connections th, #connections td { padding-inline: .6rem }
#connections :first-child { padding-inline-start: .9rem }
#counters th[scope=row] { font-weight: 500; width: 99% }
#counters th b { display: inline-block; min-width: 13.5rem; margin-right: .9rem; font-weight: 500 }
#counters small { color: var(--dim); font-size: inherit; font-weight: 400 }
#counters .n { min-width: 6.5rem }
#counters td:last-child { padding-left: 0; min-width: 5.5rem; text-align: right; color: var(--ink) }
.moved .n:first-child { color: var(--ink); font-weight: 700 }
.zero > *, .zero b { color: var(--dim) }
.bar { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 0 1rem }
label { cursor: pointer; padding: .3rem 0 }
label input { accent-color: var(--ink); vertical-align: -.1em; margin: 0 .3em 0 0 }
main:not(:has(#all:checked)) .zero { display: none }
#stale { color: var(--bad); font-weight: 600 }
@media (max-width: 48rem) {
  th, td, #connections :first-child { padding-inline: .6rem }
  #counters th b, #counters small { display: block }
  #counters .n { min-width: 4.5rem }
  #counters td:last-child { min-width: 3.5rem }
}
"""

SCRIPT = """
"use strict";
const numbers = page => page.querySelectorAll("#counters td:first-child");
const value = cell => Number(cell.textContent.replaceAll(",", ""));
function mark(now, before) {
  if (now.length !== before.length) return;
  now.forEach((cell, i) => {
    const more = value(cell) - value(before[i]);
    if (!more) return;
    cell.parentNode.classList.add("moved");
    cell.parentNode.lastChild.textContent = (more > 0 ? "+" : "\\u2212") + Math.abs(more).toLocaleString("en");
  });
}
function follow(old, now) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  if (old.className !== now.className) old.className = now.className;
  const [was, is] = [[...old.childNodes], [...now.childNodes]];
  const alike = was.length === is.length && was.every((node, i) => node.nodeName === is[i].nodeName);
  if (alike) was.forEach((node, i) => follow(node, is[i]));
  else old.replaceChildren(...is);
}
async function turn() {
  if (!document.hidden) {
    const stale = document.getElementById("stale");
    try {
      const answer = await fetch("/", { signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      mark(numbers(page), numbers(document));
      follow(document.querySelector("main"), page.querySelector("main"));
    } catch (error) {
      stale.textContent = "It does not answer any more.";
    }
  }
  setTimeout(turn, 1000);
}
setTimeout(turn, 1000);
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>netstack</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<main>
<h1>This page was served by <b>netstack</b></h1>
<p>A TCP/IP stack in Python that one imports. The numbers below are its own, and move while you look.
<span id="stale" role="status"></span></p>
<dl>
<div><dt>device</dt><dd>{netif}</dd></div>
<div><dt>address</dt><dd>{addresses}</dd></div>
<div><dt>build</dt><dd>{build}</dd></div>
<div><dt>up for</dt><dd>{uptime}</dd></div>
<div><dt>requests</dt><dd>{requests}</dd></div>
</dl>
<h2 id="c">TCP connections <small>{count}</small></h2>
<div class="table" tabindex="0" role="region" aria-labelledby="c"><table id="connections">{connections}</table></div>
<p class="note">Sizes in bytes. In flight: sent, and not yet acknowledged. More of each connection stands in
<a href="/stats.json">/stats.json</a>.</p>
<div class="bar"><h2 id="n">Counters <small>and what they gained in the last second</small></h2>
<label><input type="checkbox" id="all">also those that are 0</label></div>
<div class="table" tabindex="0" role="region" aria-labelledby="n"><table id="counters">{counters}</table></div>
<h2>To try</h2>
<p><a href="/stats.json">/stats.json</a> has these numbers for programs. <a href="/bytes/1000000">/bytes/1000000</a> gives a million
bytes, always the same. What you send to /sha256 is answered with its SHA-256, and /echo sends it back.</p>
<pre tabindex="0">curl -o million http://{host}/bytes/1000000
curl -T million http://{host}/sha256
curl -T million http://{host}/echo | cmp - million</pre>
</main>
<script>{script}</script>
</body>
</html>
"""


def uptime_text(seconds: int) -> str:
    """Seconds for people, in the two units that say most: "3 min 20 s"."""
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit:
            return f"{seconds // unit} {name} {seconds % unit // part} {part_name}"
    return f"{seconds} s"


def round_trip_text(nanoseconds: int) -> str:
    for unit, name in ((10**9, "s"), (10**6, "ms"), (10**3, "µs")):
        if nanoseconds >= unit:
            return f"{nanoseconds / unit:.3g} {name}" if nanoseconds < 999 * unit else f"{nanoseconds // unit:,} {name}"
    return "under 1 µs"


def _time_cell(value: object) -> str:
    return round_trip_text(value) if isinstance(value, int) and value > 0 else "-"  # none was measured yet


def _size_cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 0 else "-"  # none was chosen yet


# of the fields of a connection: what stands above it, how it is written, and whether it is a number
COLUMNS: tuple[tuple[str, str, Callable[[object], str], bool], ...] = (
    ("remote", "peer", str, False),
    ("local", "here", str, False),
    ("state", "state", str, False),
    ("srtt", "round trip", _time_cell, True),
    ("in_flight", "in flight", _size_cell, True),
    ("unsent", "to send", _size_cell, True),
    ("unread", "to read", _size_cell, True),
    ("cwnd", "congestion window", _size_cell, True),
    ("snd_wnd", "peer's window", _size_cell, True),
    ("rcv_wnd", "our window", _size_cell, True),
    ("retransmits", "sent again", _size_cell, True),
)


def connection_table(connections: Sequence[Mapping[str, object]]) -> str:
    """The rows of the table of connections: at most ROWS of them, in the order given."""
    if not connections:
        return "<tr><td>None at this moment.</td></tr>"
    shown = [column for column in COLUMNS if column[0] in connections[0]]
    rows = [_row(f'<th scope="col"{_class(number)}>{html.escape(title)}</th>' for _, title, _, number in shown)]
    for each in connections[:ROWS]:
        rows.append(_row(f"<td{_class(number)}>{html.escape(text(each.get(key, '')))}</td>" for key, _, text, number in shown))
    return "<tbody>" + "".join(rows) + "</tbody>"


def counter_table(counters: Mapping[str, Mapping[str, int]], meanings: Mapping[str, Mapping[str, str]]) -> str:
    """The counters, a body of the table for each group. What is 0 has the class "zero", and so has a group of nothing else."""
    bodies = []
    for group, values in counters.items():
        rows = [f'<tr><th colspan="3" scope="rowgroup">{html.escape(group)}</th></tr>']
        for name, value in values.items():
            meaning = html.escape(meanings.get(group, {}).get(name, ""))
            cells = f'<td class="n">{value:,}</td><th scope="row"><b>{html.escape(name)}</b><small>{meaning}</small></th><td></td>'
            rows.append(f"<tr{_ZERO if not value else ''}>{cells}</tr>")
        bodies.append(f"<tbody{'' if any(values.values()) else _ZERO}>{''.join(rows)}</tbody>")
    return "\n".join(bodies)


def count_text(connections: int) -> str:
    return f"{connections:,}" if connections <= ROWS else f"{connections:,}, of which {ROWS} are shown"


_ZERO = ' class="zero"'


def _class(number: bool) -> str:
    return ' class="n"' if number else ""


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"
