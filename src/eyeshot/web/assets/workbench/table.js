// The table of experiments: a page of rows, kept in place while their contents change.
import { by, make } from "./dom.js";
import { NOTHING, percent, pointRange, points, pValue, range, STATES, VERDICTS } from "./words.js";

const drawn = new Map(); // of each row on the screen: what was drawn
let current = "";

const cell = (label, ...children) => make("td", { "data-label": label }, make("div", {}, ...children));

export const badge = (verdict) => {
  const [kind, sign] = VERDICTS[verdict] ?? ["none", ""];
  return make("span", { class: `badge ${kind}` }, `${sign} ${verdict}`);
};
export const stateBadge = (state) => make("span", { class: `state ${state}` }, `${STATES[state] ?? ""} ${state}`);

/** A name that may be broken after a dot or an underscore, so that no word is. */
const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [part, make("wbr")]);

export const differences = (list, more = 0) => make("ul", { class: "plain-list settings" },
  ...list.map(([name, before, after]) => make("li", {}, make("span", { class: "setting" }, ...breakable(name)), " ", make("span", { class: "soft" }, before), " → ", make("b", {}, after))),
  more ? make("li", { class: "soft" }, `and ${more} more`) : null);

/** The gain with its interval on an axis that all rows share, and what was expected as an open mark. */
export const gainBar = (row, reach) => {
  const got = row.got;
  if (!got || got.change === null || got.change === undefined) return "";
  const place = (value) => `${Math.min(100, Math.max(0, 50 + (50 * value) / reach))}%`;
  const bar = make("span", {
    class: "interval", role: "img",
    "aria-label": `${points(got.change)}, 95 %: ${pointRange({ low: got.change_low, high: got.change_high }) || "unknown"}`,
  });
  const piece = (kind, left, width) => {
    const node = make("i", { class: kind });
    node.style.left = left; // through the object model: inline styles are forbidden to this page
    if (width) node.style.width = width;
    bar.append(node);
  };
  piece("zero", "50%");
  if (got.change_low !== null && got.change_high !== null) {
    const left = Number.parseFloat(place(got.change_low));
    piece("bar", `${left}%`, `${Math.max(0.5, Number.parseFloat(place(got.change_high)) - left)}%`);
  }
  if (row.expected?.aim !== null && row.expected?.aim !== undefined) piece("aim", place(row.expected.aim));
  piece("dot", place(got.change));
  bar.classList.add(VERDICTS[row.gain]?.[0] ?? "none");
  return bar;
};

