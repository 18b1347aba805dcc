// Looking closer: two duplicates laid alike, over each other or in turn, and the zoom.
import { by, now, said, tell } from "./view.js";

const TURN_MS = 600; // slow enough for eyes that flashes harm: under one flash a second
const still = matchMedia("(prefers-reduced-motion: reduce)");
let side = ""; // which view of the pair is on
let blinking = 0;

const pairOf = () => {
  if (!now.item?.differ) return null;
  const here = [...now.images.keys()].filter((place) => now.images[place].image !== null);
  if (here.length < 2) return null;
  const first = here.includes(now.item.reference) ? now.item.reference : here[0];
  const second = now.chosen !== first && here.includes(now.chosen) ? now.chosen : here.find((place) => place !== first);
  return [now.images[first], now.images[second]];
};

const words = (one, other) => ({
  first: `First: ${said(one)}`,
  second: `Second, laid like the first: ${said(other)}`,
  overlay: `Both laid over each other: ${one.name} and ${other.name}`,
  difference: `Where they differ, amplified; grey where they are equal: ${one.name} and ${other.name}`,
});

const draw = () => {
  const pair = side ? pairOf() : null;
  by("pair").hidden = !pair;
  document.body.classList.toggle("paired", Boolean(pair));
  for (const [name, on] of [["blink", blinking || side === "first" || side === "second"], ["overlay", side === "overlay" || side === "difference"]]) {
    document.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(Boolean(pair && on)));
  }
  if (!pair) return;
  const [one, other] = pair;
  const addresses = { first: `large/${one.image}`, second: `aligned/${one.image}/${other.image}`, difference: `difference/${one.image}/${other.image}` };
  for (const [name, address] of Object.entries(addresses)) {
    const node = by(`pair-${name}`);
    if (node.getAttribute("src") !== address) node.setAttribute("src", address);
    node.classList.toggle("on", name === side || (side === "overlay" && name !== "difference"));
  }
  by("pair").classList.toggle("over", side === "overlay");
  by("pair-words").textContent = words(one, other)[side];
};

const show = (wanted) => {
  clearInterval(blinking);
  blinking = 0;
  side = wanted;
  draw();
};

export const closePair = () => show("");
export const pairIsOpen = () => side !== "";
/** The pair again, after another image was chosen. */
export const redrawPair = () => { if (side) draw(); };

const nothing = () => tell("There are no two different images here to compare.");

export const blink = () => {
  const pair = pairOf();
  if (!pair) return nothing();
  if (blinking) {
    show(side);
    return tell("Blinking stopped.");
  }
  show(side === "first" ? "second" : "first");
  if (still.matches) return tell("", by("pair-words").textContent);
  blinking = setInterval(() => { side = side === "first" ? "second" : "first"; draw(); }, TURN_MS);
  draw();
  return tell("Blinking; b stops it, Escape closes it.", `${pair[0].name} and ${pair[1].name}`);
};

export const overlay = () => {
  if (!pairOf()) return nothing();
  show({ overlay: "difference", difference: "" }[side] ?? "overlay");
  return side ? tell("", by("pair-words").textContent) : tell("Overlay closed.");
};

let size = 0; // width of the zoomed picture in pixels; 0: as the window allows

export const showZoom = () => {
  const one = now.images[now.chosen];
  if (!one || one.image === null) return tell("This image cannot be shown.");
  const image = by("zoom-picture");
  if (image.getAttribute("src") !== `large/${one.image}`) {
    image.setAttribute("src", `large/${one.image}`);
    size = 0;
  }
  image.alt = said(one);
  by("zoom-words").textContent = said(one);
  image.parentElement.classList.toggle("larger", size > 0);
  image.style.width = size ? `${size}px` : "";
  if (!by("zoom").open) by("zoom").showModal();
  return null;
};
export const zoom = () => (by("zoom").open ? by("zoom").close() : showZoom());
export const zoomed = () => by("zoom").open && size > 0;
export const resize = (times) => {
  if (!by("zoom").open) return;
  size = Math.round(Math.min(8192, Math.max(120, (size || by("zoom-picture").clientWidth) * times)));
  showZoom();
};
