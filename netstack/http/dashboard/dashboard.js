// The page: two event streams, one of the whole stack and one of the connection that is picked, and what is drawn of them.

import { colours, Lines, Sequence } from "./draw.js";
import { Table } from "./table.js";
import { bytes, count, el, GROUPS, list, rate, REASONS, say, spread, time, uptime } from "./words.js";

const $ = id => document.getElementById(id);
const SILENCE = 6000; // ms without a word: the stack is gone, whatever the browser believes
const AGAIN = 1500; // ms until the next attempt

// -- an event stream that comes back by itself ----------------------------------------------------------------------------------

class Feed {
  constructor(url, handlers, onstate = () => {}) {
    Object.assign(this, { url, handlers, onstate });
    this.open();
  }

  open() {
    this.source = new EventSource(this.url);
    for (const [name, handler] of Object.entries(this.handlers))
      this.source.addEventListener(name, event => { this.heard(); handler(JSON.parse(event.data)); });
    this.source.onerror = () => {
      this.onstate("lost");
      if (this.source?.readyState === EventSource.CLOSED) this.later();
    };
    this.heard();
  }

  heard() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.onstate("lost"); this.later(0); }, SILENCE);
  }

  later(delay = AGAIN) {
    this.source?.close();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), delay);
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}

// -- colours --------------------------------------------------------------------------------------------------------------------

const THEMES = ["system", "light", "dark"];
let theme = "system";
try { theme = localStorage.getItem("theme") ?? "system"; } catch { /* a browser without a memory */ }

function dress() {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say($("theme"), `Colours: ${theme}`);
  const colour = colours();
  for (const chart of charts) { chart.colour = colour; chart.draw(); }
}

$("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try { localStorage.setItem("theme", theme); } catch { /* as above */ }
  dress();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dress());

// -- the charts -----------------------------------------------------------------------------------------------------------------

const throughput = new Lines($("throughput"), { lines: [[1, "sent", false, true], [2, "got", false, true]], text: v => v ? rate(v) : "0", least: 1250 });
const trips = new Lines($("rtt"), { lines: [[1, "sent"], [4, "win", true]], band: [2, 3], text: v => v ? time(v) : "0", least: 10_000 });
const sequence = new Sequence($("sequence"), $("readout"));
const charts = [throughput, trips, sequence];

$("way").addEventListener("change", () => { sequence.way = $("way").value; sequence.draw(); });
$("span").addEventListener("change", () => { sequence.span = $("span").value * 1e6; sequence.draw(); });
$("freeze").addEventListener("click", () => sequence.freeze(sequence.frozen === null));
sequence.onfreeze = on => { $("freeze").setAttribute("aria-pressed", String(on)); say($("freeze"), on ? "Frozen" : "Freeze"); };
sequence.onspan = by => {
  const select = $("span");
  select.selectedIndex = Math.max(0, Math.min(select.options.length - 1, select.selectedIndex + by));
  sequence.span = select.value * 1e6;
};

// -- the connection that is picked ------------------------------------------------------------------------------------------------

let picked = null; // its key: "local remote"
let detail = null; // its feed
let last = null; // its last sample

