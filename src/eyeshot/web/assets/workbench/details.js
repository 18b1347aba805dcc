// One experiment: why, what, expected, got, verdict, and what its author writes about it.
import { by, make } from "./dom.js";
import { badge, gainBar, reachOf, stateBadge } from "./table.js";
import { duration, moment, NOTHING, percent, plural, pointRange, points, pValue, range } from "./words.js";

const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
const part = (title, ...content) => make("section", {}, make("h3", {}, title), ...content.flat().filter(Boolean));
const to = (id) => (id ? make("a", { href: `?open=${encodeURIComponent(id)}`, "data-open": id, class: "name" }, id) : NOTHING);

const settings = (told) => {
  if (!told.difference.length) return make("p", { class: "soft" }, told.parent ? "Nothing but the seed differs from the parent." : "It has no parent: a baseline.");
  const body = make("tbody", {}, ...told.difference.map(([group, name, before, after]) => make("tr", {},
    make("td", { class: "soft" }, group), make("th", { scope: "row", class: "setting" }, name.replace(/^(data|code)\./, "")), make("td", {}, before), make("td", {}, make("b", {}, after)))));
  return make("table", { class: "plain" }, make("thead", {}, make("tr", {}, ...["part", "name", "parent", "here"].map((name) => make("th", { scope: "col" }, name)))), body);
};

const got = (told) => {
  const { got: numbers } = told;
  if (!numbers) return make("p", { class: "soft" }, told.state === "running" ? "It is still running." : "There is no result yet.");
  const seeds = numbers.seeds > 1 ? `, ${plural(numbers.seeds, "seed")}` : "";
  const lines = [make("p", {}, make("b", {}, percent(numbers.value)), range(numbers) ? ` (95 %: ${range(numbers)})` : "", ` ${numbers.metric}`, numbers.n ? `, n ${numbers.n.toLocaleString("en")}` : "", seeds, numbers.folds > 1 ? `, ${plural(numbers.folds, "fold")}` : "")];
  if (numbers.change !== null) {
    lines.push(make("div", { class: "gain-row" }, gainBar(told, reachOf([told])),
      make("span", {}, points(numbers.change), pointRange({ low: numbers.change_low, high: numbers.change_high }) ? ` (95 %: ${pointRange({ low: numbers.change_low, high: numbers.change_high })})` : "",
        numbers.p === null ? "" : `, p ${pValue(numbers.p)}${numbers.allowed_p === null ? "" : `, counts up to ${pValue(numbers.allowed_p)}`}`)));
  }
  for (const words of told.remarks) lines.push(make("p", { class: "small soft" }, words));
  if (numbers.disagrees) lines.push(make("p", { class: "warning" }, told.disagreement));
  return lines;
};

const config = (told) => make("details", { id: "config" }, make("summary", {}, `Whole configuration (${plural(told.config.length, "setting")})`),
  make("table", { class: "plain" }, make("tbody", {}, ...told.config.map(([name, value]) => make("tr", {}, make("th", { scope: "row", class: "setting" }, name), make("td", {}, value))))));

const size = (bytes) => (bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : bytes >= 1e3 ? `${(bytes / 1e3).toFixed(0)} kB` : `${bytes} B`);
const files = (told) => make("details", { id: "files" }, make("summary", {}, `Files of ${told.runs.length === 1 ? "the run" : plural(told.runs.length, "run")}`),
  make("p", { class: "small soft" }, "In ", make("span", { class: "name" }, told.runs_folder)),
  ...told.files.flatMap(({ run, files: list }) => [
    make("p", { class: "name small" }, run),
    list.length ? make("ul", { class: "plain-list row" }, ...list.map((file) => make("li", { class: "small" },
      file.text ? make("a", { href: `api/file?${new URLSearchParams({ id: told.id, run, name: file.name })}`, target: "_blank", rel: "noopener" }, file.name) : file.name, make("span", { class: "soft" }, ` ${size(file.bytes)}`)))) : make("p", { class: "small soft" }, "Its folder is not on this machine."),
  ]));

const rungs = (told) => (told.rungs.length ? make("table", { class: "plain" },
  make("thead", {}, make("tr", {}, ...["rung", "accuracy", "n", "time"].map((name, place) => make("th", { scope: "col", class: place ? "number" : "" }, name)))),
  make("tbody", {}, ...told.rungs.map((one) => make("tr", {}, make("th", { scope: "row" }, one.rung), make("td", { class: "number" }, percent(one.value ?? null)), make("td", { class: "number" }, one.n?.toLocaleString("en") ?? NOTHING), make("td", { class: "number" }, duration(one.seconds ?? null)))))) : null);

const field = (name, title, text, hint) => make("form", { class: "edit", "data-field": name, "data-before": text },
  make("label", { for: `edit-${name}` }, title),
  make("textarea", { id: `edit-${name}`, rows: "3", maxlength: "20000", placeholder: hint }, text),
  make("div", { class: "after" }, make("button", { type: "submit" }, "Store"), make("span", { class: "small said", role: "status" })),
  make("div", { class: "clash", role: "alert", hidden: true }));

const insight = (one) => make("li", { "data-insight": one.id, class: one.actions.length ? "" : "open" },
  make("p", {}, make("b", {}, one.actions.length ? "" : "open: "), one.text, make("span", { class: "small soft" }, ` ${one.author}, ${moment(one.time)}`)),
  make("ul", { class: "plain-list done" }, ...one.actions.map((action) => make("li", { class: "small" }, "→ ", action.text, make("span", { class: "soft" }, ` ${action.author}, ${moment(action.time)}`)))),
  make("form", { class: "edit inline", "data-field": "action", "data-insight": one.id },
    make("label", { for: `act-${one.id}`, class: "unseen" }, "What was done about it"),
    make("input", { id: `act-${one.id}`, maxlength: "2000", placeholder: "what was done about it", autocomplete: "off" }),
    make("button", { type: "submit" }, "Done"), make("span", { class: "small said", role: "status" })));

