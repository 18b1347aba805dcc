// Curves as SVG: lines of several runs over each other, read off by mouse or by the arrow keys.
import { make } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";
const SIZE = { left: 58, right: 12, top: 12, bottom: 34 };
/** A picture is drawn about as wide as it is shown, so that its texts are as large as others. */
const shownSize = (place) => (matchMedia("(max-width: 40rem)").matches ? { width: 370, height: 240 } : place === "side" ? { width: 640, height: 260 } : { width: 1100, height: 300 });

export const svg = (tag, attributes = {}, ...children) => {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** Round numbers between two values, about as many as asked for. */
export const ticks = (low, high, about = 5) => {
  const rough = (high - low || 1) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((size) => size * power >= rough) * power;
  const all = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) all.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return all;
};

export const short = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 }).replace("-", "−");

/**
 * A frame with axes.
 * @returns the picture, its layer for marks, and functions from values to places.
 */
export const frame = ({ x, y, xText = short, yText = short, label, place = "" }) => {
  const box = { ...SIZE, ...shownSize(place) };
  const wide = box.width - box.left - box.right;
  const high = box.height - box.top - box.bottom;
  const at = {
    x: (value) => box.left + (wide * (value - x[0])) / (x[1] - x[0] || 1),
    y: (value) => box.top + high - (high * (value - y[0])) / (y[1] - y[0] || 1),
    fromX: (place) => x[0] + ((place - box.left) / wide) * (x[1] - x[0]),
  };
  const picture = svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, class: "chart", role: "img", "aria-label": label, tabindex: "0" });
  const grid = svg("g", { class: "grid" });
  for (const value of ticks(...y)) {
    grid.append(svg("line", { x1: box.left, x2: box.width - box.right, y1: at.y(value), y2: at.y(value) }),
      svg("text", { x: box.left - 6, y: at.y(value) + 4, "text-anchor": "end" }, yText(value)));
  }
  for (const [value, words] of Array.isArray(xText) ? xText : ticks(...x, box.width < 500 ? 4 : 8).map((one) => [one, xText(one)])) {
    grid.append(svg("line", { class: "up", x1: at.x(value), x2: at.x(value), y1: box.height - box.bottom, y2: box.height - box.bottom + 4 }),
      svg("text", { x: at.x(value), y: box.height - box.bottom + 18, "text-anchor": "middle" }, words));
  }
  const marks = svg("g", {});
  picture.append(grid, marks);
  return { picture, marks, at, box };
};

const range = (values, pad) => {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * pad;
  return [low - room, high + room];
};

/**
 * Curves of several runs.
 * @param series { id, name, shade (1-8), x, y } each.
 * @param remove called with the id of an experiment whose button is pressed; null: no buttons.
 */
export const curves = (series, { xName, yName, yText, remove = null, place = "" }) => {
  const drawnSeries = series.filter((one) => one.x.length);
  const all = drawnSeries.flatMap((one) => one.y.filter((value) => value !== null));
  const figure = make("figure", { class: "curves" });
  const places = drawnSeries.flatMap((one) => [one.x[0], one.x.at(-1)]);
  const { picture, marks, at, box } = frame({
    x: range(places, places.length && Math.min(...places) === Math.max(...places) ? 0.5 : 0), y: range(all, 0.06), yText, place,
    label: `${yName} over ${xName}: ${drawnSeries.map((one) => `${one.name} ends at ${one.y.length ? yText(one.y.at(-1) ?? 0) : "nothing"}`).join("; ")}. Arrow keys read the curves.`,
  });
  for (const one of drawnSeries) {
    let path = "", pen = "M";
    for (const [place, value] of one.y.entries()) {
      if (value === null) { pen = "M"; continue; } // a gap where the number was not finite
      path += `${pen}${at.x(one.x[place]).toFixed(1)} ${at.y(value).toFixed(1)}`;
      pen = "L";
    }
    marks.append(svg("path", { class: `line s${one.shade}${one.dash ? " dash" : ""}`, d: one.x.length === 1 ? `${path}h.01` : path }));
  }
  const cursor = svg("line", { class: "cursor", y1: box.top, y2: box.height - box.bottom, visibility: "hidden" });
  marks.append(cursor, svg("text", { class: "axis-words", x: box.width - box.right, y: box.height - 2, "text-anchor": "end" }, xName));
  const legend = make("ul", { class: "plain-list legend" });
  const values = new Map();
  const listed = new Set();
  for (const one of series) {
    const value = make("span", { class: "number" });
    values.set(one, value);
    const button = remove && !listed.has(one.id) ? make("button", { type: "button", class: "quiet", "data-remove": one.id, "aria-label": `Take ${one.id} off the curves` }, "×") : null;
    button?.addEventListener("click", () => remove(one.id));
    listed.add(one.id);
    legend.append(make("li", {}, make("i", { class: `swatch s${one.shade}${one.dash ? " dash" : ""}` }), make("span", { class: "of" }, one.name), value, button));
  }
  const readout = make("p", { class: "small soft readout", role: "status" });
  const show = (place) => {
    cursor.setAttribute("visibility", place === null ? "hidden" : "visible");
    if (place !== null) { cursor.setAttribute("x1", at.x(place)); cursor.setAttribute("x2", at.x(place)); }
    const told = [];
    for (const one of series) {
      let nearest = one.x.length - 1;
      if (place !== null) for (let number = 0; number < one.x.length; number += 1) if (Math.abs(one.x[number] - place) < Math.abs(one.x[nearest] - place)) nearest = number;
      const value = one.y[nearest];
      values.get(one).textContent = value === undefined || value === null ? "no numbers" : yText(value);
      told.push(`${one.name} ${values.get(one).textContent}`);
    }
    readout.textContent = place === null ? `${yName}, at the end of each` : `${yName} at ${xName} ${short(place)}`;
    return told;
  };
  const steps = [...new Set(drawnSeries.flatMap((one) => one.x))].sort((a, b) => a - b);
  let step = null;
  picture.addEventListener("pointermove", (event) => {
    const bounds = picture.getBoundingClientRect();
    const value = at.fromX(((event.clientX - bounds.left) / bounds.width) * box.width);
    if (!steps.length) return;
    step = steps.reduce((best, one, number) => (Math.abs(one - value) < Math.abs(steps[best] - value) ? number : best), 0);
    show(steps[step]);
  });
  picture.addEventListener("pointerleave", () => show(null));
  picture.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move || !steps.length) return;
    event.preventDefault();
    event.stopPropagation();
    step = Math.min(steps.length - 1, Math.max(0, (step ?? (move > 0 ? -1 : steps.length)) + move));
    show(steps[step]);
  });
  picture.addEventListener("blur", () => { step = null; show(null); });
  figure.append(picture, readout, legend);
  show(null);
  return figure;
};
