// The tabs that show what commands left behind: sentences and tables first, then the exported page in a frame. A map comes before all.
import { get } from "./ask.js";
import { by, make } from "./dom.js";
import { moment } from "./words.js";

const TIMES = new Set(["when"]);

const cell = (value, head) => {
  if (typeof value === "object") return make("a", { href: `?tab=experiments&open=${encodeURIComponent(value.open)}`, "data-open": value.open }, value.text || "no reason stated");
  return make("span", {}, TIMES.has(head) ? moment(value) : value);
};
const table = ({ title, head, rows }) => make("table", { class: "plain stack" },
  make("caption", { class: "unseen" }, title),
  make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
  make("tbody", {}, ...rows.map((values) => make("tr", {}, ...values.map((value, place) => (place
    ? make("td", { "data-label": head[place] }, cell(value, head[place]))
    : make("th", { scope: "row" }, cell(value, head[place]))))))));
const command = (text) => make("pre", { tabindex: "0", "aria-label": "Command" }, text);

export const section = (one) => make("section", { class: "part" }, make("h2", {}, one.title),
  one.wrong ? make("p", { class: "warning" }, one.wrong) : "",
  ...one.words.map((words) => make("p", {}, words)),
  one.rows.length ? table(one) : "",
  one.cut ? make("p", { class: "small soft" }, one.cut) : "",
  one.command ? make("p", {}, one.what) : "", one.command ? command(one.command) : "",
  one.picture ? make("img", { src: one.picture, alt: "Scores of submissions beside their validation accuracy", class: "picture" }) : "");

/** The frame has no origin, so its page is told about light and dark. */
const themed = (frame) => frame.contentWindow?.postMessage({ theme: document.getElementById("theme").textContent === "Light" ? "dark" : "light" }, "*");
const addressOf = (one) => `page?${new URLSearchParams({ of: one.name, part: one.part })}`;
const frameOf = (one, title, only = "") => {
  const frame = make("iframe", { src: addressOf(one) + (only && `#only-${only}`), title: `${one.title}: ${title}`, class: `exported ${only}`, sandbox: "allow-scripts", loading: "lazy" });
  frame.addEventListener("load", () => themed(frame));
  return frame;
};
const alone = (one) => make("p", { class: "small" }, make("a", { href: addressOf(one), target: "_blank", rel: "noopener" }, "Open the whole page by itself"));
/** The whole page, loaded when it is unfolded. */
const folded = (one) => {
  const part = make("details", {}, make("summary", {}, "The whole page: every candidate, its pictures and scores"), alone(one));
  part.addEventListener("toggle", () => { if (part.open && !part.querySelector("iframe")) part.append(frameOf(one, "the whole page")); });
  return part;
};
const mapOf = (one) => {
  if (one.page) return frameOf(one, "the map", "map");
  return one.map ? make("img", { src: `map.svg?${new URLSearchParams({ part: one.part })}`, alt: "Map of training images, target images and augmented samples; the ranking below says it in numbers", class: "picture" }) : "";
};
const rankingOf = ({ ranking }) => [
  table({ title: "The first candidates", ...ranking }),
  ranking.all > ranking.rows.length ? make("p", { class: "small soft" }, `The first ${ranking.rows.length} of ${ranking.all}; candidates of one group cannot be told apart.`) : make("p", { class: "small soft" }, "Candidates of one group cannot be told apart."),
];
const result = (one) => {
  const mapped = one.ranking !== null;
  const parts = [make("h2", {}, one.title)];
  if (one.wrong) parts.push(make("p", { class: "warning" }, one.wrong));
  if (one.old) parts.push(make("p", { class: "warning" }, one.old, " Run its command again: ", make("code", {}, one.command)));
  if (mapped) parts.push(mapOf(one));
  // The page says the same, and first of all.
  if (mapped || !one.page) one.sentences.forEach((words, place) => parts.push(make("p", { class: place ? "" : "lead" }, words)));
  if (mapped && one.ranking.rows.length) parts.push(...rankingOf(one));
  if (one.made) parts.push(make("p", { class: "small soft" }, `Made ${moment(one.made)}${one.part ? `, in ${one.part}` : ""} by `, make("code", {}, one.command)));
  else parts.push(make("p", {}, `Nothing is here yet. ${one.what} The command:`), command(one.command));
  if (one.page) parts.push(...(mapped ? [folded(one)] : [alone(one), frameOf(one, "the whole page")]));
  else if (one.made) parts.push(make("p", { class: "small soft" }, "Its page is not there; the command writes it."));
  return make("section", { class: "part", "data-result": one.name }, ...parts);
};

document.documentElement.addEventListener("eyeshot-theme", () => {
  for (const frame of document.querySelectorAll("iframe.exported")) themed(frame);
});

/**
 * Parts of a tab, each drawn anew only when it has changed. A frame that stands still keeps its place in its page: one that
 * is moved or drawn again begins anew.
 */
export const parts = (place) => {
  const drawn = new Map(); // name -> [text, node]
  return (list) => {
    const wanted = list.map(([name, told, draw]) => {
      const text = JSON.stringify(told);
      if (drawn.get(name)?.[0] !== text) {
        const node = draw(told);
        drawn.get(name)?.[1].replaceWith(node);
        drawn.set(name, [text, node]);
      }
      return drawn.get(name)[1];
    });
    for (const child of [...place.children]) if (!wanted.includes(child)) child.remove();
    for (const [name, [, node]] of drawn) if (!wanted.includes(node)) drawn.delete(name);
    wanted.forEach((node, number) => { if (place.children[number] !== node) place.insertBefore(node, place.children[number] ?? null); });
  };
};
export const heading = (name, title) => [`${name}-title`, null, () => make("h1", { id: `${name}-title` }, title)];

/**
 * A tab that asks the server for what is there.
 * @param more a part of its own after the first section: `part` gives name, what it depends on and how it is drawn; `show` is told the address.
 */
export const tab = (name, title, more = null) => {
  let draw = null;
  const load = async () => {
    const answer = await get("tab", { name });
    draw ??= parts(by(name));
    const [first = [], ...others] = answer.sections.map((one) => [one.title, one, section]);
    draw([heading(name, title), ...[first, more?.part(answer) ?? [], ...others, ...answer.results.map((one) => [`${one.name}/${one.part}`, one, result])].filter((part) => part.length)]);
  };
  more?.follow(load);
  let timer = null;
  const show = async (address, wrong) => { await load(); await more?.show(address, wrong); };
  return { name, title, show, news: () => { timer ??= setTimeout(() => { timer = null; load().catch(() => {}); }, 1000); }, key: () => false };
};
