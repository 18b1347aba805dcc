// What is on the screen, and how parts of it are drawn.
import { by, make } from "./dom.js";

export { by, count, make, options } from "./dom.js";

export const now = {
  item: null, images: [], chosen: 0, marked: new Set(), last: -1,
  sheet: null, // of a contact sheet: where it begins, how many images it has, the filters to go back to
};

/** What a press did, for the eye and for screen readers; `more` is for screen readers alone. */
export const tell = (words, more = "") => by("said").replaceChildren(words, make("span", { class: "unseen" }, more && ` ${more}`));
export const wrong = (words) => { by("wrong").textContent = words; by("wrong").hidden = !words; };

const state = (one) => {
  const told = [];
  if (one.out) told.push(["out", "dropped"]);
  if (one.kept) told.push(["kept", "kept"]);
  if (one.image !== null && one.label !== one.given) told.push(["new", `now ${one.label}`]);
  return told;
};

export const said = (one) =>
  [one.given ? `class ${one.given}` : "no label", `${one.split} image ${one.name}`, ...state(one).map(([, words]) => words), one.caption]
    .filter(Boolean).join(", ");

export const picture = (one, place, chosen, marked) => {
  const frame = make("div", { class: "frame" });
  const none = make("span", { class: "small soft" }, "cannot be shown");
  const image = one.image === null ? none : make("img", { src: `small/${one.image}`, alt: "", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(none)); // gone or broken since the audit
  frame.append(image);
  const words = make("p", { class: "words" }, make("b", {}, one.given || (one.split === "test" ? "test" : "no label")));
  if (one.given && one.split === "test") words.append(" test");
  for (const [kind, text] of state(one)) words.append(make("span", { class: `badge ${kind}` }, text));
  words.append(make("span", { class: "name", title: one.name }, now.sheet ? one.name.split("/").at(-1) : one.name));
  if (one.caption) words.append(make("span", { class: "soft" }, one.caption));
  return make("div", {
    class: `image${one.out ? " out" : ""}`, role: "option", id: `image-${place}`, "data-place": place,
    tabindex: chosen ? "0" : "-1", "aria-current": String(chosen), "aria-selected": String(marked), "aria-label": said(one),
  }, frame, words);
};

/** The nearest images of a class, for comparison; nothing is decided about them. */
export const neighbours = ({ label, images }) => make("section", { "aria-label": `Nearest images of ${label}` },
  make("h2", { class: "h3" }, `Nearest of ${label}`),
  make("div", { class: "row" }, ...images.map((one) => make("img", { src: `small/${one.image}`, alt: said(one), title: one.name, decoding: "async" }))));

export const entry = (item, current) => make("li", {}, make("button",
  { type: "button", "data-item": item.number, "aria-current": String(item.number === current) },
  item.first === null ? make("span", { class: "blank" }) : make("img", { src: `small/${item.first}`, alt: "", loading: "lazy", decoding: "async" }),
  make("span", { class: "what" }, make("b", {}, item.name), item.decided ? make("span", { class: "badge kept" }, "decided") : null, " ", item.title)));
