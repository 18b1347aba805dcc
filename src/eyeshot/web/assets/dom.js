// Making nodes. Texts of the user's go in as text, never as markup.
export const by = (id) => document.getElementById(id);

export const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};

export const count = (number) => number.toLocaleString("en");

export const options = (select, list) => {
  for (const [value, words] of list) select.append(make("option", { value }, words));
};
