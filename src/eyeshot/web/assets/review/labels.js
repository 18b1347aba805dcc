// Type-ahead over the classes. Enter stores, Escape leaves.
import { by, make } from "./view.js";

const MOST = 12;
const dialog = by("labels");
const text = by("labels-text");
const list = by("labels-list");
let classes = [];
let shown = [];
let place = 0;
let proposed = "";
let done = null;

export const know = (found) => { classes = found; };
/** A label that was given to an image can be given to the next one. */
export const learn = (label) => { if (!classes.some((one) => one.label === label)) classes.push({ label, images: 0 }); };

const fitting = (typed) => {
  const wanted = typed.trim().toLocaleLowerCase();
  const starts = [], holds = [];
  for (const one of classes) {
    const name = one.label.toLocaleLowerCase();
    if (name.startsWith(wanted)) starts.push(one);
    else if (name.includes(wanted)) holds.push(one);
  }
  const first = (one) => Number(one.label !== proposed);
  const found = [...starts, ...holds].sort((one, other) => (wanted ? 0 : first(one) - first(other))).slice(0, MOST)
    .map((one) => ({ label: one.label, words: one.label === proposed ? "proposed" : one.images ? `${one.images}` : "" }));
  const exact = classes.some((one) => one.label === typed.trim());
  // A new class comes last, so that Enter on a half-typed name never makes one while a class fits.
  if (typed.trim() && !exact) found.push({ label: typed.trim(), words: "new class" });
  return found;
};

const draw = () => {
  list.replaceChildren(...shown.map((one, number) => make("li",
    { role: "option", id: `label-${number}`, "data-number": number, "aria-selected": number === place ? "true" : "false" },
    make("span", {}, one.label), make("span", { class: "soft small" }, one.words))));
  if (shown.length) text.setAttribute("aria-activedescendant", `label-${place}`);
  else text.removeAttribute("aria-activedescendant");
  list.children[place]?.scrollIntoView({ block: "nearest" });
};

const refresh = () => { shown = fitting(text.value); place = 0; draw(); };

const close = (label) => {
  const told = done;
  done = null;
  dialog.close();
  if (told) told(label);
};

text.addEventListener("input", refresh);
text.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    place = (place + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % Math.max(shown.length, 1);
    draw();
  } else if (event.key === "Enter") {
    if (shown[place]) close(shown[place].label);
  } else {
    return;
  }
  event.preventDefault();
});
list.addEventListener("click", (event) => {
  const chosen = event.target.closest("li");
  if (chosen) close(shown[Number(chosen.dataset.number)].label);
});
dialog.addEventListener("close", () => { if (done) close(null); });

/** The label that a person chooses, or null; as long as nothing is typed, `first` comes first. */
export const choose = (what, typed, first) => new Promise((resolve) => {
  done = resolve;
  proposed = first;
  by("labels-what").textContent = what;
  text.value = typed;
  refresh();
  dialog.showModal();
  text.focus();
});