function pick(key, scroll = true) {
  if (key === picked) return;
  detail?.close();
  picked = key;
  last = null;
  table.select(key);
  $("detail").hidden = key === null;
  if (key === null) { detail = null; return; }
  const [local, remote] = key.split(" ");
  say($("picked"), `${remote} ⇄ ${local}`);
  for (const chart of charts) chart.reset();
  sequence.freeze(false);
  sequence.why = [];
  $("why").hidden = true;
  detail = new Feed(`/events/connection?${new URLSearchParams({ local, remote })}`, {
    hello: ({ you }) => { table.mine.add(you); if (last) { last = null; for (const chart of charts) chart.reset(); } },
    sample, over,
  });
  if (scroll) $("detail").scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function over() {
  detail?.close();
  say($("picked"), `${picked.split(" ").reverse().join(" ⇄ ")} — over`);
}

function sample(now) {
  const { row } = now;
  const before = last;
  last = now;
  if (before) {
    const seconds = (now.t - before.t) / 1e6;
    const out = Math.max(0, row.acked_bytes - before.row.acked_bytes) / seconds;
    const into = ((now.received - before.received) >>> 0) / seconds;
    throughput.add([now.t, out, into]);
    say($("rate-out"), rate(out));
    say($("rate-in"), rate(into));
  }
  const known = row.srtt > 0;
  trips.add([now.t, known ? row.srtt : null, known ? Math.max(0, row.srtt - row.rttvar) : null, known ? row.srtt + row.rttvar : null, known ? row.min_rtt : null]);
  say($("rtt-now"), time(row.srtt));
  sequence.add(now);
  const skipped = now.missed + now.out.skipped + now.in.skipped;
  if (skipped) say($("readout"), `too fast to tell all: ${count(skipped)} left out`);
  for (const chart of charts) chart.draw();
  variables(row);
  reasons(row);
}

function variables(row) {
  const limit = row.ssthresh < 0 ? "–" : row.ssthresh >= 0x3fffffff ? "∞" : bytes(row.ssthresh);
  list($("vars"), [
    ["state", "State", row.state, "RFC 9293 3.3.2"],
    ["phase", "Loss recovery", row.phase, "open: nothing is missing. recovery: repairing what is known to be lost. loss: after a time-out", row.phase !== "open"],
    ["timer", "Timer", row.timer || "none", "Which timer runs for what is in flight"],
    ["cc", "Congestion control", row.congestion, "The strategy that sets cwnd"],
    ["cwnd", "cwnd", bytes(row.cwnd), "Congestion window: how much the network is believed to bear"],
    ["ssthresh", "ssthresh", limit, "Below it cwnd doubles each round trip, above it grows slowly"],
    ["flight", "In flight", bytes(row.in_flight), "Sent, and not cumulatively acknowledged"],
    ["lost", "Held lost", bytes(row.lost), "In flight, believed lost, and not yet sent again", row.lost > 0],
    ["srtt", "Round trip", spread(row.srtt, row.rttvar), "srtt ± rttvar (RFC 6298)"],
    ["min", "Least round trip", time(row.min_rtt), "The least of the last minutes: the length of the way"],
    ["rto", "Time-out", row.backoff ? `${time(row.rto)} (×${2 ** row.backoff})` : time(row.rto), "RTO: how long silence is borne before something is sent again", row.backoff > 0],
    ["snd_wnd", "Peer’s window", bytes(row.snd_wnd), "What the peer lets us send", row.snd_wnd === 0],
    ["rcv_wnd", "Our window", bytes(row.rcv_wnd), "What we let the peer send", row.rcv_wnd === 0],
    ["not_sent", "Waits to be sent", bytes(row.not_sent), "Written by the program here, held back by a window or by Nagle"],
    ["unread", "Waits to be read", bytes(row.unread), "Received in order, and not read by the program here"],
    ["ooo", "Out of order", bytes(row.out_of_order), "Received beyond a hole", row.out_of_order > 0],
    ["mss", "Segment", `${bytes(row.mss)}`, "MSS: the most bytes in a segment that we send"],
    ["again", "Sent again", `${count(row.retransmits)} · ${bytes(row.resent_bytes)}`, "Segments and bytes, ever", row.retransmits > 0],
    ["rate", "Delivery rate", rate(row.delivery_rate), "As the path delivered it lately, pauses of the program left out"],
    ["acked", "Delivered", bytes(row.acked_bytes), "Bytes that the peer has acknowledged"],
  ]);
}

function reasons(row) {
  const found = Object.entries(row.reasons);
  $("why").hidden = !found.length;
  const ul = $("reasons");
  if (ul.children.length !== found.length) ul.replaceChildren(...found.map(() => el("li", {}, el("b", {}, ""), el("span", {}, ""))));
  found.forEach(([why, n], i) => {
    say(ul.children[i].firstChild, `${count(n)} ${why}`);
    say(ul.children[i].lastChild, ` — ${REASONS[why] ?? "?"}`);
  });
}

$("unpick").addEventListener("click", () => unpick());
addEventListener("keydown", event => {
  if (event.key === "Escape" && picked !== null && !event.target.closest("input, select")) unpick();
});

function unpick() {
  const key = picked;
  pick(null);
  if (table.lines.has(key)) table.focus(key);
  else $("connections").focus();
}

// -- the whole stack --------------------------------------------------------------------------------------------------------------

const table = new Table($("table"), key => pick(key));
let feed = null;
let since = null; // of the stack that is at the other end: another one has another
let columns = [];
let ticked = 0;
let about = {};
let rates = { InSegs: 0, OutSegs: 0 };

function live(state) {
  $("live").dataset.state = state;
  say($("live"), { live: "live", lost: "no answer, trying again", wait: "connecting", hidden: "resting" }[state]);
}

function hello(said) {
  live("live");
  if (since !== null && since !== said.since) { // it was started anew: nothing of before is true
    table.update([], 0);
    table.mine.clear();
    pick(null);
  }
  since = said.since;
  columns = said.columns;
  ticked = 0;
  table.mine.add(said.you);
  counters.begin(said.meanings);
  const host = location.host;
  say($("try"), [`curl http://${host}/`, `curl -o /dev/null http://${host}/bytes/100000000`,
    `curl -T FILE http://${host}/sha256`, `curl http://${host}/stats.json`, `ping ${location.hostname}`].join("\n"));
  say($("try-empty"), `curl -o /dev/null http://${host}/bytes/100000000`);
}

function tick(now) {
  live("live");
  const seconds = ticked ? (now.up - ticked) / 1000 : 0;
  ticked = now.up;
  if (now.pages) for (const each of now.pages) table.mine.add(each);
  const rows = now.rows.map(values => Object.fromEntries(columns.map((name, i) => [name, values[i]])));
  table.update(rows, seconds);
  if (now.about) { about = now.about; device(); }
  counters.update(now.counters, seconds);
  const tcp = counters.delta("Tcp");
  if (seconds) rates = { InSegs: tcp.InSegs / seconds, OutSegs: tcp.OutSegs / seconds };
  facts(now);
  // browsers open connections that they may never use: one that has carried nothing is no traffic
  const others = rows.some(row => !table.mine.has(row.remote) && (row.acked_bytes || row.in_flight || row.unread));
  $("empty").hidden = others || rates.InSegs + rates.OutSegs > 50 || Boolean($("find").value) || loads > 0;
  say($("count"), now.found === now.total ? count(now.total) : `${count(now.found)} of ${count(now.total)}`);
  say($("cut"), now.found > rows.length ? `The ${count(rows.length)} that heard something last are shown; a filter looks at all.` : "");
  if (now.neighbours) rowsOf($("neighbours"), now.neighbours, [["address", "Address"], ["link", "Link address"], ["state", "State"]], "Nobody yet.");
  if (now.routes) rowsOf($("routes"), now.routes, [["to", "To"], ["gateway", "Through", v => v || "the link"], ["mtu", "MTU"]], "None.");
  if (now.listeners) rowsOf($("listeners"), now.listeners,
    [["protocol", "Protocol"], ["port", "Port"], ["address", "On", v => v ?? ""], ["half", "Half open", v => v ?? ""], ["backlog", "Backlog", v => v ?? ""]], "Nobody listens.");
  if (now.kept) say($("kept"), `${count(now.kept.frames)} frames, ${bytes(now.kept.bytes)}${now.kept.short ? ", of each the beginning" : ""}`);
}

function facts(now) {
  list($("facts"), [
    ["device", "Device", about.netif ?? ""],
    ["address", "Address", (about.addresses ?? []).join(", ") || "none"],
    ["up", "Up for", uptime(now.up)],
    ["connections", "Connections", count(now.total)],
    ["in", "Segments in", `${count(rates.InSegs || 0)} /s`, "A super-segment counts as one"],
    ["out", "Segments out", `${count(rates.OutSegs || 0)} /s`, "A super-segment counts as one"],
    ["build", "Build", (about.build ?? "").split(" ")[0]],
  ]);
}

function device() {
  const facts = [
    ["Device", about.netif], ["Link address", about.mac || "none: bare IP packets"], ["MTU", `${about.mtu} bytes`],
    ["Offloads", (about.offloads ?? []).join(", ") || "none"], ["Addresses", (about.addresses ?? []).join(", ")],
    ["Congestion control", about.congestion], ["netstack", [about.version, about.build].filter(Boolean).join(", ")],
  ];
  $("device").replaceChildren(...facts.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value ?? "")]));
}