export const tagList = (tags) => tags.map((tag) => make("li", {}, make("span", { class: "tag" }, tag,
  make("button", { type: "button", class: "quiet", "data-untag": tag, "aria-label": `Take the tag ${tag} off` }, "×"))));

export const insightList = (insights) => insights.map(insight);

/** Everything that can change while the experiment is open, but the fields that a person writes in. */
export const facts = (told) => [
  make("p", { class: "kicker" }, make("span", { class: "name" }, told.id), " ", stateBadge(told.state), " ", told.verdict || told.gain ? badge(told.verdict ?? told.gain) : ""),
  make("h2", { id: "details-title", tabindex: "-1" }, told.why || "no reason stated"),
  told.verdict_words ? make("p", { class: "lead" }, told.verdict_words) : "",
  told.words ? make("p", { class: told.state === "failed" ? "warning" : "soft" }, told.words) : "",
  part("Expected", make("p", {}, told.expected ? told.expected.words : "Nothing was stated.", told.expected ? make("span", { class: "small soft" }, ` stated ${moment(told.expected.stated_at)}`) : ""),
    told.expected?.late ? make("p", { class: "warning" }, "This was stated after a run had begun, so it counts for nothing.") : null),
  part("Got", got(told)),
  part("What differs", settings(told)),
  told.rungs.length ? part("Rungs", rungs(told)) : "",
  part("Facts", make("dl", { class: "facts" },
    fact("Parent", to(told.parent)), told.children.length ? fact("Built on it", ...told.children.flatMap((id) => [to(id), " "])) : "",
    fact("Author", `${told.author || NOTHING}${told.author_kind === "person" ? "" : ` (${told.author_kind})`}`), fact("Created", moment(told.created)), fact("Rung", told.rung ?? NOTHING),
    fact("Cost", make("b", {}, duration(told.cost_s)), told.cost_planned_s === null ? "" : `, ${duration(told.cost_planned_s)} planned`),
    told.sweep ? fact("Sweep", told.sweep) : "", told.hypothesis ? fact("Hypothesis", told.hypothesis) : "",
    told.own_work ? fact("Own work", told.own_work) : "", told.off_the_shelf ? fact("Off the shelf", told.off_the_shelf) : "",
    told.code.commit ? fact("Code", make("span", { class: "name" }, String(told.code.commit).slice(0, 12)), told.code.difference ? " with changes" : "") : "")),
  part("Send it", make("p", { class: "small soft" }, "The address works only while this page is served. A colleague with a copy of the project's folder types:"),
    make("pre", { tabindex: "0", id: "send", "aria-label": "Command that opens this experiment" }, `eyeshot open ${told.id}`),
    make("p", { class: "small soft" }, "Others get the pages that this writes: ", make("code", {}, "eyeshot open --export DIR"))),
  told.config.length ? config(told) : "",
  told.runs.length ? files(told) : "",
  told.code.difference ? make("details", { id: "code" }, make("summary", {}, "Changes to the code"), make("pre", { tabindex: "0" }, told.code.difference)) : "",
  told.notes.length ? part("Notes", make("ul", { class: "plain-list" }, ...told.notes.map((one) => make("li", {}, one.text, make("span", { class: "small soft" }, ` ${one.author}, ${moment(one.time)}`))))) : "",
].filter((node) => node !== "");

/** Fill the side sheet with an experiment. */
export const show = (told) => {
  by("details").replaceChildren(
    make("div", { class: "top" },
      make("button", { type: "button", "data-step": "-1", "aria-keyshortcuts": "k" }, "Previous"), make("button", { type: "button", "data-step": "1", "aria-keyshortcuts": "j" }, "Next"),
      make("span", { class: "small soft", role: "status", id: "details-news" }),
      make("button", { type: "button", "data-close": true, "aria-keyshortcuts": "Escape" }, "Close")),
    make("div", { class: "body" },
      make("div", { id: "facts" }, ...facts(told)),
      make("section", {}, make("h3", {}, "What was learned"),
        field("learned", "Learned", told.learned, "What does this tell you that you did not know?"),
        field("why_different", "Why as expected, or why different", told.why_different, "Why did it come so?")),
      make("section", {}, make("h3", {}, "Tags"), make("ul", { class: "plain-list row", id: "tags" }, ...tagList(told.tags)),
        make("form", { class: "edit inline", "data-field": "tag" }, make("label", { for: "add-tag", class: "unseen" }, "Another tag"),
          make("input", { id: "add-tag", maxlength: "60", placeholder: "another tag", autocomplete: "off", autocapitalize: "off", spellcheck: "false" }), make("button", { type: "submit" }, "Add"), make("span", { class: "small said", role: "status" }))),
      make("section", {}, make("h3", {}, "Insights"), make("ul", { class: "plain-list insights", id: "insights" }, ...insightList(told.insights)),
        make("form", { class: "edit inline", "data-field": "insight" }, make("label", { for: "add-insight", class: "unseen" }, "Another insight"),
          make("input", { id: "add-insight", maxlength: "2000", placeholder: "something that asks for an action", autocomplete: "off" }), make("button", { type: "submit" }, "Add"), make("span", { class: "small said", role: "status" }))),
      make("section", { id: "details-curves" }, make("h3", {}, "Curves"), make("div", {}))));
};
