// The frame: tabs, keys, and the news of the ledger. A tab has name, title, show, news and key, and hide where leaving it means something.
import { change, follow, read } from "./address.js";
import { get } from "./ask.js";
import { by, make } from "./dom.js";
import * as experiments from "./experiments.js";
import * as overview from "./overview.js";
import * as report from "./report.js";
import { tab as resultsTab } from "./results.js";
import * as review from "./review.js";

const TABS = [
  overview, resultsTab("data", "Data", review), resultsTab("models", "Models"), resultsTab("augmentation", "Augmentation"), experiments,
  resultsTab("errors", "Errors"), resultsTab("submissions", "Submissions"), report,
];
const current = () => TABS.find((tab) => tab.name === read().tab) ?? TABS[0];
const wrong = (words) => { by("wrong").textContent = words; by("wrong").hidden = !words; };

by("tabs").replaceChildren(...TABS.map((tab, place) => make("a", { href: `?tab=${tab.name}`, "data-tab": tab.name, "aria-keyshortcuts": String(place + 1) }, tab.title)));

const show = async () => {
  wrong("");
  const shown = current();
  for (const tab of TABS) {
    if (tab !== shown && !by(tab.name).hidden) tab.hide?.();
    by(tab.name).hidden = tab !== shown;
  }
  for (const link of by("tabs").children) {
    if (link.dataset.tab === shown.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${shown.title} – eyeshot`;
  try {
    await shown.show(read(), wrong);
  } catch (error) {
    wrong(error.message);
  }
};
const go = (tab) => change({ ...Object.fromEntries(Object.keys(read()).map((name) => [name, ""])), tab: tab === TABS[0].name ? "" : tab });
document.addEventListener("click", (event) => {
  const tab = event.target.closest("[data-tab]")?.dataset.tab;
  if (!tab || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(tab);
});

// News. A browser opens six connections to a server at most, so a window that nobody sees gives its own back.
let seq = 0;
let source = null;
const live = (words) => { if (by("live").textContent !== words) by("live").textContent = words; };
const listen = () => {
  if (source || document.hidden) return;
  source = new EventSource(`api/news?since=${seq}`);
  source.addEventListener("open", () => live("live"));
  source.addEventListener("message", (event) => {
    const told = JSON.parse(event.data);
    seq = told.seq;
    if (told.experiments === null || told.experiments.length) for (const tab of TABS) if (!by(tab.name).hidden) tab.news(told.experiments);
  });
  source.addEventListener("error", () => {
    live("not connected: start eyeshot open again");
    if (source?.readyState === EventSource.CLOSED) { source = null; setTimeout(listen, 3000); }
  });
};
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) { listen(); if (current() !== experiments) show(); } // a command may have written files meanwhile
  else { source?.close(); source = null; }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (by("help").open) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  const place = Number(event.key);
  if (TABS[place - 1] && !document.querySelector("dialog[open]")) { event.preventDefault(); go(TABS[place - 1].name); by("main").focus({ preventScroll: true }); return; }
  if (event.key === "?") { event.preventDefault(); by("help").showModal(); return; }
  if (current().key(event)) event.preventDefault();
});
document.querySelector("[data-do=help]").addEventListener("click", () => by("help").showModal());

// An address without a tab that says more than nothing is about experiments.
if (!read().tab && Object.keys(read()).length) change({ tab: "experiments" }, { replace: true });
follow(show);
const [started] = await Promise.all([get("start"), show()]);
by("project").textContent = started.project;
by("writer").textContent = started.author;
seq = started.seq;
document.documentElement.dataset.ready = "true";
listen();
