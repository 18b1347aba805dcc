// The wrap-up report as it stands now. What only people can write is written in its place.
import { change, read } from "./address.js";
import { get, post } from "./ask.js";
import { block, drafts, fieldKey, forget, reveal } from "./document.js";
import { by, make, options } from "./dom.js";
import { parts, section } from "./results.js";
import { moment, plural, progress } from "./words.js";

const POLLED_MS = 600;
const FORMATS = ["html", "docx", "pdf"];
const LANGUAGES = [["en", "English"], ["ko", "한국어"]];
const AT_ONCE = 4; // sections that are drawn before the first look; the others follow one by one

const language = make("select", { id: "report-language" });
options(language, LANGUAGES);
const state = make("p", { class: "small", id: "report-state", role: "status" });
const bar = make("progress", { "aria-label": "The report is being made", hidden: true });
const next = make("button", { type: "button", id: "next-missing", "aria-keyshortcuts": "m", hidden: true });
const again = make("button", { type: "button", id: "report-again", hidden: true }, "Make it anew");
const writers = FORMATS.map((format) => make("button", { type: "button", "data-format": format }, `Write ${format.toUpperCase()}`));
const files = make("div", { id: "report-files", class: "small" });
const wrongBox = make("p", { class: "warning", hidden: true });
const notes = make("details", { hidden: true });
const lists = make("div", { id: "report-lists" });
const contents = make("details", { id: "report-contents", hidden: true });
const article = make("article", { class: "document", id: "report-document", "aria-label": "The report" });

let version = 0;
let shownLanguage = "";
let texts = new Map(); // "field person" -> { text, author }
let questions = {};
let polling = null;
let complain = () => {};
const drawLists = parts(lists);

const lang = () => (LANGUAGES.some(([code]) => code === read().lang) ? read().lang : "en");
const shown = () => !by("report").hidden;

// What is missing ----------------------------------------------------------------------------------------------------
const gaps = () => [...article.querySelectorAll(".gap")];
const countMissing = () => {
  const many = new Set(gaps().map((gap) => gap.dataset.gap)).size;
  next.hidden = many === 0;
  next.textContent = `Next missing text (${many})`;
  return many;
};
let jumped = null;
const jump = () => {
  const list = gaps();
  if (!list.length) return;
  const from = jumped; // where the focus was last in the report
  const after = from?.isConnected ? list.find((gap) => !gap.contains(from) && from.compareDocumentPosition(gap) & Node.DOCUMENT_POSITION_FOLLOWING) : null;
  const gap = after ?? list[0];
  jumped = gap;
  gap.scrollIntoView({ block: "center" });
  gap.querySelector("textarea, a, button").focus({ preventScroll: true });
};

// Drawing ------------------------------------------------------------------------------------------------------------
/** Whether something is written that is not stored yet. */
const unsaved = () => drafts(article).size > 0;
const sync = () => {
  for (const box of article.querySelectorAll(".field")) box.dispatchEvent(new CustomEvent("sync"));
};
const context = {
  text: (field, person) => texts.get(fieldKey(field, person)) ?? null,
  question: (field) => questions[field] ?? field,
  stored: (told) => {
    texts.set(fieldKey(told.field, told.person), told);
    sync();
    sayState(last);
  },
};
let turn = 0;
const drawDocument = (told) => {
  const mine = ++turn;
  const written = drafts(article);
  const focused = document.activeElement?.closest?.("#report-document .field")?.dataset.key;
  forget();
  const sections = [];
  for (const one of told.blocks) {
    if (one.kind === "heading" && one.level === 1) sections.push({ heading: one, blocks: [] });
    else sections.at(-1)?.blocks.push(one);
  }
  article.lang = told.language;
  article.replaceChildren(make("h2", { class: "document-title" }, told.title), make("p", { class: "small soft" }, told.subtitle));
  contents.hidden = false;
  contents.replaceChildren(make("summary", {}, "Contents"), make("ol", {}, ...sections.map(({ heading }) => make("li", {}, make("a", { href: `#r-${heading.anchor}`, "data-jump": `r-${heading.anchor}` }, heading.text)))));
  const drawSection = ({ heading, blocks }) => {
    const node = make("section", { id: `r-${heading.anchor}`, "aria-labelledby": `r-${heading.anchor}-title`, tabindex: "-1" }, make("h3", { id: `r-${heading.anchor}-title` }, heading.text));
    let before = null;
    for (const one of blocks) {
      // The lines of one text are one field.
      if (one.field && before?.field === one.field && before.person === one.person && !one.experiment) continue;
      node.append(block(one, context));
      before = one;
    }
    article.append(node);
    for (const box of node.querySelectorAll(".field")) {
      const draft = written.get(box.dataset.key);
      if (!draft) continue;
      box.dispatchEvent(new CustomEvent("draft", { detail: draft }));
      written.delete(box.dataset.key);
      if (box.dataset.key === focused) box.querySelector("textarea").focus();
    }
  };
  sections.slice(0, AT_ONCE).forEach(drawSection);
  const rest = sections.slice(AT_ONCE);
  const goOn = () => {
    if (mine !== turn) return;
    if (rest.length) { drawSection(rest.shift()); setTimeout(goOn); }
    else { article.dataset.whole = String(version); countMissing(); sayState(last); }
  };
  delete article.dataset.whole;
  goOn();
};

