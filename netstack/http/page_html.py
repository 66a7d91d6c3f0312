"""The text of the demo page: one page, nothing from elsewhere, light and dark, wide and narrow."""

CSS = """
:root { color-scheme: light dark; --fg: #1b2330; --dim: #667085; --bg: #f6f7f9; --card: #fff; --line: #e3e6eb; --ink: #0b6e5b; }
@media (prefers-color-scheme: dark) {
  :root { --fg: #e6e9ee; --dim: #93a0b3; --bg: #10141a; --card: #181e27; --line: #2a323e; --ink: #5fd4b8; }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1rem 4rem }
h1 { font-size: clamp(1.6rem, 5vw, 2.4rem); line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.02em }
h1 b { color: var(--ink) }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .6rem }
p { margin: 0; color: var(--dim); max-width: 44rem }
code { font-size: .9em }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.6rem 0 0 }
dl div, .table { background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
dl div { padding: .7rem .9rem }
dt { color: var(--dim); font-size: .8rem }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
.table { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th { text-align: left; color: var(--ink); font-weight: 600 }
th, td { padding: .35rem .9rem; border-top: 1px solid var(--line); vertical-align: top }
tr:first-child > * { border-top: 0 }
#counters td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums }
#counters td:nth-child(3) { color: var(--dim) }
.zero { opacity: .55 }
.moved td:nth-child(2) { color: var(--ink); font-weight: 700 }
#stale { color: #b3541e; visibility: hidden }
@media (max-width: 36rem) {
  #counters td:nth-child(3) { display: none }
  th, td { padding: .35rem .6rem }
}
"""

SCRIPT = """
"use strict";
let last = STATS;
const byId = id => document.getElementById(id);
const cell = (row, tag, text) => row.appendChild(document.createElement(tag)).textContent = text;
function show(stats) {
  byId("uptime").textContent = stats.uptime.toFixed(0) + " s";
  byId("requests").textContent = stats.requests.toLocaleString("en");
  byId("addresses").textContent = stats.addresses.join(", ");
  const counters = document.createElement("tbody");
  for (const [group, values] of Object.entries(stats.counters)) {
    const title = counters.insertRow();
    cell(title, "th", group);
    title.firstChild.colSpan = 3;
    for (const [name, value] of Object.entries(values)) {
      const row = counters.insertRow();
      const before = (last.counters[group] || {})[name];
      row.className = (value ? "" : "zero ") + (value !== before ? "moved" : "");
      cell(row, "td", name);
      cell(row, "td", value.toLocaleString("en"));
      cell(row, "td", (stats.meanings[group] || {})[name] || "");
    }
  }
  byId("counters").replaceChildren(counters);
  const connections = document.createElement("tbody");
  const columns = stats.connections.length ? Object.keys(stats.connections[0]) : [];
  const head = connections.insertRow();
  for (const column of columns) cell(head, "th", column);
  for (const each of stats.connections) {
    const row = connections.insertRow();
    for (const column of columns) cell(row, "td", each[column] ?? "");
  }
  byId("connections").replaceChildren(connections);
  last = stats;
}
async function turn() {
  try {
    const answer = await fetch("/stats.json");
    show(await answer.json());
    byId("stale").style.visibility = "hidden";
  } catch (error) {
    byId("stale").style.visibility = "visible";
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
<span id="stale">It does not answer any more.</span></p>
<dl>
<div><dt>device</dt><dd>{netif}</dd></div>
<div><dt>address</dt><dd id="addresses">{addresses}</dd></div>
<div><dt>build</dt><dd>{build}</dd></div>
<div><dt>up for</dt><dd id="uptime">{uptime}</dd></div>
<div><dt>requests</dt><dd id="requests">{requests}</dd></div>
</dl>
<h2>Connections</h2>
<div class="table"><table id="connections"><tr>{columns}</tr>{connections}</table></div>
<h2>Counters</h2>
<div class="table"><table id="counters">
{counters}
</table></div>
<h2>To try</h2>
<p><code>/stats.json</code> has these numbers for programs. <code>/bytes/1000000</code> gives a million bytes, always the same.
<code>curl -T file …/sha256</code> answers with the SHA-256 of what arrived, and <code>…/echo</code> sends it back.</p>
</main>
<script>{script}</script>
</body>
</html>
"""
