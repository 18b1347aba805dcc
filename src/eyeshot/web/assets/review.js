// The page: what is on the screen, and what keys and buttons do.
import { get, post } from "./ask.js";
import { choose, know } from "./labels.js";
import { by, count, entry, make, options, picture, said } from "./view.js";

const PAGE = 30, SHEET = 60;
const WHOLE = new Set(["keep-all", "drop-all", "keep-one", "drop-both", "not-copy", "group"]);
const KEYS = {
  k: "keep", d: "drop", r: "relabel", K: "keep-all", D: "drop-all", o: "keep-one", b: "drop-both", x: "not-copy", g: "group",
  u: "undo", n: "next", j: "next", p: "previous", m: "mark", z: "zoom", c: "sheet", f: "difference", " ": "blink", "?": "help",
  "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", ArrowRight: "right", ArrowLeft: "left", ArrowDown: "down", ArrowUp: "up",
  Escape: "escape",
};
const now = { item: null, images: [], chosen: 0, marked: new Set(), sheet: false, sheetFrom: 0, sheetTotal: 0, queueFrom: 0, queueTotal: 0, side: "" };
const stack = JSON.parse(sessionStorage.getItem("eyeshot-undo") || "[]");

const filters = () => ({
  kind: by("kind").value, class: by("class").value, split: by("split").value, state: by("decided").checked ? "all" : "open",
});
const tell = (words) => { by("said").textContent = words; };
const wrong = (words) => { by("wrong").textContent = words; by("wrong").hidden = !words; };
const left = (told) => {
  by("left").textContent = `${count(told.open)} of ${count(told.all)} open` + (told.made ? `, ${count(told.made)} stored since the start` : "");
};

// ---- drawing

const drawImages = (focus) => {
  const held = by("images").contains(document.activeElement);
  by("images").replaceChildren(...now.images.map((one, place) => picture(one, place, place === now.chosen, now.marked.has(place))));
  if (focus || held) chosenNode()?.focus({ preventScroll: !focus });
};
const chosenNode = () => by("images").children[now.chosen];
const drawButtons = () => {
  const copies = Boolean(now.item && now.item.copies);
  for (const one of document.querySelectorAll(".for-item")) one.hidden = now.sheet || !now.item;
  for (const one of document.querySelectorAll(".for-copies")) one.hidden = !copies;
  by("sheet-button").setAttribute("aria-pressed", String(now.sheet));
};
const drawItem = (told, focus) => {
  left(told);
  now.item = told.item;
  now.sheet = false;
  now.images = told.item ? told.item.images : [];
  now.chosen = Math.max(0, now.images.findIndex((one) => one.image !== null && !one.out));
  now.marked.clear();
  by("images").classList.remove("sheet-of");
  showPair("");
  if (!told.item) {
    by("kicker").textContent = "Nothing is left";
    by("title").textContent = by("decided").checked ? "Nothing fits these filters, or this is the end." : "Nothing open fits these filters, or this is the end. Previous goes back.";
  } else {
    const sure = told.item.confidence === null ? "" : `, confidence ${told.item.confidence.toFixed(2)}`;
    by("kicker").textContent = `${told.item.name}, ${count(told.place)} of ${count(told.places)}${sure}${told.item.decided ? " · decided" : ""}`;
    by("title").textContent = told.item.words;
  }
  by("more").hidden = !(told.item && told.item.more);
  if (told.item) by("more").textContent = `and ${count(told.item.more)} more images; what is done to all is done to them too`;
  drawImages(focus);
  drawButtons();
  for (const one of document.querySelectorAll("#queue button")) one.setAttribute("aria-current", String(Boolean(now.item) && Number(one.dataset.item) === now.item.number));
};
const drawQueue = async () => {
  const told = await get("queue", { ...filters(), offset: now.queueFrom, limit: PAGE });
  now.queueTotal = told.total;
  left(told);
  by("queue").replaceChildren(...told.items.map((item) => entry(item, now.item ? now.item.number : -1)));
  const last = Math.min(told.total, told.offset + PAGE);
  by("queue-place").textContent = told.total ? `${count(told.offset + 1)}–${count(last)} of ${count(told.total)}` : "none";
};

// ---- moving

