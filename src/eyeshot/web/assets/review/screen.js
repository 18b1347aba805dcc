// Moving: items, the queue, contact sheets, filters, and which images are chosen and marked.
import { get } from "./ask.js";
import { closePair, redrawPair, showZoom } from "./looking.js";
import { by, count, entry, make, neighbours, now, picture, said, tell } from "./view.js";

const PAGE = 30, SHEET = 60;
const queue = { from: 0, total: 0 };

const filters = () => ({
  kind: by("kind").value, class: by("class").value, split: by("split").value, state: by("decided").checked ? "all" : "open",
});

const left = (told) => {
  by("left").textContent = `${count(told.open)} of ${count(told.all)} open` + (told.made ? `, ${count(told.made)} stored since the start` : "");
};

const chosenNode = () => by("images").children[now.chosen];
// The focus stays on a button that was pressed, as long as it is there.
const settle = () => {
  const on = document.activeElement;
  if (!on?.matches("button, select, input") || !on.checkVisibility()) chosenNode()?.focus({ preventScroll: true });
  if (!by("zoom").open) return;
  if (now.images[now.chosen]?.image === null || !now.images.length) by("zoom").close();
  else showZoom();
};

export const drawImages = () => {
  const held = by("images").contains(document.activeElement) || document.activeElement === document.body;
  by("images").replaceChildren(...now.images.map((one, place) => picture(one, place, place === now.chosen, now.marked.has(place))));
  if (held) chosenNode()?.focus({ preventScroll: true });
};

const drawButtons = () => {
  const { item } = now;
  const hide = (selector, hidden) => { for (const one of document.querySelectorAll(selector)) one.hidden = hidden; };
  const none = !now.images.some((one) => one.image !== null);
  hide("[data-for=item]", !item || item.examples || none);
  hide("[data-for=copies]", !item?.copies);
  hide("[data-for=pair]", !item?.differ);
  hide("[data-for=image]", none);
  by("nothing").hidden = !item || !none;
  by("near").replaceChildren(...(item?.near ?? []).map(neighbours));
  by("near").hidden = !item?.near.length;
  by("examples").hidden = !item?.examples;
  by("drop-all-words").textContent = item?.kind === "leak" ? "Drop in training" : item?.kind === "conflict" && item.images.length === 2 ? "Drop both" : "Drop all";
  for (const one of document.querySelectorAll("[data-do]")) one.classList.toggle("suggested", !none && one.dataset.do === item?.suggested);
  by("suggested").textContent = document.querySelector(".suggested > span")?.textContent ?? "";
  by("suggestion").hidden = !by("suggested").textContent;
  document.querySelector("[data-do=sheet]").setAttribute("aria-pressed", String(Boolean(now.sheet)));
  for (const one of document.querySelectorAll("#queue button")) one.setAttribute("aria-current", String(Number(one.dataset.item) === item?.number));
};

const drawItem = async (told, before) => {
  const { item } = told;
  left(told);
  closePair();
  Object.assign(now, { item, sheet: null, images: item?.images ?? [] });
  const standing = [...now.images.keys()].filter((place) => now.images[place].image !== null && !now.images[place].out);
  now.chosen = standing.find((place) => now.images[place].split === "train") ?? standing[0] ?? 0;
  now.marked.clear();
  by("images").classList.remove("sheet-of");
  by("more").hidden = !item?.more;
  if (item) {
    const sure = item.confidence === null ? "" : `, confidence ${item.confidence.toFixed(2)}`;
    by("kicker").textContent = `${item.name}, ${count(told.place)} of ${count(told.places)}${sure}${item.decided ? ", decided" : ""}`;
    by("title").textContent = item.title;
    by("words").textContent = item.words;
    by("more").textContent = `and ${count(item.more)} more images; what is done to all is done to them too`;
  } else {
    by("kicker").textContent = "Nothing more";
    by("title").textContent = `Nothing ${by("decided").checked ? "" : "open "}comes here under these filters. Previous goes back.`;
  }
  by("words").hidden = !item || item.words === item.title;
  drawImages();
  drawButtons();
  settle();
  scrollTo({ top: 0 });
  tell(before, item ? `${by("kicker").textContent}: ${item.words}` : by("title").textContent);
  // The list goes along; one that was decided stays in it until then.
  if (item && !document.querySelector(`#queue [data-item="${item.number}"]`)) await drawQueue(item.number);
};