/** How far the axis of gains reaches on either side: a round number that holds all intervals of the page. */
export const reachOf = (rows) => {
  let most = 0.01;
  for (const { got, expected } of rows) {
    for (const value of [got?.change_low, got?.change_high, got?.change, expected?.aim]) most = Math.max(most, Math.abs(value ?? 0));
  }
  return [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find((step) => step >= most) ?? 1;
};

const cells = (row, reach, chosen) => {
  const box = make("input", { type: "checkbox", "data-choose": row.id, "aria-label": `Choose ${row.id} for the curves` });
  box.checked = chosen;
  const link = make("a", { href: `?open=${encodeURIComponent(row.id)}`, "data-open": row.id }, row.why || "no reason stated");
  const marks = [
    stateBadge(row.state), row.learned ? make("span", { class: "soft" }, "✎ learned") : null,
    row.open_insights ? make("span", { class: "soft" }, `! ${row.open_insights} open`) : null,
    ...row.tags.map((tag) => make("span", { class: "tag" }, tag)),
  ].filter(Boolean);
  const got = row.got;
  return [
    make("td", { class: "choose" }, make("label", {}, box, make("span", { class: "narrow small" }, " curves"))),
    make("th", { scope: "row" }, link, make("div", { class: "under small soft" },
      make("span", { class: "name" }, row.id), " ", row.author && row.author_kind !== "sweep" ? `${row.author}${row.author_kind === "agent" ? " (agent)" : ""} ` : row.author_kind === "sweep" ? "sweep " : "",
      ...marks.flatMap((mark) => [mark, " "]))),
    cell("Difference", row.difference.length ? differences(row.difference, row.difference_more) : make("span", { class: "soft" }, row.parent ? "none but the seed" : "a baseline")),
    cell("Expected", row.expected ? make("span", {}, row.expected.words, row.expected.late ? make("span", { class: "late" }, " (stated late)") : null) : NOTHING),
    cell("Got, 95 %", ...(row.reached ? [make("span", { class: "number" }, percent(row.reached.value)), make("div", { class: "soft" }, `at ${row.reached.rung}`)] : got ? [
      make("b", { class: "number" }, percent(got.value)), " ", make("span", { class: "soft number" }, range(got) && `(${range(got)})`),
      make("div", { class: "soft" }, [got.seeds > 1 ? `${got.seeds} seeds` : "", got.n ? `n ${got.n.toLocaleString("en")}` : ""].filter(Boolean).join(", ")),
    ] : [NOTHING])),
    cell("Gain", gainBar(row, reach), got && got.change !== null ? make("span", { class: "small number" }, points(got.change), got.p === null ? "" : make("span", { class: "soft" }, ` p ${pValue(got.p)}`)) : ""),
    cell("Verdict", row.verdict || row.gain ? badge(row.verdict ?? row.gain) : NOTHING,
      row.gain && row.verdict && row.gain !== row.verdict ? make("div", { class: "small soft" }, `gain: ${row.gain}`) : null,
      row.disagrees ? make("div", { class: "small late" }, "test estimate disagrees") : null,
      row.error ? make("div", { class: "small late" }, row.error) : null),
    cell("Rung", row.rung ?? NOTHING),
  ];
};

/** Draw a page of rows. Rows that stay keep their place in the tree, so that the focus and a screen reader do too. */
export const draw = (rows, chosen, { fresh = new Set() } = {}) => {
  const reach = reachOf(rows);
  const body = by("rows");
  const kept = new Set(rows.map((row) => row.id));
  for (const [id, one] of drawn) {
    if (!kept.has(id)) { one.node.remove(); drawn.delete(id); }
  }
  let before = null;
  for (const row of rows) {
    const text = JSON.stringify([row, reach, chosen.has(row.id)]);
    let one = drawn.get(row.id);
    if (!one) {
      one = { node: make("tr", { "data-id": row.id }), text: "" };
      drawn.set(row.id, one);
    }
    if (one.text !== text) {
      const focused = one.node.contains(document.activeElement) ? document.activeElement.matches("[data-choose]") ? "[data-choose]" : "[data-open]" : null;
      one.node.replaceChildren(...cells(row, reach, chosen.has(row.id)));
      one.node.classList.toggle("fresh", fresh.has(row.id));
      if (focused) one.node.querySelector(focused)?.focus({ preventScroll: true });
      one.text = text;
    }
    const place = before ? before.nextElementSibling : body.firstElementChild;
    if (place !== one.node) body.insertBefore(one.node, place);
    before = one.node;
  }
  const label = (value, left) => {
    const node = make("span", {}, value);
    node.style.left = left;
    return node;
  };
  by("axis").replaceChildren(label(`−${reach * 100}`, "0%"), label("0", "50%"), label(`+${reach * 100}`, "100%"));
  by("table").hidden = rows.length === 0;
};

const links = () => [...by("rows").querySelectorAll("[data-open]")];
/** Move the focus by a number of rows; returns false at an end of the page. */
export const move = (by_) => {
  const all = links();
  const place = all.findIndex((link) => link.dataset.open === current || link.closest("tr").contains(document.activeElement));
  const next = place < 0 ? (by_ > 0 ? 0 : all.length - 1) : place + by_;
  if (next < 0 || next >= all.length) return false;
  all[next].focus();
  return true;
};
/** The experiment that the focus is on. */
export const focused = () => document.activeElement?.closest?.("tr[data-id]")?.dataset.id ?? "";
export const focusOn = (id) => drawn.get(id)?.node.querySelector("[data-open]")?.focus();
export const neighbour = (id, by_) => {
  const ids = links().map((link) => link.dataset.open);
  const place = ids.indexOf(id);
  return place < 0 ? "" : ids[place + by_] ?? "";
};
by("rows").addEventListener("focusin", () => { current = focused(); });
