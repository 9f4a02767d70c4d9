// Elements of a page, made from plain values.

/** An element: attributes as they are written, functions as listeners, texts and elements as what is in it. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const button = (text, click, attributes = {}) => element("button", { type: "button", click, ...attributes }, text);

/** A number with a thin space at the thousands. */
export const counted = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  if (count < 1e6) return `${(count / 1e3).toFixed(0)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}
