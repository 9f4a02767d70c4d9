// What this browser keeps: lists in its storage, the same in every tab. Without storage they last as long as the page.

const kept = {};

export function list(name) {
  try {
    return JSON.parse(localStorage.getItem(`km3vo.${name}`) ?? "[]");
  } catch {
    return kept[name] ?? [];
  }
}

export function keep(name, items) {
  kept[name] = items;
  try {
    localStorage.setItem(`km3vo.${name}`, JSON.stringify(items));
  } catch {
    // full, or not allowed
  }
}

/** Called when another tab changed a list. */
export function changed(name, told) {
  addEventListener("storage", ({ key }) => { if (key === `km3vo.${name}`) told(); });
}
