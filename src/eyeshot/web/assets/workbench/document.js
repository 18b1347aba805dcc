// Blocks of the report: headings, paragraphs, tables, figures, and fields that are written in their place.
import { post } from "./ask.js";
import { clash } from "./clash.js";
import { count, make } from "./dom.js";

export const fieldKey = (field, person) => `${field} ${person ?? ""}`;

const links = (given) => given.flatMap((link, place) => [place ? ", " : "", make("a", { href: `#r-${link.anchor}`, "data-jump": `r-${link.anchor}` }, make("bdi", {}, link.text))]);

const cell = (given, label, isNumber) => make("td", { id: given.anchor ? `r-${given.anchor}` : null, tabindex: given.anchor ? "-1" : null, class: isNumber ? "number" : "", "data-label": label },
  make("span", {}, make("bdi", {}, given.text), ...(given.links?.length ? [given.text ? " " : "", ...links(given.links)] : [])));

const MOST_ROWS = 200; // of a table at once: a browser takes seconds to lay out the 10,000 of a long project
const waiting = new Map(); // id of a row that is not drawn yet -> draws its table whole
/** Draw the row of an id, if it waits. */
export const reveal = (id) => waiting.get(id)?.();
/** Another document begins: no row of the one before waits any more. */
export const forget = () => waiting.clear();

const table = ({ caption, columns, numbers, rows }) => {
  const draw = (row) => make("tr", {}, ...row.map((one, place) => cell(one, columns[place], numbers.includes(place))));
  const body = make("tbody", {}, ...rows.slice(0, MOST_ROWS).map(draw));
  const rest = rows.slice(MOST_ROWS);
  const more = make("button", { type: "button" }, `Show all ${count(rows.length)} rows`);
  const whole = () => {
    for (const [id, draws] of waiting) if (draws === whole) waiting.delete(id);
    more.parentElement?.remove();
    body.append(...rest.splice(0).map(draw));
  };
  more.addEventListener("click", () => { whole(); body.closest(".box").focus(); });
  for (const row of rest) for (const { anchor } of row) if (anchor) waiting.set(`r-${anchor}`, whole);
  return make("figure", { class: "of-table" }, make("figcaption", {}, make("b", {}, caption)),
    make("div", { class: "box", tabindex: "0", role: "group", "aria-label": caption }, make("table", { class: `plain stack${columns.length < 4 ? " few" : ""}` },
      make("thead", {}, make("tr", {}, ...columns.map((name, place) => make("th", { scope: "col", class: numbers.includes(place) ? "number" : "" }, name)))), body)),
    rest.length ? make("p", { class: "small" }, `The first ${count(MOST_ROWS)}. `, more) : null);
};

const figure = ({ source, alt, caption }) => make("figure", {}, source ? make("img", { src: source, alt, loading: "lazy" }) : make("p", { class: "missing" }, alt), make("figcaption", {}, caption));

let forms = 0;
const changed = (form) => form.querySelector("textarea").value.trim() !== form.dataset.before.trim();
/**
 * What a person writes: the words with a button to change them, or the field. It takes two events: "sync", the texts have
 * changed, and "draft", words that were not stored come back.
 */
