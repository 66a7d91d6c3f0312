// Two kinds of pictures on canvases: lines over time, and the time-sequence diagram.

import { bytes, count, REASONS } from "./words.js";

const PAST = 35e6; // µs that are remembered: a little more than the longest span
const MOST = 40000; // things of a diagram that are remembered

const probe = document.createElement("span");
probe.hidden = true;

export function colours() {
  if (!probe.isConnected) document.body.append(probe);
  const found = {};
  for (const name of ["fg", "dim", "grid", "card", "sent", "got", "ack", "win", "again", "late", "sack", "band"]) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  return found;
}

// steps of 1, 2 or 5 that give at most `most` of them
function step(span, most) {
  const raw = span / most;
  const ten = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find(n => n * ten >= raw) * ten;
}

function ago(us) {
  if (Math.abs(us) < 1) return "now";
  const sign = us < 0 ? "−" : "+";
  const t = Math.abs(us);
  return t >= 1e6 ? `${sign}${+(t / 1e6).toFixed(2)} s` : t >= 1e3 ? `${sign}${+(t / 1e3).toFixed(2)} ms` : `${sign}${Math.round(t)} µs`;
}

class Canvas {
  constructor(canvas) {
    this.canvas = canvas;
    this.colour = colours();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // a context in CSS pixels, cleared; null while the canvas is not on the screen
  begin() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    if (!w || !h) return null;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
      this.canvas.width = Math.round(w * ratio);
      this.canvas.height = Math.round(h * ratio);
    }
    const c = this.canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, h);
    c.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    this.w = w;
    this.h = h;
    this.box = { left: 66, right: w - 10, top: 8, bottom: h - 22 };
    return c;
  }

  axes(c, from, to, low, high, text) {
    const { left, right, top, bottom } = this.box;
    c.fillStyle = this.colour.dim;
    c.strokeStyle = this.colour.grid;
    c.lineWidth = 1;
    c.beginPath();
    const dy = step(high - low || 1, Math.max(2, (bottom - top) / 45));
    c.textAlign = "right";
    c.textBaseline = "middle";
    for (let v = Math.ceil(low / dy) * dy; v <= high; v += dy) {
      const y = Math.round(this.y(v)) + .5;
      c.moveTo(left, y);
      c.lineTo(right, y);
      c.fillText(text(v), left - 8, y);
    }
    const dx = step(to - from, Math.max(2, (right - left) / 90));
    c.textAlign = "center";
    c.textBaseline = "top";
    for (let t = 0; t >= from - to; t -= dx) {
      const x = Math.round(this.x(to + t)) + .5;
      c.moveTo(x, top);
      c.lineTo(x, bottom);
      c.textAlign = t === 0 ? "right" : "center";
      if (x > left + 10 || t === 0) c.fillText(this.stamp ? this.stamp(t) : ago(t), x, bottom + 6);
    }
    c.stroke();
  }

  scale(from, to, low, high) {
    const { left, right, top, bottom } = this.box;
    this.x = t => left + (t - from) / (to - from) * (right - left);
    this.y = v => bottom - (v - low) / (high - low || 1) * (bottom - top);
  }

  clip(c) {
    const { left, right, top, bottom } = this.box;
    c.beginPath();
    c.rect(left, top - 2, right - left, bottom - top + 4);
    c.clip();
  }
}

// Lines over the last `span` µs. A point is [t, value, …]; `lines` say which value has which colour, `band` two of them.
export class Lines extends Canvas {
  constructor(canvas, { lines, band, text, least, span = 30e6 }) {
    super(canvas);
    Object.assign(this, { lines, band, text, least, span, points: [] });
  }

  reset() { this.points = []; this.draw(); }

  add(point) {
    this.points.push(point);
    while (this.points.length && this.points[0][0] < point[0] - PAST) this.points.shift();
  }

