// The tab that a project opens with: the next best step with its reason, and how far each step is.
import { get } from "./ask.js";
import { by, make } from "./dom.js";
import { moment } from "./words.js";

export const name = "overview";
export const title = "Overview";
const STATES = { done: ["good", "✓", "done"], open: ["open", "!", "open"], none: ["none", "○", "not yet"], wrong: ["bad", "✕", "cannot be read"] };
const NAMES = {
  audit: "Audit of the data", split: "Split", models: "Models", augmentations: "Augmentations", optimizers: "Optimizers",
  experiments: "Experiments", errors: "Errors", submissions: "Submissions",
};

const stateOf = ({ state }) => {
  const [kind, sign, words] = STATES[state];
  return make("span", { class: `step-state ${kind}` }, make("span", { "aria-hidden": "true" }, sign), ` ${words}`);
};
const row = (step) => make("tr", { "data-step-name": step.name },
  make("th", { scope: "row" }, make("a", { href: `?tab=${step.tab}`, "data-tab": step.tab }, NAMES[step.name])),
  make("td", {}, stateOf(step)),
  make("td", { "data-label": step.state === "none" ? "Command" : "What it gave" }, make("div", {}, step.words ? make("span", {}, step.words) : "", step.more ? make("div", { class: "open-words" }, step.more) : "", step.state === "none" || step.state === "wrong" ? make("div", {}, make("code", {}, step.command)) : "")),
  make("td", { "data-label": "When", class: "small soft" }, step.made ? moment(step.made) : ""));

const draw = ({ steps, next }) => {
  const done = steps.filter((step) => step.state !== "none").length;
  by("next").replaceChildren(
    make("h2", { id: "next-title" }, "Next step"),
    make("p", { class: "lead" }, next.reason),
    make("pre", { tabindex: "0", "aria-label": "Command of the next step" }, next.command),
    make("p", { class: "small" }, make("a", { href: `?tab=${next.tab}${next.open ? `&open=${encodeURIComponent(next.open)}` : ""}`, ...(next.open ? { "data-open": next.open } : { "data-tab": next.tab }) }, next.open ? "Open the experiment" : `See ${next.tab}`)));
  by("done-count").textContent = `${done} of ${steps.length} steps have a result.`;
  const body = by("steps");
  const focused = document.activeElement?.closest?.("#steps tr")?.dataset.stepName;
  body.replaceChildren(...steps.map(row));
  if (focused) body.querySelector(`[data-step-name="${focused}"] a`)?.focus();
};

let drawn = "";
const load = async () => {
  const answer = await get("overview");
  const text = JSON.stringify(answer);
  if (text === drawn) return;
  drawn = text;
  draw(answer);
};

export const show = load;
let timer = null;
export const news = () => {
  timer ??= setTimeout(() => { timer = null; load().catch(() => {}); }, 1000); // the frame says when the server is gone
};
export const key = () => false;
