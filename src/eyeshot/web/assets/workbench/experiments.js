// The tab of experiments: what the address says is asked for and drawn; news of the ledger bring it up to date.
import { change, read } from "./address.js";
import { get } from "./ask.js";
import { curves } from "./charts.js";
import * as details from "./details.js";
import { by, count, make, options } from "./dom.js";
import { begin, leave, renew, unsaved } from "./editing.js";
import * as table from "./table.js";
import { timeline } from "./timeline.js";
import { percent, plural } from "./words.js";

const FILTERS = ["q", "state", "verdict", "rung", "author", "tag", "sort"];
const ROWS = 50;
const MOST_CHOSEN = 8;
const PARTS = ["curves", "timeline", "expectations"];
const METRICS = {
  val_accuracy: ["validation accuracy", "epoch", percent], train_accuracy: ["training accuracy", "epoch", percent],
  train_loss: ["training loss", "epoch", null], loss: ["loss of a step", "step", null], learning_rate: ["learning rate", "step", null],
};
const number = (value) => Number(value.toPrecision(3)).toString();

let told = { rows: [], total: 0, matching: 0 };
let drawnFor = null; // the query of the rows on the screen
let shownId = "";
let cameFrom = null;
let wrong = () => {};

const query = (address) => {
  const asked = Object.fromEntries(FILTERS.filter((name) => address[name]).map((name) => [name, address[name]]));
  return { ...asked, offset: String((Math.max(1, Number.parseInt(address.page ?? "1", 10) || 1) - 1) * ROWS), limit: String(ROWS) };
};
const chosen = () => new Set((read().chosen ?? "").split(",").filter(Boolean));
const shownParts = () => new Set((read().show ?? "").split(",").filter(Boolean));

const refill = (select, list, value, none) => {
  const text = JSON.stringify([list, value]);
  if (select.dataset.text === text || (select === document.activeElement && select.dataset.text)) return;
  select.dataset.text = text;
  select.replaceChildren(make("option", { value: "" }, none));
  options(select, list.map(([name, many]) => [name, `${name} (${count(many)})`]));
  if (value && !list.some(([name]) => name === value)) options(select, [[value, `${value} (0)`]]);
  select.value = value;
};

const say = () => {
  const { matching, total, offset, rows } = told;
  const filtered = FILTERS.some((name) => name !== "sort" && read()[name]);
  by("count").textContent = total === 0 ? "" : `${filtered ? `${count(matching)} of ` : ""}${plural(total, "experiment")}${told.running ? `, ${told.running} running` : ""}`;
  by("nothing").hidden = rows.length > 0;
  by("nothing").replaceChildren(...(total === 0
    ? ["No experiment yet. Try something and say why: ", make("code", {}, 'eyeshot try "why" --set training.label_smoothing=0.1 --expect "up accuracy"')]
    : ["No experiment fits this filter."]));
  by("place").textContent = matching ? `${count(offset + 1)} to ${count(offset + rows.length)} of ${count(matching)}` : "";
  by("back").disabled = offset === 0;
  by("on").disabled = offset + rows.length >= matching;
  by("clear").hidden = !filtered;
};

let asked = 0;
const load = async (address = read(), fresh = new Set()) => {
  const wanted = query(address);
  const turn = ++asked;
  const answer = await get("experiments", wanted);
  if (turn !== asked) return; // a later question was asked meanwhile
  if (answer.rows.length === 0 && answer.matching > 0 && answer.offset > 0) {
    change({ page: "" }, { replace: true });
    return;
  }
  told = answer;
  drawnFor = JSON.stringify(wanted);
  for (const [name, none] of [["state", "all"], ["verdict", "all"], ["rung", "all"], ["author", "all"], ["tag", "all"]]) refill(by(name), answer.options[name], address[name] ?? "", none);
  table.draw(answer.rows, chosen(), { fresh });
  say();
};

// The side sheet -----------------------------------------------------------------------------------------------------
const sheetCurves = async (one) => {
  const place = by("details-curves")?.lastElementChild;
  if (!place || !one.runs.length) { by("details-curves")?.setAttribute("hidden", ""); return; }
  const answer = await get("curves", { ids: [one.id, one.parent].filter(Boolean).join(","), metric: "val_accuracy" });
  if (shownId !== one.id) return;
  by("details-curves").hidden = answer.series.every((each) => each.x.length === 0);
  place.replaceChildren(drawing(answer.series, "val_accuracy", [one.id, one.parent], null, "side"));
};
const open = async (id) => {
  const answer = await get("experiment", { id });
  if (read().open !== id) return;
  leave();
  details.show(answer);
  shownId = id;
  begin(answer);
  const sheet = by("details");
  if (!sheet.open) { cameFrom = id; sheet.showModal(); }
  sheet.querySelector(".body").scrollTop = 0;
  by("details-title").focus();
  for (const button of sheet.querySelectorAll("[data-step]")) button.disabled = !table.neighbour(id, Number(button.dataset.step));
  await sheetCurves(answer);
};
const close = () => {
  leave();
  const before = shownId;
  shownId = "";
  by("details").close();
  table.focusOn(before || cameFrom);
};
const step = (by_) => {
  const next = table.neighbour(shownId, by_);
  if (next) change({ open: next });
};

