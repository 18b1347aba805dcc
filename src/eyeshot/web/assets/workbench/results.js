// The tabs that show what commands left behind: sentences and tables first, then the exported page in a frame.
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

const section = (one) => make("section", { class: "part" }, make("h2", {}, one.title),
  one.wrong ? make("p", { class: "warning" }, one.wrong) : "",
  ...one.words.map((words) => make("p", {}, words)),
  one.rows.length ? table(one) : "",
  one.command ? make("p", {}, one.what) : "", one.command ? command(one.command) : "",
  one.picture ? make("img", { src: one.picture, alt: "Scores of submissions beside their validation accuracy", class: "picture" }) : "");

/** The frame has no origin, so its page is told about light and dark. */
const themed = (frame) => frame.contentWindow?.postMessage({ theme: document.getElementById("theme").textContent === "Light" ? "dark" : "light" }, "*");
const pageOf = (one) => {
  const address = `page?${new URLSearchParams({ of: one.name, part: one.part })}`;
  const frame = make("iframe", { src: address, title: `${one.title}: the whole page`, class: "exported", sandbox: "allow-scripts", loading: "lazy" });
  frame.addEventListener("load", () => themed(frame));
  return [make("p", { class: "small" }, make("a", { href: address, target: "_blank", rel: "noopener" }, "Open the whole page by itself")), frame];
};
const result = (one) => {
  const parts = [make("h2", {}, one.title)];
  if (one.wrong) parts.push(make("p", { class: "warning" }, one.wrong));
  if (one.old) parts.push(make("p", { class: "warning" }, one.old, " Run its command again: ", make("code", {}, one.command)));
  // The page says the same, and first of all.
  if (!one.page) one.sentences.forEach((words, place) => parts.push(make("p", { class: place ? "" : "lead" }, words)));
  if (one.made) parts.push(make("p", { class: "small soft" }, `Made ${moment(one.made)}${one.part ? `, in ${one.part}` : ""} by `, make("code", {}, one.command)));
  else parts.push(make("p", {}, `Nothing is here yet. ${one.what} The command:`), command(one.command));
  if (one.page) parts.push(...pageOf(one));
  else if (one.made) parts.push(make("p", { class: "small soft" }, "Its page is not there; the command writes it."));
  return make("section", { class: "part", "data-result": one.name }, ...parts);
};

document.documentElement.addEventListener("eyeshot-theme", () => {
  for (const frame of document.querySelectorAll("iframe.exported")) themed(frame);
});

/** A tab that asks the server for what is there, and draws it only when that has changed. */
export const tab = (name, title) => {
  let drawn = "";
  const load = async () => {
    const answer = await get("tab", { name });
    const text = JSON.stringify(answer);
    if (text === drawn) return;
    drawn = text;
    by(name).replaceChildren(make("h1", { id: `${name}-title` }, title), ...answer.sections.map(section), ...answer.results.map(result));
  };
  let timer = null;
  return { name, title, show: load, news: () => { timer ??= setTimeout(() => { timer = null; load().catch(() => {}); }, 1000); }, key: () => false };
};
