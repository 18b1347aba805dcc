// The review of the findings, within the tab Data: read by the server when it is asked for, and shown in a frame.
import { change, read } from "./address.js";
import { get, post } from "./ask.js";
import { make } from "./dom.js";
import { progress } from "./words.js";

const POLLED_MS = 500;
const box = make("section", { class: "part", id: "review" });
const said = make("p", { class: "small soft", role: "status" });
const begin = make("button", { type: "button" }, "Decide about the findings here");
let path = null; // of the review that the frame shows
let polling = null;
let complain = () => {};

const draw = (answer) => {
  said.textContent = answer.progress ? progress(answer.progress, "Reading the images") : "";
  if (answer.wrong) complain(`The review cannot be shown: ${answer.wrong}`);
  begin.hidden = Boolean(answer.path || answer.progress);
  if (!answer.path || answer.path === path) return;
  path = answer.path;
  const frame = make("iframe", { src: path, title: "Review of the findings", class: "exported reviewing" });
  box.replaceChildren(make("h2", {}, "Review"), make("p", { class: "small" }, make("a", { href: path, target: "_blank", rel: "noopener" }, "Open the review by itself"), " Every key press there is stored at once; ? lists the keys."), frame);
};
const poll = async () => {
  clearTimeout(polling);
  try {
    const answer = await get("review");
    draw(answer);
    if (answer.progress) polling = setTimeout(poll, POLLED_MS);
  } catch (error) { complain(error.message); }
};
const start = async () => {
  try {
    draw(await post("review", {}));
    await poll();
  } catch (error) { complain(error.message); }
};
begin.addEventListener("click", () => change({ review: "1" }));

/** The part of the tab: there where an audit has findings. */
export const part = ({ sections }) => {
  if (!sections[0]?.rows.length) return [];
  return ["review", null, () => {
    if (!path) box.replaceChildren(make("h2", {}, "Review"), make("p", {}, begin), said);
    return box;
  }];
};
export const show = async (address, wrong) => {
  complain = wrong;
  if (address.review) await start();
  else if (path) begin.hidden = false;
};
/** Call `listener` when something was decided in the frame. */
export const follow = (listener) => addEventListener("message", (event) => {
  const frame = box.querySelector("iframe");
  if (event.origin === location.origin && frame && event.source === frame.contentWindow && event.data?.stored && read().tab === "data") listener().catch((error) => complain(error.message));
});
