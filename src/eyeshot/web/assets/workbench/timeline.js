// All experiments over time: what each got, and the best so far.
import { make } from "./dom.js";
import { frame, svg } from "./charts.js";
import { moment, percent, plural } from "./words.js";

const GAINS = ["better", "not distinguishable", "worse", ""];
const NAMES = ["better than its parent", "not distinguishable", "worse", "without a verdict"];

/**
 * @param told { ids, times (s), values, gains (number in GAINS) }, in the order of the ledger.
 * @param open called with the id of an experiment that is pressed.
 */
export const timeline = (told, open) => {
  const { ids, times, values, gains } = told;
  if (!ids.length) return make("p", { class: "soft" }, "No experiment here has a result yet.");
  // By the order in the ledger, not by the clock: nights are not empty space, and a clock set back moves nothing.
  const low = Math.min(...values), high = Math.max(...values), room = (high - low || 0.02) * 0.06;
  const labels = [];
  const every = Math.max(1, Math.ceil(ids.length / (matchMedia("(max-width: 40rem)").matches ? 3 : 6)));
  for (let place = 0; place < ids.length; place += every) labels.push([place, moment(times[place] * 1000)]);
  const { picture, marks, at, box } = frame({
    x: [-0.5, Math.max(0.5, ids.length - 0.5)], y: [low - room, high + room], xText: labels, yText: (value) => percent(value),
    label: `${plural(ids.length, "experiment")} in the order of the ledger, ${percent(low)} to ${percent(high)}. Arrow keys go through them, Enter opens one.`,
  });
  const paths = GAINS.map(() => "");
  let best = -Infinity, line = "";
  for (let place = 0; place < ids.length; place += 1) {
    const x = at.x(place).toFixed(1);
    paths[gains[place]] += `M${x} ${at.y(values[place]).toFixed(1)}h.01`; // round ends make dots: one node for thousands
    if (values[place] > best) {
      best = values[place];
      line += line ? `H${x}V${at.y(best).toFixed(1)}` : `M${x} ${at.y(best).toFixed(1)}`;
    }
  }
  marks.append(svg("path", { class: "best", d: `${line}H${at.x(ids.length - 1).toFixed(1)}` }));
  for (const number of [3, 1, 2, 0]) if (paths[number]) marks.append(svg("path", { class: `dots g${number}${ids.length > 300 ? " many" : ""}`, d: paths[number] }));
  const ring = svg("circle", { class: "ring", r: 7, visibility: "hidden" });
  marks.append(ring);
  const readout = make("p", { class: "small soft readout", role: "status" });
  let place = null;
  const show = (next) => {
    place = next;
    ring.setAttribute("visibility", place === null ? "hidden" : "visible");
    if (place === null) { readout.textContent = "Dots are experiments in the order of the ledger; the line is the best so far, noise included."; return; }
    ring.setAttribute("cx", at.x(place));
    ring.setAttribute("cy", at.y(values[place]));
    readout.textContent = `${ids[place]}: ${percent(values[place])}, ${NAMES[gains[place]]}, ${moment(times[place] * 1000)}`;
  };
  const nearest = (event) => {
    const bounds = picture.getBoundingClientRect();
    const x = ((event.clientX - bounds.left) / bounds.width) * box.width;
    const y = ((event.clientY - bounds.top) / bounds.height) * box.height;
    let found = null, least = 30 ** 2;
    for (let number = 0; number < ids.length; number += 1) {
      const far = (at.x(number) - x) ** 2 + (at.y(values[number]) - y) ** 2;
      if (far < least) { least = far; found = number; }
    }
    return found;
  };
  picture.addEventListener("pointermove", (event) => show(nearest(event)));
  picture.addEventListener("pointerleave", () => show(null));
  picture.addEventListener("blur", () => show(null));
  picture.addEventListener("click", (event) => { const found = nearest(event); if (found !== null) open(ids[found]); });
  picture.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" && place !== null) { event.preventDefault(); event.stopPropagation(); open(ids[place]); }
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    show(Math.min(ids.length - 1, Math.max(0, place === null ? (by > 0 ? 0 : ids.length - 1) : place + by)));
  });
  show(null);
  const legend = make("ul", { class: "plain-list legend row" }, ...GAINS.map((_, number) => number).filter((number) => paths[number])
    .map((number) => make("li", {}, make("i", { class: `swatch dot g${number}` }), NAMES[number])));
  return make("figure", {}, picture, readout, legend);
};
