// A result as a table: on a desk all rows in a box that scrolls, of which only those in sight are there; on a phone cards.
import { button, counted, element } from "./elements.js";

const HEIGHT = 32; // px of a row, as in style.css
const ALL = 500; // rows that are simply there
const CARDS = 50;

/** What a cell says: nothing is "–", never 0 or blank. */
export function written(value, column) {
  if (value === null || value === undefined) return "–";
  if (column.time) return new Date(Number(value)).toISOString().replace(/\.000Z$|Z$/, "");
  if (typeof value === "object") return [...value].map((one) => one ?? "–").join(" ");
  return String(value);
}

export function table(result) {
  const order = Uint32Array.from({ length: result.rows }, (_, row) => row);
  const body = element("tbody");
  const narrow = matchMedia("(max-width: 37.5rem)").matches;
  const heads = result.columns.map((column, index) => element(
    "th", { scope: "col", class: column.number && "number", title: column.description || null },
    button(column.name, () => sort(index), { class: "sort" }), element("small", {}, column.unit || "\u00a0"),
  ));
  const whole = element(
    "table", { "aria-rowcount": result.rows + 1, class: narrow ? "cards" : "rows" },
    element("thead", {}, element("tr", { "aria-rowindex": 1 }, ...heads)), body,
  );
  const box = element("div", { class: "wide result", role: "region", "aria-label": "The rows", tabindex: 0, scroll: () => draw() }, whole);
  let shown = narrow ? CARDS : ALL, from = -1;

  const row = (place) => element("tr", { "aria-rowindex": place + 2 }, ...result.columns.map((column, index) => element(
    "td", { class: column.number && "number", "data-name": column.unit ? `${column.name} (${column.unit})` : column.name },
    written(result.value(order[place], index), column),
  )));
  const gap = (rows) => {
    const made = element("tr", { "aria-hidden": "true" }, element("td", { colspan: result.columns.length, class: "gap" }));
    made.firstChild.style.height = `${rows * HEIGHT}px`;
    return made;
  };
  const some = (a, b) => Array.from({ length: b - a }, (_, index) => row(a + index));

  function draw(anew) {
    if (narrow || result.rows <= ALL) {
      if (from >= 0 && !anew) return;
      from = 0;
      const end = Math.min(result.rows, shown);
      body.replaceChildren(...some(0, end));
      more.hidden = end === result.rows;
      return;
    }
    const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 20);
    if (!anew && from >= 0 && Math.abs(first - from) < 10) return;
    from = first;
    const end = Math.min(result.rows, first + 40 + Math.ceil((box.clientHeight || 600) / HEIGHT));
    body.replaceChildren(gap(first), ...some(first, end), gap(result.rows - end));
  }

  function sort(index) {
    const down = heads[index].getAttribute("aria-sort") === "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[index].setAttribute("aria-sort", down ? "descending" : "ascending");
    const values = Array.from({ length: result.rows }, (_, at) => result.value(at, index));
    const compared = (a, b) => (typeof a === "object" ? String(a) < String(b) : a < b) ? -1 : a > b ? 1 : 0;
    order.sort((a, b) => {
      const x = values[a], y = values[b];
      if (x === null || y === null || x !== x || y !== y) return (x === null || x !== x) - (y === null || y !== y); // the missing last
      return down ? compared(y, x) : compared(x, y);
    });
    draw(true);
  }

  const more = button(`Show ${counted(CARDS)} more`, () => { shown += CARDS; draw(true); }, { hidden: true });
  draw(true);
  return [box, more];
}