/** A part of the list; that with the item of a number, where one is given. */
export const drawQueue = async (number = -1) => {
  const told = await get("queue", { ...filters(), offset: queue.from, limit: PAGE, from: number });
  Object.assign(queue, { from: told.offset, total: told.total });
  left(told);
  by("queue").replaceChildren(...told.items.map((item) => entry(item, now.item?.number ?? -1)));
  by("queue-place").textContent = told.total ? `${count(told.offset + 1)}–${count(Math.min(told.total, told.offset + PAGE))} of ${count(told.total)}` : "none";
};
export const turnQueue = (pages) => {
  const from = queue.from + pages * PAGE;
  if (from < 0 || from >= queue.total) return null;
  queue.from = from;
  return drawQueue();
};

export const open = async (number, before = "") => drawItem(await get(`item/${number}`, filters()), before);
export const step = async (direction, before = "", from = now.item?.number ?? now.last) => {
  const told = await get("step", { ...filters(), from, by: direction });
  if (!told.item) now.last = direction > 0 ? told.all : -1;
  drawItem(told, before);
};

const showSheet = async (from, back) => {
  const told = await get("sheet", { ...filters(), offset: from, limit: SHEET });
  left(told);
  closePair();
  Object.assign(now, { sheet: { from, total: told.total, back }, images: told.images, chosen: 0, item: null });
  now.marked.clear();
  by("kicker").textContent = `contact sheet, ${told.total ? count(from + 1) : 0}–${count(Math.min(told.total, from + SHEET))} of ${count(told.total)}`;
  by("title").textContent = by("class").value ? `Class ${by("class").value}` : by("kind").value === "unlabelled" ? "Images without a label" : "All classes";
  by("images").classList.add("sheet-of");
  by("more").hidden = true;
  by("words").hidden = true;
  drawImages();
  drawButtons();
  settle();
  scrollTo({ top: 0 });
  tell("", `${by("title").textContent}, ${by("kicker").textContent}`);
};

/** The contact sheet of the class of the chosen image; from a sheet back to the finding. */
export const sheet = async () => {
  if (now.sheet) {
    const { number, ...before } = now.sheet.back;
    for (const [name, value] of Object.entries(before)) by(name).value = value;
    return number === null ? step(1, "", -1) : open(number);
  }
  const back = { number: now.item?.number ?? null, kind: by("kind").value, class: by("class").value, split: by("split").value };
  const one = now.images[now.chosen];
  by("class").value = one?.given ?? by("class").value;
  by("kind").value = one && one.given === null ? "unlabelled" : "";
  if (one && one.given === null) by("split").value = one.split;
  if (by("kind").selectedIndex < 0) by("kind").value = "";
  return showSheet(0, back);
};

export const move = (direction) => {
  if (!now.sheet) return step(direction);
  const from = now.sheet.from + direction * SHEET;
  return from >= 0 && from < now.sheet.total ? showSheet(from, now.sheet.back) : tell("There are no more images here.");
};

export const refilter = async () => {
  queue.from = 0;
  if (now.sheet) await showSheet(0, now.sheet.back);
  else await step(1, "", -1);
  await drawQueue(now.item?.number ?? -1);
};

export const choose = (place, marking = false) => {
  if (place < 0 || place >= now.images.length) return;
  if (marking) now.marked.add(now.chosen).add(place);
  now.chosen = place;
  for (const [number, node] of [...by("images").children].entries()) {
    node.tabIndex = number === place ? 0 : -1;
    node.setAttribute("aria-current", String(number === place));
    node.setAttribute("aria-selected", String(now.marked.has(number)));
  }
  if (by("zoom").open) showZoom();
  else chosenNode().focus({ preventScroll: false });
  redrawPair();
};
export const mark = (place = now.chosen) => {
  if (!now.images[place]) return;
  if (!now.marked.delete(place)) now.marked.add(place);
  choose(place);
  tell(now.marked.size ? `${now.marked.size} selected: keys are about them.` : "None selected.", said(now.images[place]));
};
export const unmark = () => {
  now.marked.clear();
  choose(now.chosen);
  tell("None selected.");
};
export const columns = () => {
  const nodes = [...by("images").children];
  const second = nodes.findIndex((node) => node.offsetTop > nodes[0].offsetTop);
  return second < 0 ? nodes.length : second;
};

/** Show how images stand after something was stored. */
export const restate = (told) => {
  left(told);
  const known = new Map(told.images.map((one) => [one.image, one]));
  now.images = now.images.map((one) => (known.has(one.image) ? { ...known.get(one.image), caption: one.caption } : one));
  drawImages();
  settle();
  const listed = document.querySelector(`#queue [data-item="${now.item?.number}"]`);
  if (listed && !listed.querySelector(".badge")) listed.querySelector("b").after(make("span", { class: "badge kept" }, "decided"));
};
