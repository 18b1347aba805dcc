// Deciding and taking back: nothing is shown as decided before the server said that it is stored.
import { post } from "./ask.js";
import { choose as chooseLabel, learn } from "./labels.js";
import { choose, drawQueue, open, restate, step } from "./screen.js";
import { now, said, tell } from "./view.js";

const WHOLE = new Set(["keep-all", "drop-all", "keep-one", "not-copy", "group"]);
const stack = JSON.parse(sessionStorage.getItem("eyeshot-undo") || "[]");
const remember = () => sessionStorage.setItem("eyeshot-undo", JSON.stringify(stack));

const meant = (action) => {
  if (WHOLE.has(action) && action !== "keep-one") return [];
  const places = now.marked.size && action !== "keep-one" ? [...now.marked] : [now.chosen];
  return places.map((place) => now.images[place]?.image).filter((image) => image !== null && image !== undefined);
};

/** Store what a press means. `typed`: what was typed so far of a label. */
export const decide = async (action, typed = () => "") => {
  const here = now.images.some((one) => one.image !== null);
  if (!here || (WHOLE.has(action) && !now.item)) return tell("There is nothing here to decide about.");
  const images = meant(action);
  let label = "";
  if (action === "relabel") {
    if (!images.length) return tell("This image cannot be shown, so it gets no label.");
    label = await chooseLabel(images.length > 1 ? `${images.length} selected images` : said(now.images[now.chosen]), typed(), now.item?.proposed ?? "");
    if (label === null) return tell("No label was given.");
  }
  const told = await post("decide", { action, images, label, ...(now.item ? { item: now.item.number } : {}) });
  stack.push(told.names);
  remember();
  tellWorkbench();
  if (label) learn(label);
  const words = `Stored: ${told.words}`;
  const last = Math.max(now.chosen, ...now.marked);
  now.marked.clear();
  restate(told);
  // One rule: a decision moves on, to the next finding or, on a contact sheet, to the next image.
  if (now.item) return step(1, words);
  choose(Math.min(last + 1, now.images.length - 1));
  return tell(words);
};

// Within the workbench its lists follow what was decided.
const tellWorkbench = () => { if (window !== parent) parent.postMessage({ stored: true }, location.origin); };

export const undo = async () => {
  if (!stack.length) return tell("Nothing to undo in this window. Earlier decisions: eyeshot decisions undo.");
  let told;
  try {
    told = await post("undo", { names: stack.at(-1) });
  } catch (error) {
    if (error.status === 409) { // undone elsewhere: the one before is next
      stack.pop();
      remember();
    }
    throw error;
  }
  stack.pop();
  remember();
  tellWorkbench();
  const words = `Stored: ${told.words}`;
  now.marked.clear();
  restate(told);
  if (told.item !== null && !now.sheet) await open(told.item, words);
  else tell(words);
  return drawQueue();
};