function rowsOf(table, rows, columns, none) {
  if (!rows.length) { table.replaceChildren(el("tbody", {}, el("tr", {}, el("td", { class: "dim" }, none)))); return; }
  const head = el("tr", {}, ...columns.map(([, title]) => el("th", { scope: "col" }, title)));
  const lines = rows.map(row => el("tr", {}, ...columns.map(([key, , text]) => el("td", { class: "num" }, text ? text(row[key]) : row[key]))));
  table.replaceChildren(el("thead", {}, head), el("tbody", {}, ...lines));
}

// -- counters -----------------------------------------------------------------------------------------------------------------------

const counters = {
  values: {}, before: {}, lines: {}, meanings: {},

  begin(meanings) {
    Object.assign(this, { values: {}, before: {}, lines: {}, meanings });
    const open = ["Tcp", "Ip", "Http"];
    $("groups").replaceChildren(...Object.entries(meanings).map(([group, names]) => {
      const body = el("tbody", {}, ...Object.entries(names).map(([name, meaning]) => {
        const cells = { value: el("td", { class: "n" }, "0"), delta: el("td", { class: "n delta" }, "") };
        const tr = el("tr", { "data-text": `${name} ${meaning}`.toLowerCase() }, el("th", { scope: "row" }, name, el("span", {}, meaning)), cells.delta, cells.value);
        this.lines[`${group} ${name}`] = { tr, ...cells };
        return tr;
      }));
      const details = el("details", { class: "card", "data-group": group },
        el("summary", {}, group, el("small", {}, GROUPS[group] ?? ""), el("span", { class: "n" }, "")), el("table", {}, body));
      details.open = open.includes(group);
      return details;
    }));
    this.show();
  },

  update(changed, seconds) {
    this.before = Object.fromEntries(Object.entries(this.values).map(([group, values]) => [group, { ...values }]));
    for (const { tr, delta } of this.moved ?? []) { tr.classList.remove("moved"); say(delta, ""); }
    this.moved = [];
    for (const [group, values] of Object.entries(changed)) {
      for (const [name, value] of Object.entries(values)) {
        const line = this.lines[`${group} ${name}`];
        const was = this.values[group]?.[name];
        (this.values[group] ??= {})[name] = value;
        if (!line) continue;
        say(line.value, count(value));
        if (was === undefined || !seconds) continue;
        say(line.delta, `${value > was ? "+" : "−"}${count(Math.abs(value - was))}`);
        line.tr.classList.add("moved");
        this.moved.push(line);
      }
    }
    for (const details of $("groups").children) {
      const n = this.moved.filter(line => details.contains(line.tr)).length;
      say(details.firstChild.lastChild, n ? `${n} moved` : "");
    }
    this.show();
  },

  delta(group) {
    return Object.fromEntries(Object.entries(this.values[group] ?? {}).map(([name, value]) => [name, value - (this.before[group]?.[name] ?? value)]));
  },

  show() {
    const zeros = $("zeros").checked;
    const words = $("find-counter").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [key, { tr }] of Object.entries(this.lines)) {
      const [group, name] = key.split(" ");
      const found = words.every(word => tr.dataset.text.includes(word));
      const hidden = !(found && (zeros || words.length || this.values[group]?.[name]));
      if (tr.hidden !== hidden) tr.hidden = hidden;
    }
    for (const details of $("groups").children) {
      const some = details.querySelector("tr:not([hidden])") !== null;
      if (details.hidden === some) details.hidden = !some;
      if (words.length && some) details.open = true;
    }
  },
};

