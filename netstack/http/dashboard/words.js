// Numbers and what they mean, for people.

const group = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = value => group.format(value);

const scaled = (value, units, step) => {
  let i = 0;
  while (Math.abs(value) >= 999.5 && i < units.length - 1) { value /= step; i++; }
  const digits = i === 0 || Math.abs(value) >= 99.5 ? 0 : Math.abs(value) >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[i]}`;
};

export const bytes = value => value < 0 ? "–" : scaled(value, ["B", "kB", "MB", "GB", "TB"], 1000);
export const rate = value => scaled(value * 8, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"], 1000);
export const time = ns => ns <= 0 ? "–" : ns < 1000 ? "< 1 µs" : scaled(ns / 1000, ["µs", "ms", "s"], 1000);

// "5.53 ± 10.7 ms": both in the unit of the first
export function spread(ns, around) {
  if (ns < 1000) return time(ns);
  const [unit, name] = ns >= 1e9 ? [1e9, "s"] : ns >= 1e6 ? [1e6, "ms"] : [1e3, "µs"];
  const short = value => value >= 99.5 ? value.toFixed(0) : String(+value.toPrecision(3));
  return `${short(ns / unit)} ± ${short(around / unit)} ${name}`;
}

export function uptime(ms) {
  const s = Math.floor(ms / 1000);
  for (const [unit, name, part, partName] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]])
    if (s >= unit) return `${Math.floor(s / unit)} ${name} ${Math.floor(s % unit / part)} ${partName}`;
  return `${s} s`;
}

// why a segment was sent again: tcp/recovery/history.py
export const REASONS = {
  rack: "something sent later has arrived, so this is held to be lost (RACK, RFC 8985)",
  dupacks: "three duplicate acknowledgements, of a peer without SACK (fast retransmit, RFC 5681)",
  partial: "an acknowledgement in recovery ended where a hole begins (RFC 6582)",
  rto: "nothing was heard for a whole retransmission time-out (RFC 6298)",
  probe: "a tail loss probe: the last of a flight went unanswered for two round trips (TLP, RFC 8985 7)",
  pmtu: "a router could not forward it, for its size (path MTU discovery, RFC 1191)",
  reneging: "the peer has discarded what it had SACKed (RFC 2018 8)",
  syn: "the SYN, or the SYN,ACK, was not answered",
};

const KINDS = { ESTABLISHED: "open", "SYN-SENT": "opening", "SYN-RECEIVED": "opening", LISTEN: "open" };
export const kind = (state, phase) => phase !== "open" ? "trouble" : KINDS[state] ?? "closing";

export const GROUPS = {
  Link: "frames of the device", Arp: "who is where on the link", Ip: "datagrams", Icmp: "pings and errors", Igmp: "multicast groups",
  Udp: "datagrams of programs", Tcp: "segments and connections", TcpExt: "TCP in detail, as in Linux's netstat -s",
  Http: "the server of this page", Dns: "names",
};

// an element with text in it: nothing that came over the wire is ever read as HTML
export function el(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(key, value);
  made.append(...inside.map(each => each instanceof Node ? each : String(each)));
  return made;
}

// change text only where it differs: a selection stays, and the browser has less to do
export function say(node, text) {
  text = String(text);
  if (node.firstChild?.nodeType === Node.TEXT_NODE && node.childNodes.length === 1) {
    if (node.firstChild.data !== text) node.firstChild.data = text;
  } else node.textContent = text;
}

// a <dl> of [key, title, value, explanation, hot]
export function list(dl, facts) {
  const was = dl.children;
  if (was.length !== facts.length || facts.some(([key], i) => was[i].dataset.key !== key))
    dl.replaceChildren(...facts.map(([key, title, , why]) => el("div", { "data-key": key, title: why }, el("dt", {}, title), el("dd", {}, ""))));
  facts.forEach(([, , value, , hot], i) => {
    say(dl.children[i].lastChild, value);
    dl.children[i].classList.toggle("hot", Boolean(hot));
  });
}
