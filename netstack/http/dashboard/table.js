// The table of connections: sorted, and walked through with the keyboard.

import { bytes, count, el, kind, rate, say, spread } from "./words.js";

const again = row => row.retransmits ? `${count(row.retransmits)} ${Object.keys(row.reasons).join(", ")}` : "0";

// key, head, what it is, text of a row, value to sort by
const COLUMNS = [
  ["remote", "Peer", "Address and port of the other end", row => row.remote, row => row.remote],
  ["local", "Here", "Address and port of this stack", (row, table) => table.oneHost ? row.local.slice(row.local.lastIndexOf(":")) : row.local, row => row.local],
  ["state", "State", "State of RFC 9293; in recovery or loss when it repairs something", row => row.state, row => row.state],
  ["rate", "Sends", "Acknowledged bytes a second, as of the last half second", row => rate(row.rate), row => row.rate, 1],
  ["srtt", "Round trip", "Smoothed round-trip time ± its mean deviation (RFC 6298)",
    row => spread(row.srtt, row.rttvar), row => row.srtt, 1],
  ["in_flight", "In flight", "Sent, and not yet acknowledged", row => bytes(row.in_flight), row => row.in_flight, 1],
  ["cwnd", "cwnd", "Congestion window: what the network is believed to bear", row => bytes(row.cwnd), row => row.cwnd, 1],
  ["ssthresh", "ssthresh", "Slow start ends here",
    row => row.ssthresh < 0 ? "–" : row.ssthresh >= 0x3fffffff ? "∞" : bytes(row.ssthresh), row => row.ssthresh, 1],
  ["retransmits", "Sent again", "Segments sent again, and why", again, row => row.retransmits, 1],
  ["snd_wnd", "Peer’s wnd", "Window: what the peer lets us send", row => bytes(row.snd_wnd), row => row.snd_wnd, 1],
  ["rcv_wnd", "Our wnd", "Window: what we let the peer send", row => bytes(row.rcv_wnd), row => row.rcv_wnd, 1],
  ["not_sent", "To send", "Written by the program here, and not sent yet", row => bytes(row.not_sent), row => row.not_sent, 1],
  ["unread", "To read", "Received, and not read by the program here", row => bytes(row.unread), row => row.unread, 1],
  ["congestion", "Control", "Congestion control", row => row.congestion, row => row.congestion],
];

export const keyOf = row => `${row.local} ${row.remote}`;

export class Table {
  constructor(table, onPick) {
    this.head = table.tHead;
    this.body = table.tBodies[0];
    this.onPick = onPick;
    this.lines = new Map(); // key -> { tr, row, order }
    this.order = 0;
    this.sort = { column: null, down: true };
    this.picked = this.current = null;
    this.mine = new Set();
    this.drawHead();
    this.body.addEventListener("click", event => {
      const tr = event.target.closest("tr");
      if (tr && !String(getSelection())) { this.focus(tr.dataset.key); onPick(tr.dataset.key); }
    });
    this.body.addEventListener("keydown", event => this.key(event));
    this.body.addEventListener("focusin", event => {
      const tr = event.target.closest("tr");
      if (tr) this.rove(tr.dataset.key);
    });
  }

  drawHead() {
    const cells = COLUMNS.map(([key, title, why, , , number]) => {
      const button = el("button", { type: "button", title: why }, title);
      const th = el("th", { scope: "col", class: number ? "n" : null, "data-key": key }, button);
      button.addEventListener("click", () => this.sortBy(key, Boolean(number)));
      return th;
    });
    this.head.replaceChildren(el("tr", {}, ...cells));
  }

  // first the way one mostly wants, then the other, then as they came
  sortBy(column, down) {
    const same = this.sort.column === column;
    if (!same) this.sort = { column, down };
    else if (this.sort.down === down) this.sort = { column, down: !down };
    else this.sort = { column: null, down: true };
    for (const th of this.head.querySelectorAll("th")) {
      if (th.dataset.key === this.sort.column) th.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
    this.arrange();
  }

  update(rows, seconds) {
    const seen = new Set();
    this.oneHost = new Set(rows.map(row => row.local.split(":")[0])).size < 2; // then its port says it all
    for (const row of [...rows].reverse()) { // the first was heard of last: of those that are new it is to stand above
      const key = keyOf(row);
      seen.add(key);
      let line = this.lines.get(key);
      if (!line) this.lines.set(key, line = { tr: this.line(key), order: this.order++, row: null });
      const before = line.row;
      row.rate = before && seconds > 0 ? Math.max(0, row.acked_bytes - before.acked_bytes) / seconds : 0;
      line.row = row;
      this.fill(line);
    }
    for (const [key, line] of this.lines) if (!seen.has(key)) { line.tr.remove(); this.lines.delete(key); }
    this.arrange();
  }

  line(key) {
    const cells = COLUMNS.map(([name, , , , , number]) => {
      const td = el("td", { class: number ? "n" : null });
      if (name === "state") td.append(el("span", { class: "state" }, ""));
      else if (name === "remote") td.append(el("span", {}, ""), el("span", { class: "tag", hidden: "" }, "this page"));
      else td.append("");
      return td;
    });
    return el("tr", { tabindex: "-1", "data-key": key, "aria-selected": String(key === this.picked) }, ...cells);
  }

  fill({ tr, row }) {
    COLUMNS.forEach(([name, , , text], i) => {
      const td = tr.children[i];
      if (name === "state") {
        const span = td.firstChild;
        span.dataset.kind = kind(row.state, row.phase);
        say(span, row.phase === "open" ? row.state : `${row.state} · ${row.phase}`);
      } else if (name === "remote") {
        say(td.firstChild, text(row));
        td.lastChild.hidden = !this.mine.has(row.remote);
      } else say(td, text(row, this));
      if (name === "retransmits") td.classList.toggle("again", row.retransmits > 0);
    });
  }

  sorted() {
    const lines = [...this.lines.values()];
    const column = COLUMNS.find(([key]) => key === this.sort.column);
    if (!column) return lines.sort((a, b) => b.order - a.order);
    const [value, sign] = [column[4], this.sort.down ? -1 : 1];
    const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return lines.sort((a, b) => sign * compare(value(a.row), value(b.row)) || a.order - b.order);
  }

  arrange() {
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    this.sorted().forEach(({ tr }, i) => {
      if (this.body.children[i] !== tr) this.body.insertBefore(tr, this.body.children[i] ?? null);
    });
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    if (!this.lines.has(this.current)) this.current = this.body.firstElementChild?.dataset.key ?? null;
    this.rove(this.current);
  }

  rove(key) {
    this.current = key;
    for (const tr of this.body.children) tr.tabIndex = tr.dataset.key === key ? 0 : -1;
  }

  focus(key) {
    this.rove(key);
    this.lines.get(key)?.tr.focus();
  }

  key(event) {
    const rows = [...this.body.children];
    const at = rows.findIndex(tr => tr.dataset.key === this.current);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (to !== undefined && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const tr = rows[Math.max(0, Math.min(rows.length - 1, to))];
      if (tr) this.focus(tr.dataset.key);
    } else if ((event.key === "Enter" || event.key === " ") && this.current) {
      event.preventDefault();
      this.onPick(this.current);
    }
  }

  select(key) {
    this.picked = key;
    for (const tr of this.body.children) tr.setAttribute("aria-selected", String(tr.dataset.key === key));
  }
}