// Curves, timeline, expectations -------------------------------------------------------------------------------------
const drawing = (series, metric, ids, remove, place = "") => {
  const [yName, xName, yText] = METRICS[metric];
  return curves(series.map((one) => ({ ...one, shade: (ids.indexOf(one.id) % MOST_CHOSEN) + 1 })), { xName, yName, yText: yText ?? number, remove, place });
};
const choose = (id) => {
  const ids = chosen();
  if (!ids.delete(id)) {
    if (ids.size >= MOST_CHOSEN) { wrong(`Curves show ${MOST_CHOSEN} experiments at most. Take one off first.`); table.draw(told.rows, ids); return; }
    ids.add(id);
  }
  change({ chosen: [...ids].join(","), ...(ids.size === 1 && !shownParts().has("curves") ? { show: [...shownParts(), "curves"].join(",") } : {}) }, { replace: true });
};
let curvesTurn = 0;
const loadCurves = async (news = false) => {
  const ids = [...chosen()];
  by("chosen-count").textContent = ids.length ? `(${ids.length})` : "";
  if (!by("curves-part").open) return;
  const metric = METRICS[read().metric] ? read().metric : "val_accuracy";
  const turn = ++curvesTurn;
  const answer = ids.length ? await get("curves", { ids: ids.join(","), metric }) : null;
  if (turn !== curvesTurn) return;
  const select = make("select", { id: "metric" });
  options(select, Object.entries(METRICS).map(([name, [words]]) => [name, words]));
  select.value = metric;
  select.addEventListener("change", () => change({ metric: select.value }));
  const focused = document.activeElement?.id === "metric";
  if (news && document.activeElement?.matches("#curves .chart")) return; // it is being read
  by("curves").replaceChildren(...(answer
    ? [make("p", { class: "small" }, make("label", {}, "Curve of ", select), " ", make("code", {}, `eyeshot compare ${ids.join(" ")}`)), drawing(answer.series, metric, ids, choose),
      answer.without.length ? make("p", { class: "small soft" }, `Without curves: ${answer.without.join(", ")}.`) : ""]
    : [make("p", { class: "small soft" }, "Choose experiments in the table (key x) to lay their curves over each other.")]));
  if (focused) select.focus();
  return answer?.running;
};
const loadTimeline = async (news = false) => {
  if (!by("timeline-part").open || (news && document.activeElement?.matches("#timeline .chart"))) return;
  const address = read();
  const answer = await get("timeline", Object.fromEntries(FILTERS.filter((name) => address[name] && name !== "sort").map((name) => [name, address[name]])));
  by("timeline").replaceChildren(timeline(answer, (id) => change({ open: id })));
};
const loadExpectations = async () => {
  if (!by("expectations-part").open) return;
  const answer = await get("expectations");
  const share = (one, before) => (one[`${before}share`] === null ? "–" : `${percent(one[`${before}share`], 0)} (${percent(one[`${before}low`], 0)} to ${percent(one[`${before}high`], 0)})`);
  const row = (one) => make("tr", {}, make("th", { scope: "row" }, one.group), ...[
    ["compared", count(one.stated)], ["direction came", share(one, "")], ["not distinguishable", count(one.undecided)],
    ["size in the interval", one.sized ? `${one.sizes_came} of ${one.sized}, ${share(one, "size_")}` : "–"],
  ].map(([label, text]) => make("td", { class: "number", "data-label": label }, make("span", {}, text))));
  const rated = (rows, first) => (rows.length ? make("table", { class: "plain stack" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, first), ...["compared", "direction came, 95 %", "not distinguishable", "size in the interval"].map((name) => make("th", { scope: "col", class: "number" }, name)))),
    make("tbody", {}, ...rows.map(row))) : "");
  by("expectations").replaceChildren(...answer.words.map((words) => make("p", { class: "small" }, words)), rated(answer.authors, "author"), rated(answer.months, "month"));
};

// What the frame calls -----------------------------------------------------------------------------------------------
export const name = "experiments";
export const title = "Experiments";

/** Show what the address says. */
export const show = async (address, said) => {
  wrong = said;
  for (const each of FILTERS) if (document.activeElement !== by(each) || !address[each]) by(each).value = address[each] ?? "";
  for (const part of PARTS) by(`${part}-part`).open = shownParts().has(part);
  const wanted = JSON.stringify(query(address));
  const rows = wanted === drawnFor ? table.draw(told.rows, chosen()) : load(address);
  if (address.open && address.open !== shownId) {
    const opening = open(address.open);
    await rows;
    await opening;
    for (const button of by("details").querySelectorAll("[data-step]")) button.disabled = !table.neighbour(shownId, Number(button.dataset.step));
  } else if (!address.open && shownId) close();
  await rows;
  await Promise.all([loadCurves(), loadTimeline(), loadExpectations()]);
};