const open = async (number) => drawItem(await get(`item/${number}`, filters()), true);
const step = async (direction, from = now.item ? now.item.number : now.last ?? -1) => {
  const told = await get("step", { ...filters(), from, by: direction });
  if (told.item === null) now.last = direction > 0 ? told.all : -1;
  drawItem(told, true);
};
const showSheet = async (from) => {
  const told = await get("sheet", { ...filters(), offset: from, limit: SHEET });
  left(told);
  Object.assign(now, { sheet: true, sheetFrom: from, sheetTotal: told.total, images: told.images, chosen: 0, last: now.item ? now.item.number - 1 : now.last });
  now.marked.clear();
  showPair("");
  const name = by("class").value;
  by("kicker").textContent = `contact sheet, ${told.total ? count(from + 1) : 0}–${count(Math.min(told.total, from + SHEET))} of ${count(told.total)}`;
  by("title").textContent = name ? `Class ${name}` : "All classes; choose one above";
  by("images").classList.add("sheet-of");
  by("more").hidden = true;
  now.item = null;
  drawImages(true);
  drawButtons();
};
const refilter = async () => {
  now.queueFrom = 0;
  now.item = null;
  await (now.sheet ? showSheet(0) : step(1, -1));
  await drawQueue();
};
const choosePlace = (place, marking) => {
  if (place < 0 || place >= now.images.length) return;
  if (marking) { now.marked.add(now.chosen); now.marked.add(place); }
  now.chosen = place;
  for (const [number, node] of [...by("images").children].entries()) {
    node.tabIndex = number === place ? 0 : -1;
    node.setAttribute("aria-current", String(number === place));
    node.setAttribute("aria-selected", String(now.marked.has(number)));
  }
  chosenNode().focus();
  if (by("zoom").open) showZoom();
  if (now.side) showPair(now.side);
};
const columns = () => {
  const nodes = [...by("images").children];
  const second = nodes.findIndex((node) => node.offsetTop > nodes[0].offsetTop);
  return second < 0 ? nodes.length : second;
};

// ---- deciding

const about = () => {
  const places = now.marked.size ? [...now.marked] : [now.chosen];
  return places.map((place) => now.images[place]?.image).filter((image) => image !== null && image !== undefined);
};
const decide = async (action) => {
  if (!now.item && !now.sheet) return;
  const whole = WHOLE.has(action);
  const images = action === "keep-one" ? [now.images[now.chosen]?.image].filter((one) => one !== null && one !== undefined) : whole ? [] : about();
  let label = "";
  if (action === "relabel") {
    if (!images.length) return wrong("This image cannot be shown, so it gets no label.");
    label = await choose(images.length > 1 ? `${images.length} marked images` : said(now.images[now.chosen]), early ?? "");
    early = null;
    chosenNode()?.focus();
    if (label === null) return;
  }
  const told = await post("decide", { action, images, label, ...(now.item ? { item: now.item.number } : {}) });
  stack.push(told.names);
  sessionStorage.setItem("eyeshot-undo", JSON.stringify(stack));
  if (action === "relabel") learn(label);
  stored(told);
  const alone = now.item && now.item.images.length === 1;
  if (now.item && (whole || alone)) await step(1);
  else if (!now.marked.size) choosePlace(Math.min(now.chosen + 1, now.images.length - 1));
  now.marked.clear();
  drawImages(false);
};
const stored = (told) => {
  tell(`Stored: ${told.words}`);
  left(told);
  const known = new Map(told.images.map((one) => [one.image, one]));
  now.images = now.images.map((one) => (known.has(one.image) ? { ...known.get(one.image), caption: one.caption } : one));
  for (const node of document.querySelectorAll("#queue button")) {
    if (now.item && Number(node.dataset.item) === now.item.number && !node.querySelector(".badge")) node.querySelector("b").after(make("span", { class: "badge kept" }, "decided"));
  }
};
const undo = async () => {
  const names = stack.pop();
  if (!names) return tell("Nothing to undo in this window.");
  sessionStorage.setItem("eyeshot-undo", JSON.stringify(stack));
  const told = await post("undo", { names });
  stored(told);
  tell(`Stored: ${told.words}`);
  if (told.item !== null && !now.sheet) await open(told.item);
  else drawImages(false);
  await drawQueue();
};
const learn = (label) => {
  if (!classes.some((one) => one.label === label)) { classes.push({ label, images: 0 }); know(classes); }
};

// ---- looking closer

const pairOf = () => {
  const here = now.images.map((one, place) => [one, place]).filter(([one]) => one.image !== null);
  if (!now.item || here.length < 2) return null;
  const second = here.find(([, place]) => place === now.chosen && place !== here[0][1]) ?? here[1];
  return [here[0][0], second[0]];
};
const showPair = (side) => {
  const pair = side ? pairOf() : null;
  now.side = pair ? side : "";
  by("pair").hidden = !pair;
  if (!pair) return;
  const [one, other] = pair;
  const addresses = { first: `large/${one.image}`, second: `aligned/${one.image}/${other.image}`, difference: `difference/${one.image}/${other.image}` };
  for (const [name, address] of Object.entries(addresses)) {
    const node = by(`pair-${name}`);
    if (node.getAttribute("src") !== address) node.setAttribute("src", address);
    node.classList.toggle("on", name === side);
  }
  by("pair-words").textContent = {
    first: `First: ${said(one)}`, second: `Second, laid like the first: ${said(other)}`,
    difference: `Difference of ${one.name} and ${other.name}, laid alike: grey where they are equal`,
  }[side];
  by("pair").scrollIntoView({ block: "nearest" });
};
let size = 0;
const showZoom = () => {
  const one = now.images[now.chosen];
  if (!one || one.image === null) return;
  const image = by("zoom-picture");
  if (image.getAttribute("src") !== `large/${one.image}`) { image.setAttribute("src", `large/${one.image}`); size = 0; }
  image.alt = said(one);
  by("zoom-words").textContent = said(one);
  image.parentElement.classList.toggle("large", size > 0);
  image.style.width = size ? `${size}px` : "";
  if (!by("zoom").open) by("zoom").showModal();
};
const resize = (by_) => {
  if (!by("zoom").open) return;
  const image = by("zoom-picture");
  size = Math.round(Math.min(8192, Math.max(120, (size || image.clientWidth) * by_)));
  showZoom();
};

