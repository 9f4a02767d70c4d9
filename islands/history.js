// The last queries of this browser: what was asked, never what came of it.
import { button, counted, element } from "./elements.js";
import { changed, keep, list } from "./stored.js";

const MOST = 100;

/** A disclosure with the queries; open(sql): put one into the page. */
export function history(open) {
  const found = element("ul", { class: "past" });
  const search = element("input", { type: "search", input: () => draw() });
  const clear = button("Clear", () => (keep("history", []), draw()));
  const shown = element("details", { class: "history" }, element("summary", {}, "History"), element("label", {}, "Search", search), found, clear);

  function draw() {
    const wanted = search.value.toLowerCase();
    const items = list("history").filter((one) => one.sql.toLowerCase().includes(wanted)).sort((a, b) => !!b.star - !!a.star);
    found.replaceChildren(...items.map((one) => element(
      "li", {}, button(one.sql.length > 120 ? `${one.sql.slice(0, 120)} …` : one.sql, () => open(one.sql), { class: "name" }),
      element("span", { class: "quiet" }, ` ${one.time.slice(0, 16).replace("T", " ")}, ${counted(one.rows)} rows, ${one.seconds.toFixed(1)} s `),
      button(one.star ? "★" : "☆", () => star(one), { "aria-label": "Keep at the top", "aria-pressed": String(!!one.star) }),
    )));
    if (!items.length) found.append(element("li", { class: "quiet" }, "Nothing as yet."));
  }

  function star(item) {
    keep("history", list("history").map((one) => (one.sql === item.sql ? { ...one, star: !one.star } : one)));
    draw();
  }

  shown.addEventListener("toggle", draw);
  changed("history", draw);
  return {
    shown,
    add(sql, rows, seconds) {
      const items = list("history"), old = items.find((one) => one.sql === sql);
      const others = items.filter((one) => one !== old);
      const next = [{ sql, rows, seconds, time: new Date().toISOString(), star: old?.star ?? false }, ...others];
      while (next.length > MOST) next.splice(next.findLastIndex((one) => !one.star), 1);
      keep("history", next);
      draw();
    },
  };
}
