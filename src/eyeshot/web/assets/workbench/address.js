// The state of the page is its address: filters, order, what is open. Going back and forward restores it.
const listeners = [];

/** What the address says, as an object of texts; a name without a value is left out. */
export const read = () => Object.fromEntries([...new URLSearchParams(location.search)].filter(([, value]) => value !== ""));

/** Listen to changes of the address, by this page or by back and forward. */
export const follow = (listener) => listeners.push(listener);

const tellAll = () => { for (const listener of listeners) listener(read()); };

/**
 * Change parts of the address; an empty value takes a part out.
 * @param replace no step of its own in the history, for what is typed letter by letter.
 */
export const change = (parts, { replace = false } = {}) => {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(parts)) {
    if (value === "" || value === null || value === undefined) query.delete(name);
    else query.set(name, value);
  }
  // Commas and signs that ids hold stay readable in the address.
  const text = query.toString().replaceAll("%2C", ",");
  const next = text ? `?${text}` : location.pathname;
  if (text === location.search.slice(1)) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  tellAll();
};

addEventListener("popstate", tellAll);