  draw() {
    const c = this.begin();
    if (!c) return;
    const to = this.points.at(-1)?.[0] ?? 0;
    const from = to - this.span;
    const shown = this.points.filter(point => point[0] >= from - 1e6);
    const all = shown.flatMap(point => this.band ? [...this.lines.map(([i]) => point[i]), point[this.band[1]]] : this.lines.map(([i]) => point[i]));
    let high = Math.max(this.least, ...all.filter(v => v !== null)) * 1.08;
    const unit = step(high, 4);
    high = Math.ceil(high / unit) * unit;
    this.scale(from, to, 0, high);
    this.axes(c, from, to, 0, high, this.text);
    c.save();
    this.clip(c);
    if (this.band && shown.length > 1) {
      const [low, up] = this.band;
      c.fillStyle = this.colour.band;
      c.beginPath();
      for (const point of shown) c.lineTo(this.x(point[0]), this.y(point[up]));
      for (const point of [...shown].reverse()) c.lineTo(this.x(point[0]), this.y(point[low]));
      c.fill();
    }
    for (const [i, colour, dash, fill] of this.lines) {
      c.strokeStyle = this.colour[colour];
      c.lineWidth = dash ? 1.2 : 1.8;
      c.lineJoin = "round";
      c.setLineDash(dash ? [5, 4] : []);
      c.beginPath();
      let first = null, last = null;
      for (const point of shown) {
        if (point[i] === null) continue;
        last = this.x(point[0]);
        first ??= last;
        c.lineTo(last, this.y(point[i]));
      }
      c.stroke();
      if (fill && first !== null) {
        c.lineTo(last, this.y(0));
        c.lineTo(first, this.y(0));
        c.globalAlpha = .1;
        c.fillStyle = this.colour[colour];
        c.fill();
        c.globalAlpha = 1;
      }
    }
    c.restore();
  }
}

// Where in the stream (upright) and when (to the right): segments, what the receiver acknowledged, and how far it lets the sender go.
export class Sequence extends Canvas {
  constructor(canvas, readout) {
    super(canvas);
    this.readout = readout;
    this.span = 10e6;
    this.way = "out";
    this.frozen = null; // µs at the right edge, when it does not follow
    this.now = 0;
    this.reset();
    canvas.addEventListener("keydown", event => this.key(event));
    canvas.addEventListener("pointermove", event => this.point(event));
    canvas.addEventListener("pointerleave", () => { this.readout.textContent = ""; });
  }

  reset() {
    const way = () => ({ data: [], acks: [], sacks: [], skipped: 0 });
    this.ways = { out: way(), in: way() };
    this.why = []; // t, from, n, reason
    this.draw?.();
  }

  add(sample) {
    this.now = sample.t;
    for (const name of ["out", "in"]) {
      const way = this.ways[name];
      for (const part of ["data", "acks", "sacks"]) {
        for (const each of sample[name][part]) way[part].push(each);
        const old = sample.t - PAST;
        let n = Math.max(0, way[part].length - MOST);
        while (n < way[part].length && way[part][n][part === "data" ? 2 : 0] < old) n++;
        if (part === "acks" && n) n--; // the stairs begin somewhere
        if (n) way[part].splice(0, n);
      }
      way.skipped += sample[name].skipped;
    }
    this.why.push(...sample.again);
    if (this.why.length > 500) this.why.splice(0, this.why.length - 500);
  }

  freeze(on) {
    this.frozen = on ? this.frozen ?? this.now : null;
    this.onfreeze?.(this.frozen !== null);
    this.draw();
  }

  key(event) {
    const move = sign => { this.freeze(true); this.frozen = Math.min(this.now, this.frozen + sign * this.span / 5); };
    const act = {
      ArrowLeft: () => move(-1), ArrowRight: () => move(1), " ": () => this.freeze(this.frozen === null),
      "+": () => this.onspan?.(-1), "=": () => this.onspan?.(-1), "-": () => this.onspan?.(1),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
    this.draw();
  }

  point(event) {
    if (!this.inverse) return;
    const { left, top } = this.canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - left, event.clientY - top];
    const [t, v] = this.inverse(px, py);
    const near = this.way === "out" ? this.why.find(([at, from, n]) =>
      Math.abs(this.x(at) - px) < 7 && py > this.y(from + n) - 7 && py < this.y(from) + 7) : null;
    this.readout.textContent = near
      ? `sent again, ${near[3]}: ${REASONS[near[3]] ?? ""}`
      : `${ago(t - this.now)} · byte ${count(Math.max(0, Math.round(v)))}`;
  }

