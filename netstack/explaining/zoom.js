"use strict";
// A diagram is a view box of a plot, so to zoom is to look at a part of it. Nothing is needed of this to read the page.
for (const chart of document.querySelectorAll(".chart")) {
  const svg = chart.querySelector("svg"), across = chart.querySelector(".across"), high = 400;
  const t0 = Number(chart.dataset.t0), t1 = Number(chart.dataset.t1), all = across.innerHTML;
  let left = 0, wide = 1000;
  const text = (ms, step) => (step >= 1000 ? (ms / 1000).toFixed(0) + " s" : step >= 1 ? ms.toFixed(0) + " ms" : ms.toFixed(3) + " ms");
  function show(x, w) {
    wide = Math.min(1000, Math.max(0.5, w));
    left = Math.min(1000 - wide, Math.max(0, x));
    svg.setAttribute("viewBox", `${left} 0 ${wide} ${high}`);
    if (wide === 1000) { across.innerHTML = all; return; }
    const from = t0 + (t1 - t0) * left / 1000, span = (t1 - t0) * wide / 1000;
    let step = 10 ** Math.floor(Math.log10(span / 4));
    for (const f of [2, 2.5, 2]) if (span / step > 7) step *= f;
    across.replaceChildren();
    for (let t = Math.ceil(from / step) * step; t <= from + span; t += step) {
      const mark = document.createElement("span");
      mark.textContent = text(t, step);
      mark.style.left = `${(t - from) / span * 100}%`;
      across.append(mark);
    }
  }
  chart.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { "+": [left + wide / 4, wide / 2], "=": [left + wide / 4, wide / 2], "-": [left - wide / 2, wide * 2],
      "ArrowLeft": [left - wide / 4, wide], "ArrowRight": [left + wide / 4, wide], "0": [0, 1000] };
    if (event.key in moves) { show(...moves[event.key]); event.preventDefault(); }
  });
  let from = null, shade = null;
  const at = event => Math.min(1, Math.max(0, (event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth));
  svg.addEventListener("pointerdown", event => {
    if (event.pointerType === "touch" || event.button) return;
    from = at(event);
    shade = Object.assign(document.createElement("div"), { className: "zoom" });
    chart.append(shade);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", event => {
    if (from === null) return;
    const to = at(event);
    shade.style.left = `${Math.min(from, to) * 100}%`;
    shade.style.width = `${Math.abs(to - from) * 100}%`;
  });
  const end = event => {
    if (from === null) return;
    const to = at(event), a = Math.min(from, to), b = Math.max(from, to);
    shade.remove();
    from = null;
    if (b - a > 0.01) show(left + a * wide, (b - a) * wide);
  };
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", () => { if (from !== null) { shade.remove(); from = null; } });
  svg.addEventListener("dblclick", () => show(0, 1000));
}
