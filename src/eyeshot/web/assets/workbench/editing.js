// Writing to the ledger from the side sheet. Who writes a field second sees what was written first.
import { post } from "./ask.js";
import { clash } from "./clash.js";
import { by } from "./dom.js";
import { facts, insightList, tagList } from "./details.js";

let open = null; // the experiment of the sheet, as last told

const said = (form, words) => { form.querySelector(".said").textContent = words; };
const changed = (form) => form.querySelector("textarea").value.trim() !== form.dataset.before.trim();

/** The ledger has changed: everything but what is being written is brought up to date. */
export const renew = (told) => {
  open = told;
  const sheet = by("details");
  const focus = document.activeElement?.id;
  const unfolded = [...by("facts").querySelectorAll("details[id][open]")].map((part) => part.id);
  by("facts").replaceChildren(...facts(told));
  for (const id of unfolded) if (by(id)) by(id).open = true;
  if (focus === "details-title") by(focus).focus();
  for (const form of sheet.querySelectorAll("form[data-before]")) {
    const text = told[form.dataset.field];
    if (text === form.dataset.before) continue;
    const area = form.querySelector("textarea");
    if (!changed(form)) {
      form.dataset.before = text;
      area.value = text;
    } else if (area.value.trim() === text.trim()) form.dataset.before = text;
    else clash(form, text, told.last_authors[form.dataset.field]);
  }
  by("tags").replaceChildren(...tagList(told.tags));
  const typed = [...sheet.querySelectorAll("#insights input")].filter((input) => input.value).map((input) => [input.id, input.value, input === document.activeElement]);
  by("insights").replaceChildren(...insightList(told.insights));
  for (const [id, value, focused] of typed) {
    const input = by(id);
    if (!input) continue;
    input.value = value;
    if (focused) input.focus();
  }
};

const drafts = new Map(); // of each experiment that was left with words that are not stored: field -> [words, before]
const key = (id, form) => `${id} ${form.dataset.field}`;
/** Whether something is written that is not stored yet. */
export const unsaved = () => drafts.size > 0 || [...by("details").querySelectorAll("form[data-before]")].some(changed);

/** The sheet closes or shows another experiment: words that are not stored wait until it is opened again. */
export const leave = () => {
  if (!open) return;
  for (const form of by("details").querySelectorAll("form[data-before]")) {
    if (changed(form)) drafts.set(key(open.id, form), [form.querySelector("textarea").value, form.dataset.before]);
  }
  open = null;
};

/** The sheet shows an experiment: words that waited come back. */
export const begin = (told) => {
  open = told;
  for (const form of by("details").querySelectorAll("form[data-before]")) {
    const draft = drafts.get(key(told.id, form));
    if (!draft) continue;
    drafts.delete(key(told.id, form));
    const text = form.dataset.before;
    [form.querySelector("textarea").value, form.dataset.before] = draft;
    said(form, "Not stored yet.");
    if (draft[1] !== text && changed(form)) clash(form, text, told.last_authors[form.dataset.field]);
  }
};

const send = async (form, what, body, words) => {
  said(form, "…");
  try {
    const told = await post(what, { experiment: open.id, ...body });
    said(form, words);
    return told;
  } catch (error) {
    said(form, "");
    if (error.status === 409 && error.answer?.now !== undefined) clash(form, error.answer.now, error.answer.author);
    else said(form, `Not stored: ${error.message}`);
    return null;
  }
};

const store = async (form) => {
  const name = form.dataset.field;
  if (form.dataset.before !== undefined) {
    const text = form.querySelector("textarea").value;
    const told = await send(form, "text", { field: name, text, before: form.dataset.before }, "Stored.");
    if (told) { form.dataset.before = told[name]; renew(told); }
    return;
  }
  const input = form.querySelector("input");
  const text = input.value.trim();
  if (!text) return;
  const told = await ({
    tag: () => send(form, "tags", { add: [text], remove: [] }, `Tagged ${text}.`),
    insight: () => send(form, "insight", { text }, "Stored."),
    action: () => send(form, "action", { insight: form.dataset.insight, text }, "Stored."),
  })[name]();
  if (!told) return;
  input.value = "";
  renew(told);
  // The field of an action that was stored is gone; a focus that has moved on is left where it is.
  if (document.activeElement === document.body) (by("details").contains(input) ? input : by("add-insight")).focus();
};

by("details").addEventListener("submit", (event) => {
  const form = event.target.closest("form.edit");
  if (!form) return;
  event.preventDefault();
  store(form);
});
by("details").addEventListener("click", async (event) => {
  const tag = event.target.closest("[data-untag]")?.dataset.untag;
  if (tag === undefined) return;
  const form = by("details").querySelector("[data-field=tag]");
  const told = await send(form, "tags", { add: [], remove: [tag] }, `${tag} was taken off.`);
  if (!told) return;
  renew(told);
  if (document.activeElement === document.body) by("add-tag").focus();
});
by("details").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.closest("form.edit")?.requestSubmit();
});