/** Another tab is shown: what is open closes, and what is written in it waits. */
export const hide = () => { if (shownId) close(); };

let waiting = new Set(); // experiments with news since the rows were asked for
let timer = null;
let slow = null;
/** The ledger has changed: these experiments, or all if null. */
export const news = (ids) => {
  for (const id of ids ?? []) waiting.add(id);
  timer ??= setTimeout(async () => {
    timer = null;
    const fresh = waiting;
    waiting = new Set();
    try {
      if (shownId && (ids === null || fresh.has(shownId))) renewOpen();
      await load(read(), fresh);
    } catch (error) { wrong(error.message); }
  }, 250);
  slow ??= setTimeout(() => {
    slow = null;
    Promise.all([loadCurves(true), loadTimeline(true), loadExpectations()]).catch((error) => wrong(error.message));
  }, 3000);
};
const renewOpen = async () => {
  const answer = await get("experiment", { id: shownId });
  if (answer.id !== shownId) return;
  renew(answer);
};
// Curves of running experiments grow without an event of the ledger.
setInterval(() => {
  if (document.hidden || !by("curves-part").open || by("experiments").hidden) return;
  if (told.rows.some((row) => row.state === "running" && chosen().has(row.id))) loadCurves(true).catch(() => {});
}, 5000);

const edit = (id) => { by(id)?.focus(); by(id)?.scrollIntoView({ block: "center" }); };
const openAndEdit = async (id, field) => {
  if (!id) return;
  if (id !== shownId) { change({ open: id }); for (let left = 100; left && shownId !== id; left -= 1) await new Promise((done) => { setTimeout(done, 20); }); }
  edit(field);
};
/** Keys of this tab; true if the key meant something. */
export const key = (event) => {
  const inSheet = by("details").open;
  const id = inSheet ? shownId : table.focused();
  const doing = {
    j: () => (inSheet ? step(1) : table.move(1)), k: () => (inSheet ? step(-1) : table.move(-1)),
    l: () => openAndEdit(id, "edit-learned"), t: () => openAndEdit(id, "add-tag"), i: () => openAndEdit(id, "add-insight"),
    "/": () => (inSheet ? null : by("q").focus()),
    x: () => (id && !inSheet ? choose(id) : null), "[": () => (inSheet ? null : by("back").click()), "]": () => (inSheet ? null : by("on").click()),
    ...(inSheet ? {} : { ArrowDown: () => table.move(1), ArrowUp: () => table.move(-1) }),
  }[event.key];
  if (!doing || (event.key.startsWith("Arrow") && !table.focused())) return false;
  doing();
  return true;
};

by("filters").addEventListener("submit", (event) => event.preventDefault());
by("filters").addEventListener("change", (event) => {
  if (event.target.matches("[data-filter]")) change({ [event.target.id]: event.target.value, page: "" });
});
let typing = null;
let typed = false; // letters after the first belong to the same step of the history
by("q").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { change({ q: by("q").value.trim(), page: "" }, { replace: typed }); typed = true; }, 150);
});
by("q").addEventListener("blur", () => { typed = false; });
by("q").addEventListener("keydown", (event) => { if (event.key === "Escape" || event.key === "ArrowDown") { event.preventDefault(); event.stopPropagation(); table.move(1); } });
by("clear").addEventListener("click", () => { change(Object.fromEntries([...FILTERS.filter((each) => each !== "sort"), "page"].map((each) => [each, ""]))); by("q").focus(); });
const turn = (by_) => { const page = Math.floor(told.offset / ROWS) + 1 + by_; change({ page: page > 1 ? String(page) : "" }); by("table").scrollIntoView({ block: "nearest" }); };
by("back").addEventListener("click", () => { if (!by("back").disabled) turn(-1); });
by("on").addEventListener("click", () => { if (!by("on").disabled) turn(1); });
for (const part of PARTS) {
  by(`${part}-part`).addEventListener("toggle", () => {
    const on = by(`${part}-part`).open;
    const parts = shownParts();
    if (on === parts.has(part)) return;
    if (on) parts.add(part); else parts.delete(part);
    change({ show: [...parts].join(",") }, { replace: true });
  });
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-open]");
  const box = event.target.closest("[data-choose]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) { event.preventDefault(); change({ tab: "experiments", open: link.dataset.open }); }
  else if (box) choose(box.dataset.choose);
  else if (event.target.closest("[data-close]")) change({ open: "" });
  else if (event.target.closest("[data-step]")) step(Number(event.target.closest("[data-step]").dataset.step));
});
by("details").addEventListener("cancel", (event) => { event.preventDefault(); change({ open: "" }); });
by("details").addEventListener("click", (event) => { if (event.target === by("details")) change({ open: "" }); }); // beside the sheet
addEventListener("beforeunload", (event) => { leave(); if (unsaved()) event.preventDefault(); });