  draw() {
    const c = this.begin();
    if (!c || !this.ways) return;
    const { data, acks, sacks } = this.ways[this.way];
    const to = this.frozen ?? this.now;
    const from = to - this.span;
    const shown = data.filter(d => d[2] >= from && d[0] <= to);
    const first = Math.max(0, acks.findLastIndex(a => a[0] < from));
    const stairs = acks.slice(first).filter(a => a[0] <= to);
    let low = Infinity, high = -Infinity, edge = -Infinity;
    for (const d of shown) { low = Math.min(low, d[1]); high = Math.max(high, d[3]); }
    for (const a of stairs) { low = Math.min(low, a[1]); high = Math.max(high, a[1]); edge = Math.max(edge, a[2]); }
    const { left, right, top, bottom } = this.box;
    if (low === Infinity) {
      this.inverse = null;
      c.fillStyle = this.colour.dim;
      c.textAlign = "center";
      c.fillText(`No segment in these ${this.span >= 1e6 ? `${this.span / 1e6} seconds` : `${this.span / 1e3} milliseconds`}.`, this.w / 2, this.h / 2);
      this.drawn = 0;
      return;
    }
    // the window's end is shown where that leaves at least a third of the height to what happened
    if (edge > high) high = Math.min(edge, high + 2 * Math.max(high - low, 1500));
    const room = Math.max(1, high - low) * .05;
    low = Math.max(0, low - room);
    high += room;
    this.scale(from, to, low, high);
    this.inverse = (px, py) => [from + (px - left) / (right - left) * (to - from), low + (bottom - py) / (bottom - top) * (high - low)];
    this.axes(c, from, to, low, high, bytes);
    c.save();
    this.clip(c);
    const stair = (index, colour, width) => {
      c.strokeStyle = colour;
      c.lineWidth = width;
      c.beginPath();
      let y = null;
      for (const a of stairs) {
        const x = this.x(a[0]);
        if (y !== null) c.lineTo(x, y);
        y = this.y(a[index]);
        c.lineTo(x, y);
      }
      if (y !== null) c.lineTo(this.x(to), y);
      c.stroke();
    };
    stair(2, this.colour.win, 1.2);
    stair(1, this.colour.ack, 1.6);
    c.lineCap = "butt";
    for (const [kind, colour, width] of [[0, "sent", 2], [2, "late", 3], [1, "again", 3]]) {
      c.strokeStyle = this.colour[colour];
      c.lineWidth = width;
      c.beginPath();
      for (const d of shown) {
        if (d[4] !== kind) continue;
        const [x0, x1, y0] = [this.x(d[0]), this.x(d[2]), this.y(d[1])];
        c.moveTo(x0, y0);
        c.lineTo(x1, Math.min(this.y(d[3]), y0 - 2)); // a segment is seen, however small
      }
      c.stroke();
    }
    c.strokeStyle = this.colour.sack;
    c.lineWidth = 3;
    c.beginPath();
    for (const s of sacks) if (s[0] >= from && s[0] <= to) {
      const x = this.x(s[0]);
      c.moveTo(x, this.y(s[1]));
      c.lineTo(x, Math.min(this.y(s[2]), this.y(s[1]) - 2));
    }
    c.stroke();
    if (this.way === "out") {
      c.fillStyle = this.colour.again;
      c.textAlign = "left";
      c.textBaseline = "bottom";
      let edge = -Infinity;
      for (const [t, start, n, reason] of this.why) if (t >= from && t <= to && this.x(t) > edge) {
        c.fillText(reason, this.x(t) + 4, this.y(start + n) - 3);
        edge = this.x(t) + 40;
      }
    }
    c.restore();
    this.drawn = shown.length + stairs.length;
    this.canvas.setAttribute("aria-label", `Time-sequence diagram: ${count(shown.length)} pieces of the stream and ${count(stairs.length)} acknowledgements, `
      + `bytes ${count(Math.round(low))} to ${count(Math.round(high))}`);
  }
}
