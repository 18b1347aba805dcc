// What all pages share: light or dark, and buttons that copy.
(() => {
  "use strict";
  const root = document.documentElement;
  const stored = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("eyeshot-theme");
      localStorage.setItem("eyeshot-theme", value);
    } catch { /* pages opened from a file may have no storage */ }
    return null;
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => {
    const button = document.getElementById("theme");
    if (button) button.textContent = dark() ? "Light" : "Dark";
    root.dispatchEvent(new CustomEvent("eyeshot-theme"));
  };
  const before = stored();
  if (before === "dark" || before === "light") root.dataset.theme = before;

  // In a frame of the workbench a page may show one part alone; its style says what that is.
  if (window !== parent && location.hash.startsWith("#only-")) root.dataset.only = location.hash.slice(6);

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => {
        root.dataset.theme = dark() ? "light" : "dark";
        stored(root.dataset.theme);
        tell();
      });
    }
    // In a frame of the workbench: that page has the button, and says which of both it shows.
    if (window !== parent) {
      if (button) button.hidden = true;
      addEventListener("message", (event) => {
        if (event.source !== parent || !["dark", "light"].includes(event.data?.theme)) return;
        root.dataset.theme = event.data.theme;
        tell();
      });
    }
    system.addEventListener("change", tell);
    tell();
    // A link to something that is folded opens it.
    const unfold = () => {
      let fold = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
      for (; fold; fold = fold.parentElement) if (fold.tagName === "DETAILS") fold.open = true;
    };
    addEventListener("hashchange", unfold);
    unfold();
    for (const copy of document.querySelectorAll("button[data-copy]")) {
      copy.hidden = false;
      copy.addEventListener("click", async () => {
        const text = document.getElementById(copy.dataset.copy).textContent;
        let done = true;
        try {
          await navigator.clipboard.writeText(text);
        } catch {
          const area = document.createElement("textarea");
          area.value = text;
          document.body.append(area);
          area.select();
          done = document.execCommand("copy");
          area.remove();
          copy.focus();
        }
        const word = copy.textContent;
        copy.textContent = done ? "Copied" : "Select it by hand";
        setTimeout(() => { copy.textContent = word; }, 1500);
      });
    }
  });
})();