$("zeros").addEventListener("change", () => counters.show());
$("find-counter").addEventListener("input", () => counters.show());

// -- something to look at -----------------------------------------------------------------------------------------------------------

let loads = 0;

function job(button, title, work) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    loads++;
    try {
      await work(text => say(button, text));
    } catch {
      live("lost");
    }
    loads--;
    say(button, title);
    button.disabled = false;
  });
}

job($("down"), "Download 100 MB", async told => {
  const answer = await fetch("/bytes/100000000", { cache: "no-store" });
  const mine = answer.headers.get("netstack-client");
  if (mine && picked === null) {
    const key = [...table.lines.keys()].find(key => key.endsWith(` ${mine}`));
    if (key || table.here) pick(key ?? `${table.here} ${mine}`, false);
  }
  const reader = answer.body.getReader();
  let got = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    got += value.length;
    told(`${Math.round(got / 1e6)} of 100 MB`);
  }
});

job($("up"), "Upload 20 MB", async told => {
  told("Uploading …");
  await fetch("/sha256", { method: "POST", body: new Uint8Array(20_000_000) });
});

// -- beginning and rest -------------------------------------------------------------------------------------------------------------

function begin() {
  feed?.close();
  const words = $("find").value.trim();
  feed = new Feed(words ? `/events?${new URLSearchParams({ find: words })}` : "/events", { hello: said => { table.here = said.here; hello(said); }, tick }, live);
}

let typing = 0;
$("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(begin, 250);
});

// nobody looks at a page that is hidden: the stack has its time for others
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    feed?.close();
    detail?.close();
    live("hidden");
  } else {
    begin();
    if (picked !== null) { const key = picked; picked = null; pick(key, false); }
  }
});

dress();
begin();
