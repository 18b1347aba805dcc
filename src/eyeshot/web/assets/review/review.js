// The page begins here: keys, buttons, filters.
import { get } from "./ask.js";
import { decide, undo } from "./deciding.js";
import { know } from "./labels.js";
import { blink, closePair, overlay, pairIsOpen, resize, zoom, zoomed } from "./looking.js";
import { choose, columns, drawQueue, mark, move, open, refilter, sheet, step, turnQueue, unmark } from "./screen.js";
import { by, count, now, options, wrong } from "./view.js";

const KEYS = {
  k: "keep", d: "drop", r: "relabel", K: "keep-all", D: "drop-all", 1: "keep-one", x: "not-copy", g: "group",
  u: "undo", n: "next", j: "next", p: "previous", " ": "mark", z: "zoom", b: "blink", o: "overlay", c: "sheet", f: "filter",
  "?": "help", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", Escape: "escape",
  ArrowRight: "right", ArrowLeft: "left", ArrowDown: "down", ArrowUp: "up",
};
// Where letters are not Latin ones, the place of the key counts.
const meaning = ({ key, code, shiftKey }) => {
  if (KEYS[key] || !/^Key[A-Z]$/.test(code) || /^[ -~]+$/.test(key)) return KEYS[key];
  return KEYS[shiftKey ? code[3] : code[3].toLowerCase()];
};
const filter = () => {
  const form = by("filters");
  const on = !form.contains(document.activeElement);
  form.classList.toggle("open", on);
  document.querySelector("[data-do=filter]").setAttribute("aria-expanded", String(on));
  if (on) by("kind").focus();
  else choose(now.chosen);
};
const doing = {
  undo, blink, overlay, zoom, sheet, filter,
  next: () => move(1),
  previous: () => move(-1),
  left: (shift) => choose(now.chosen - 1, shift),
  right: (shift) => choose(now.chosen + 1, shift),
  up: (shift) => choose(now.chosen - columns(), shift),
  down: (shift) => choose(now.chosen + columns(), shift),
  mark: () => mark(),
  "zoom-in": () => resize(1.5),
  "zoom-out": () => resize(1 / 1.5),
  help: () => (by("help").open ? by("help").close() : by("help").showModal()),
  escape: () => (by("filters").contains(document.activeElement) ? filter() : pairIsOpen() ? closePair() : now.marked.size ? unmark() : now.sheet ? sheet() : null),
  "queue-on": () => turnQueue(1),
  "queue-back": () => turnQueue(-1),
};

// One thing after the other: fast fingers decide in the order of their presses.
let line = Promise.resolve();
const after = (work) => {
  line = line.then(work).catch((error) => {
    if (by("zoom").open) by("zoom").close(); // what is wrong is said behind it
    wrong(error.message);
  });
  return line;
};
// What is typed after "r" and before its box is open is the beginning of the label, not commands.
let early = null;
const act = (name, shift = false) => after(async () => {
  wrong("");
  try {
    await (doing[name] ? doing[name](shift) : decide(name, () => { const typed = early ?? ""; early = null; return typed; }));
  } finally {
    if (name === "relabel") early = null;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (early !== null && !by("labels").open) {
    if (event.key.length === 1) early += event.key;
    event.preventDefault();
    return;
  }
  const name = meaning(event);
  if (!name || by("labels").open || (by("help").open && name !== "help") || (name === "escape" && by("zoom").open)) return;
  if (event.target.matches("select") && name !== "escape") return;
  // Space and Enter belong to buttons that have the focus, arrows to a picture that is scrolled.
  if (event.target.matches("button, input, a") && event.key === " ") return;
  if (event.target.matches(".around") && event.key.startsWith("Arrow") && zoomed()) return;
  event.preventDefault();
  // A key that is held down walks, and decides once.
  if (event.repeat && !event.key.startsWith("Arrow") && !["next", "previous"].includes(name)) return;
  if (name === "relabel") early = "";
  act(name, event.shiftKey);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const image = event.target.closest("[data-place]");
  if (button?.dataset.do) act(button.dataset.do);
  else if (button?.dataset.item) after(() => open(Number(button.dataset.item)));
  else if (image && (event.ctrlKey || event.metaKey)) mark(Number(image.dataset.place));
  else if (image) choose(Number(image.dataset.place), event.shiftKey);
});
for (const name of ["zoom", "help", "labels"]) {
  by(name).addEventListener("close", () => { if (document.activeElement === document.body) choose(now.chosen); });
}
by("images").addEventListener("dblclick", () => act("zoom"));
by("filters").addEventListener("change", () => after(refilter));
by("filters").addEventListener("submit", (event) => event.preventDefault());
// What another window or program stored meanwhile is seen when this one is looked at again.
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !now.item || now.marked.size || pairIsOpen() || document.querySelector("dialog[open]")) return;
  after(async () => { await open(now.item.number); await drawQueue(); });
});

after(async () => {
  const [told] = await Promise.all([get("start"), step(1, "", -1)]);
  know(told.classes);
  options(by("kind"), told.kinds.map((one) => [one.kind, `${one.name} (${count(one.count)})`]));
  options(by("class"), told.classes.map((one) => [one.label, one.label]));
  options(by("split"), Object.entries(told.splits).map(([name, number]) => [name, `${name} (${count(number)})`]));
  by("rules").textContent = `You decide as ${told.author}. ${told.rules ? `Rules for test images: ${told.rules}.` : ""}`;
  if (told.missing) wrong(`Of ${count(told.missing)} findings not all images are here any more. Run eyeshot audit again to look at what is there now.`);
  document.documentElement.dataset.ready = "true";
});