// ---- keys and buttons

const doing = {
  next: () => (now.sheet ? now.sheetFrom + SHEET < now.sheetTotal && showSheet(now.sheetFrom + SHEET) : step(1)),
  previous: () => (now.sheet ? now.sheetFrom > 0 && showSheet(now.sheetFrom - SHEET) : step(-1)),
  undo,
  left: (shift) => choosePlace(now.chosen - 1, shift),
  right: (shift) => choosePlace(now.chosen + 1, shift),
  up: (shift) => choosePlace(now.chosen - columns(), shift),
  down: (shift) => choosePlace(now.chosen + columns(), shift),
  mark: () => { if (!now.marked.delete(now.chosen)) now.marked.add(now.chosen); choosePlace(now.chosen); },
  blink: () => showPair(now.side === "first" ? "second" : "first"),
  difference: () => showPair(now.side === "difference" ? "" : "difference"),
  zoom: () => (by("zoom").open ? by("zoom").close() : showZoom()),
  "zoom-in": () => resize(1.5),
  "zoom-out": () => resize(1 / 1.5),
  sheet: () => (now.sheet ? step(1, now.last ?? -1) : showSheet(0)),
  help: () => (by("help").open ? by("help").close() : by("help").showModal()),
  escape: () => (now.side ? showPair("") : now.sheet ? step(1, now.last ?? -1) : doing.unmark()),
  unmark: () => { now.marked.clear(); choosePlace(now.chosen); },
  "queue-on": () => { if (now.queueFrom + PAGE < now.queueTotal) { now.queueFrom += PAGE; return drawQueue(); } return null; },
  "queue-back": () => { now.queueFrom = Math.max(0, now.queueFrom - PAGE); return drawQueue(); },
};
// One thing after the other: fast fingers decide in the order of their presses.
let line = Promise.resolve();
// What is typed after "r" and before its box is open is the beginning of the label, not commands.
let early = null;
const act = (name, shift = false) => {
  line = line.then(async () => {
    wrong("");
    try {
      await (doing[name] ? doing[name](shift) : decide(name));
    } catch (error) {
      wrong(error.message);
    }
    early = null;
  });
  return line;
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  const name = KEYS[event.key];
  if (early !== null && !by("labels").open) {
    if (event.key.length === 1) early += event.key;
    event.preventDefault();
    return;
  }
  if (typing || !name || by("labels").open || (by("help").open && name !== "help")) return;
  if (name === "escape" && by("zoom").open) return;
  // Space and arrows belong to buttons and boxes that have the focus, and to a picture that is scrolled.
  const own = event.target.matches("button, input, summary, a") && (event.key === " " || event.key === "Enter");
  if (own || (event.target.matches(".around") && event.key.startsWith("Arrow") && size)) return;
  event.preventDefault();
  if (name === "relabel") early = "";
  if (event.repeat && !event.key.startsWith("Arrow") && !"njp".includes(event.key)) return;
  act(name, event.shiftKey);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.do) act(button.dataset.do);
  else if (button?.dataset.item) { line = line.then(() => open(Number(button.dataset.item))).catch((error) => wrong(error.message)); }
  const image = event.target.closest("[data-place]");
  if (image) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) now.marked.add(Number(image.dataset.place));
    choosePlace(Number(image.dataset.place));
  }
});
by("images").addEventListener("dblclick", () => act("zoom"));
by("filters").addEventListener("change", () => { line = line.then(refilter).catch((error) => wrong(error.message)); });
by("filters").addEventListener("submit", (event) => event.preventDefault());
// What another window or program stored meanwhile is seen when this one is looked at again.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && now.item) line = line.then(async () => { await open(now.item.number); await drawQueue(); }).catch((error) => wrong(error.message));
});

let classes = [];
line = line.then(async () => {
  const [told] = await Promise.all([get("start"), step(1, -1)]);
  classes = told.classes;
  know(classes);
  options(by("kind"), told.kinds.map((one) => [one.kind, `${one.name} (${count(one.count)})`]));
  options(by("class"), told.classes.map((one) => [one.label, one.label]));
  options(by("split"), Object.entries(told.splits).map(([name, number]) => [name, `${name} (${count(number)})`]));
  by("rules").textContent = `You decide as ${told.author}. ${told.rules ? `Rules for test images: ${told.rules}.` : ""}`;
  if (told.missing) wrong(`Of ${count(told.missing)} findings not all images are here any more. Run eyeshot audit again to look at what is there now.`);
  await drawQueue();
  document.documentElement.dataset.ready = "true";
}).catch((error) => wrong(error.message));