const field = ({ field: name, person = "", command, text: asked, experiment, insight }, context) => {
  const whose = experiment ? [experiment, insight].filter(Boolean).join(" ") : person;
  const key = fieldKey(name, whose);
  const box = make("div", { class: "field", "data-key": key });
  const about = experiment ? asked : person ? `${context.question(name)} (${person})` : context.question(name);
  let stored = null; // at an experiment: the texts that are looked up do not hold it
  const find = () => context.text(name, whose) ?? stored;
  const isGap = (gap) => {
    box.classList.toggle("gap", gap);
    if (gap) box.dataset.gap = key;
    else delete box.dataset.gap;
  };
  const read = () => {
    const told = find();
    const edit = make("button", { type: "button", class: "quiet", "aria-label": `Change: ${about}` }, "Change");
    edit.addEventListener("click", () => { write(told.text); box.querySelector("textarea").focus(); });
    isGap(false);
    box.dataset.shown = told.text;
    box.replaceChildren(make("blockquote", {}, ...told.text.split("\n").map((line) => make("p", {}, line))), make("p", { class: "small soft" }, make("bdi", {}, told.author), " ", insight ? "" : edit, // what was done about an insight is added to, not changed
      experiment ? make("a", { href: `?tab=experiments&open=${encodeURIComponent(experiment)}`, "data-open": experiment }, "Open the experiment") : ""));
  };
  /** Store the words where they belong; what stands there now. */
  const store = async (text, before) => {
    if (!experiment) return post("report-text", { field: name, person, text, before });
    const told = insight ? await post("action", { experiment, insight, text }) : await post("text", { experiment, field: name, text, before });
    const now = insight ? told.insights.find(({ id }) => id === insight).actions.at(-1) : { text: told[name], author: told.last_authors[name] };
    stored = { field: name, person: whose, text: now.text, author: now.author };
    return stored;
  };
  const write = (before) => {
    const id = `field-${++forms}`;
    const said = make("span", { class: "small said", role: "status" });
    const there = find() !== null;
    const cancel = make("button", { type: "button", class: "quiet" }, "Leave as it is");
    cancel.addEventListener("click", () => { read(); box.querySelector("button").focus(); });
    const form = make("form", { class: "edit", "data-before": before },
      make("label", { for: id }, about),
      make("textarea", { id, rows: "3", maxlength: "20000", required: experiment ? "" : null }, before),
      make("div", { class: "after" }, make("button", { type: "submit" }, "Store"), there ? cancel : make("code", { class: "small soft" }, command), said),
      make("div", { class: "clash", role: "alert", hidden: true }));
    form.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.textContent = "…";
      try {
        const told = await store(form.querySelector("textarea").value, form.dataset.before);
        const focused = form.contains(document.activeElement);
        form.dataset.before = form.querySelector("textarea").value;
        context.stored(told);
        if (focused) box.querySelector("button, a").focus();
      } catch (error) {
        said.textContent = "";
        if (error.status === 409 && error.answer?.now !== undefined) clash(form, error.answer.now, error.answer.author);
        else said.textContent = `Not stored: ${error.message}`;
      }
    });
    isGap(!there);
    delete box.dataset.shown;
    box.replaceChildren(form);
    return form;
  };
  box.addEventListener("sync", () => {
    const told = find();
    const form = box.querySelector("form");
    if (!told) return;
    if (!form) { if (told.text !== box.dataset.shown) read(); }
    else if (!changed(form)) { if (told.text.trim() !== form.dataset.before.trim() || box.dataset.gap) read(); }
    else if (told.text.trim() !== form.dataset.before.trim()) clash(form, told.text, told.author);
  });
  box.addEventListener("draft", ({ detail: [text, before] }) => {
    const form = write(before);
    form.querySelector("textarea").value = text;
    box.dispatchEvent(new CustomEvent("sync"));
  });
  if (find()) read();
  else write("");
  return box;
};
/** Words that are not stored yet, by the key of their field: what is written, and what its writer saw before. */
export const drafts = (place) => new Map([...place.querySelectorAll(".field form")].filter(changed)
  .map((form) => [form.parentElement.dataset.key, [form.querySelector("textarea").value, form.dataset.before]]));

const paragraph = (one, context) => {
  if (one.field) return field(one, context);
  if (one.role === "quote") return make("blockquote", {}, make("p", {}, one.text));
  return make("p", { class: one.role }, one.text, ...(one.links.length ? [make("span", { class: "small" }, " [", ...links(one.links), "]")] : []), one.command ? make("code", {}, ` ${one.command}`) : "");
};

/**
 * A block as a node.
 * @param context `text(field, person)` and `question(field)` of what people write; `stored(told)` is called when this reader did.
 */
export const block = (one, context) => {
  if (one.kind === "heading") return make(`h${one.level + 2}`, { id: `r-${one.anchor}`, tabindex: "-1" }, one.text);
  if (one.kind === "table") return table(one);
  if (one.kind === "figure") return figure(one);
  return paragraph(one, context);
};