let last = null;
const sayState = (answer) => {
  if (!answer) return;
  bar.hidden = !answer.progress;
  if (answer.progress) {
    if (answer.progress.total) { bar.max = answer.progress.total; bar.value = answer.progress.done; } else bar.removeAttribute("value");
    state.textContent = progress(answer.progress, "The report is being made");
  } else if (answer.version) {
    const missing = countMissing();
    state.textContent = `${missing ? `${plural(missing, "text")} ${missing === 1 ? "is" : "are"} still to be written.` : "No text is missing."} Made ${moment(answer.made)} in ${answer.seconds.toFixed(1)} s${answer.old ? "; the project has changed since" : ""}.`;
  } else state.textContent = "";
  again.hidden = Boolean(answer.progress) || !answer.old;
  for (const button of writers) button.disabled = Boolean(answer.progress);
};
const drawFiles = ({ files: list, not_written: reasons }) => files.replaceChildren(
  ...(list.length ? [make("p", { class: "small" }, "Written: ", ...list.flatMap((file, place) => [place ? ", " : "", make("a", { href: `report-file?${new URLSearchParams({ name: file.name })}`, target: "_blank", rel: "noopener" }, file.name), ` (${moment(file.made)})`]))] : []),
  ...Object.entries(reasons).map(([format, reason]) => make("p", { class: "warning" }, `${format.toUpperCase()} was not written: ${reason}`)));

const draw = (answer) => {
  last = answer;
  texts = new Map(answer.texts.map((one) => [fieldKey(one.field, one.person), one]));
  questions = answer.questions;
  wrongBox.hidden = !answer.wrong;
  wrongBox.textContent = answer.wrong;
  notes.hidden = !answer.notes.length;
  notes.replaceChildren(make("summary", {}, plural(answer.notes.length, "note")), ...answer.notes.map((words) => make("p", { class: "small" }, words)));
  drawFiles(answer);
  if (answer.document) {
    version = answer.version;
    drawDocument(answer.document);
  } else sync();
  sayState(answer);
};
const load = async (more = {}) => {
  clearTimeout(polling);
  const wanted = lang();
  if (wanted !== shownLanguage) {
    shownLanguage = wanted;
    version = 0;
    turn += 1;
    article.replaceChildren();
    contents.hidden = true;
  }
  const answer = await get("report", { lang: wanted, since: String(version), ...more });
  if (wanted !== lang()) return;
  draw(answer);
  if (answer.progress) polling = setTimeout(() => { if (shown()) load({}).catch((error) => complain(error.message)); }, POLLED_MS);
  else if (!answer.version && !answer.wrong && !more.make) await load({ make: "1" }); // the other language was being made
};
const loadLists = async () => {
  const { sections } = await get("tab", { name: "report" });
  drawLists(sections.map((one) => [one.title, one, (told) => {
    const node = section(told);
    // The report itself comes first; these lists are longer than what it asks for.
    return told.rows.length ? make("details", {}, make("summary", {}, `${told.title} (${told.rows.length})`), node) : make("p", { class: "small soft" }, ...told.words);
  }]));
};

export const name = "report";
export const title = "Report";

/** Show what the address says; the report is made anew where the project has changed. */
export const show = async (address, said) => {
  complain = said;
  language.value = lang();
  if (!by("report-title")) {
    by("report").replaceChildren(make("h1", { id: "report-title" }, title),
      make("div", { class: "report-bar" }, make("label", {}, "Language ", language), ...writers, next, again),
      state, bar, wrongBox, files, notes, lists, contents, article);
  }
  await Promise.all([load({ make: "1" }), loadLists()]);
};
let timer = null;
/** The ledger has changed: the lists follow, and the report says that it is older. */
export const news = () => {
  timer ??= setTimeout(() => { timer = null; Promise.all([loadLists(), load({})]).catch(() => {}); }, 1000);
};
export const key = (event) => {
  if (event.key !== "m") return false;
  jump();
  return true;
};

article.addEventListener("focusin", (event) => { jumped = event.target; });
language.addEventListener("change", () => change({ lang: language.value === "en" ? "" : language.value }));
next.addEventListener("click", jump);
again.addEventListener("click", () => load({ make: "1" }).catch((error) => complain(error.message)));
for (const button of writers) {
  button.addEventListener("click", async () => {
    try {
      draw(await post(`write?${new URLSearchParams({ lang: lang(), formats: button.dataset.format, since: String(version) })}`, {}));
      await load({});
    } catch (error) { complain(error.message); }
  });
}
by("report").addEventListener("click", (event) => {
  const link = event.target.closest("[data-jump]");
  if (!link) return;
  event.preventDefault(); // the address says which tab is shown, not where it was scrolled to
  reveal(link.dataset.jump);
  const place = by(link.dataset.jump);
  place?.scrollIntoView({ block: "start" });
  place?.focus({ preventScroll: true });
});
addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });
