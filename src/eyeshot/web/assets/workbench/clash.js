// Two people write the same field: both texts are shown, and the reader chooses. Neither is lost.
import { make } from "./dom.js";

/**
 * Show under a form what somebody else has stored meanwhile.
 * @param form has a textarea, a `.clash` box, and in `data-before` what its writer saw.
 */
export const clash = (form, theirs, author) => {
  const box = form.querySelector(".clash");
  const mine = form.querySelector("textarea");
  const keep = make("button", { type: "button" }, "Store mine over it");
  const take = make("button", { type: "button" }, "Take theirs");
  const both = make("button", { type: "button" }, "Put both in the field");
  const done = (text) => {
    form.dataset.before = theirs;
    if (text !== null) mine.value = text;
    box.hidden = true;
    mine.focus();
  };
  keep.addEventListener("click", () => { done(null); form.requestSubmit(); });
  take.addEventListener("click", () => done(theirs));
  both.addEventListener("click", () => done(`${theirs}\n${mine.value}`.trim()));
  box.replaceChildren(make("p", { class: "small" }, `${author || "Somebody else"} wrote here meanwhile:`), make("blockquote", {}, theirs || "(emptied)"), make("div", { class: "after" }, take, both, keep));
  box.hidden = false;
};
