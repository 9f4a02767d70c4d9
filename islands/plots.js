// Plots of a result on canvases: sky, histogram, scatter; what is chosen in one is chosen in all.
import { binCount, finite, histogram, numbers, statistics } from "./bins.js";
import { button, counted, element } from "./elements.js";
import { Selection } from "./selection.js";

const WIDTH = 640, HEIGHT = 320, LEFT = 60, BOTTOM = 42, TOP = 10, RIGHT = 12;
const MANY = 20000; // points, above which their density is drawn
const short = (value) => (value === null ? "–" : typeof value === "bigint" ? String(value) : String(Number(Number(value).toPrecision(6))));
const named = ({ name, unit }) => (unit ? `${name} (${unit})` : name);

/** Views of a result. page: the query's, for "as ADQL". */
export function plots(page, result) {
  const columns = new Map(result.columns.flatMap((column, index) => (column.number ? [[index, numbers(result, index)]] : [])));
  if (!columns.size) return element("p", {}, "No column of numbers is there to be drawn.");
  const selection = new Selection(columns, result.rows);
  const by = (ucd) => result.columns.findIndex((column, index) => columns.has(index) && column.ucd.startsWith(ucd));
  const ra = by("pos.eq.ra"), dec = by("pos.eq.dec");
  const first = [...columns.keys()].find((index) => index !== ra && index !== dec && columns.get(index).values.some((one) => one === one)) ?? [...columns.keys()][0];
  const query = page.text; // the plots are of this one, whatever is typed meanwhile

  const told = element("p", { role: "status" });
  const where = button("Selection as ADQL", () => {
    const quoted = (index) => `chosen.${/^[A-Za-z]\w*$/.test(result.columns[index].name) ? result.columns[index].name : `"${result.columns[index].name.replaceAll('"', '""')}"`}`;
    page.text = `SELECT *\nFROM (\n${query}\n) AS chosen\nWHERE ${selection.adql(quoted)}`;
  });
  const clear = button("Clear selection", () => selection.clear());
  const count = () => {
    told.textContent = `${counted(selection.count)} of ${counted(result.rows)} rows are chosen.`;
    where.disabled = clear.disabled = !selection.chosen;
  };
  selection.onChange(count);
  count();
  const part = result.overflow || !result.whole ? element("p", { class: "warning" }, "The plots show a part of the rows only: the result was cut, and the first rows are no random sample.") : null;
  return element(
    "div", { class: "plots" }, part, told, element("div", { class: "tools" }, where, clear),
    ra >= 0 && dec >= 0 ? sky(page, result, selection, ra, dec) : null,
    distribution(page, result, selection, first),
    columns.size > 1 ? scatter(page, result, selection, first) : null,
    table(result, columns),
  );
}

/** A canvas with a caption, fields for ranges, a sentence in place of the picture, and its numbers. */
function view(page, title, draw) {
  const canvas = element("canvas", { width: WIDTH, height: HEIGHT, role: "img" });
  const caption = element("figcaption"), data = element("div", { class: "wide", role: "region", "aria-label": `Numbers of: ${title}`, tabindex: 0 });
  const png = button("PNG", () => {
    const link = element("a", { download: "plot.png", href: canvas.toDataURL() });
    link.click();
  }, { "aria-label": `Save as PNG: ${title}` });
  const fields = element("div", { class: "choices" });
  const figure = element("figure", {}, element("h3", {}, title), fields, canvas, caption, element("details", {}, element("summary", {}, "Data"), data), png);
  const again = () => {
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const context = canvas.getContext("2d");
    context.fillStyle = colour("--page");
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.font = "12px system-ui, sans-serif";
    const { sentence, rows } = draw(context, { line: colour("--quiet"), quiet: colour("--line"), mark: colour("--link"), chosen: colour("--mistake") });
    canvas.setAttribute("aria-label", sentence);
    caption.textContent = sentence;
    data.replaceChildren(element("table", {}, ...rows.map((row, index) => element("tr", {}, ...row.map((cell) => element(index ? "td" : "th", {}, String(cell)))))));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  return { figure, fields, canvas, again };
}

const select = (label, result, indices, value, change) => element(
  "label", {}, label, element("select", { change: (event) => change(Number(event.target.value)) }, ...indices.map((index) => element("option", { value: index, selected: index === value }, named(result.columns[index])))),
);
const number = (label, change, attributes = {}) => element("label", {}, label, element("input", { type: "number", step: "any", change: (event) => change(event.target.value), ...attributes }));

/** Two fields for the range of a column, which is what a drag on the plot fills in; round: it may go across the end of a circle. */
function ranges(label, selection, index, round = false) {
  const [from, to] = ["from", "to"].map((end) => number(`${label} ${end}`, () => {
    const [a, b] = [from, to].map((one) => one.querySelector("input").value);
    const range = [a === "" ? -Infinity : Number(a), b === "" ? Infinity : Number(b)];
    if (!round) range.sort((one, other) => one - other);
    selection.set([[index, range.some(Number.isFinite) ? range : null]]);
  }));
  selection.onChange(() => {
    const range = selection.range(index);
    [from, to].forEach((one, at) => { one.querySelector("input").value = Number.isFinite(range?.[at]) ? range[at] : ""; });
  });
  return [from, to];
}

function axes(context, colours, [low, high], label, vertical) {
  context.fillStyle = context.strokeStyle = colours.line;
  const step = 10 ** Math.floor(Math.log10((high - low) / 4 || 1)), nice = step * ([1, 2, 5].find((one) => (high - low) / (step * one) <= 6) ?? 10);
  for (let number = 0; number <= 12; number++) { // of large numbers close together a step may be none
    const tick = (Math.ceil(low / nice) + number) * nice;
    if (tick > high + nice / 1e6) break;
    const at = (tick - low) / (high - low || 1);
    context.textAlign = vertical ? "right" : "center";
    if (vertical) context.fillText(short(tick), LEFT - 6, HEIGHT - BOTTOM - at * (HEIGHT - BOTTOM - TOP) + 4);
    else context.fillText(short(tick), LEFT + at * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM + 16);
  }
  context.textAlign = "center";
  if (!vertical) context.fillText(label, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
  else {
    context.save();
    context.translate(12, (TOP + HEIGHT - BOTTOM) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(label, 0, 0);
    context.restore();
  }
  context.strokeRect(LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP);
}

const left = ({ missing, notNumbers, infinite }) => [
  [missing, "without a value"], [notNumbers, "not a number"], [infinite, "infinite"],
].filter(([n]) => n).map(([n, what]) => `${counted(n)} ${what}`).join(", ");

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** A drag gives a box in shares of the frame. */
function dragged(canvas, done) {
  let begin = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH, y = ((event.clientY - box.top) / box.height) * HEIGHT;
    return [(x - LEFT) / (WIDTH - LEFT - RIGHT), (HEIGHT - BOTTOM - y) / (HEIGHT - BOTTOM - TOP)];
  };
  canvas.addEventListener("pointerdown", (event) => { begin = at(event); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", (event) => {
    const end = at(event);
    if (begin && Math.hypot(end[0] - begin[0], end[1] - begin[1]) > 0.01) done([0, 1].map((axis) => [Math.min(begin[axis], end[axis]), Math.max(begin[axis], end[axis])]));
    begin = null;
  });
}

function distribution(page, result, selection, first) {
  let index = first, bins = 0, log = false, fitted = [];
  const { figure, fields, canvas, again } = view(page, "Distribution", (context, colours) => {
    const column = selection.columns.get(index), sorted = finite(column.values).sort();
    const label = named(result.columns[index]), gone = left(column);
    if (!sorted.length) return { sentence: `${label} has no values. ${gone}`, rows: [["from", "to", "rows"]] };
    const [low, high] = (fitted = [sorted[0], sorted.at(-1)]), number = bins || binCount(sorted);
    const { counts, of, edge } = histogram(column.values, number, low, high, selection.chosen);
    const most = counts.reduce((a, b) => Math.max(a, b)), scaled = (n) => (log ? Math.log10(n + 1) / Math.log10(most + 1) : n / most);
    const wide = (WIDTH - LEFT - RIGHT) / number, tall = HEIGHT - BOTTOM - TOP;
    for (const [shown, colour] of [[counts, selection.chosen ? colours.quiet : colours.mark], [of, colours.mark]]) {
      context.fillStyle = colour;
      for (let bin = 0; bin < number; bin++) context.fillRect(LEFT + bin * wide, HEIGHT - BOTTOM - scaled(shown[bin]) * tall, Math.max(1, wide - 1), scaled(shown[bin]) * tall);
    }
    axes(context, colours, [low, high], label);
    axes(context, colours, [0, log ? Math.log10(most + 1) : most], log ? "log10(rows + 1)" : "rows", true);
    const peak = counts.indexOf(most);
    return {
      sentence: `Distribution of ${label}: ${counted(sorted.length)} values from ${short(low)} to ${short(high)}, most of them (${counted(most)}) from ${short(edge(peak))} to ${short(edge(peak + 1))}.${gone ? ` Not drawn: ${gone}.` : ""}`,
      rows: [["from", "to", "rows"], ...Array.from(counts, (n, bin) => [edge(bin), edge(bin + 1), n])],
    };
  });
  const limits = element("span", { class: "choices" });
  const set = (next) => {
    index = next;
    limits.replaceChildren(...ranges("chosen", selection, index));
    again();
  };
  fields.append(
    select("Column", result, [...selection.columns.keys()], index, set),
    number("Bins", (value) => { bins = Math.min(1000, Math.max(0, Math.round(Number(value)))); again(); }, { min: 1, max: 1000, step: 1, placeholder: "auto" }),
    element("label", {}, "Logarithmic counts", element("input", { type: "checkbox", change: (event) => { log = event.target.checked; again(); } })), limits,
  );
  dragged(canvas, ([[a, b]]) => selection.set([[index, [a, b].map((share) => fitted[0] + Math.min(1, Math.max(0, share)) * (fitted[1] - fitted[0]))]]));
  selection.onChange(again);
  set(first);
  return figure;
}

/** Points, or above MANY how dense they lie. project(row) gives shares of the frame, or null. */
function cloud(context, colours, selection, rows, project) {
  const wide = WIDTH - LEFT - RIGHT, tall = HEIGHT - BOTTOM - TOP;
  const counts = [new Uint32Array(wide * tall), new Uint32Array(wide * tall)];
  let drawn = 0;
  for (let row = 0; row < rows; row++) {
    const at = project(row);
    if (!at) continue;
    drawn++;
    const x = Math.min(wide - 1, Math.floor(at[0] * wide)), y = Math.min(tall - 1, Math.floor((1 - at[1]) * tall));
    counts[selection.chosen && !selection.chosen[row] ? 0 : 1][y * wide + x]++;
  }
  const size = drawn > MANY ? 1 : 3;
  for (const [which, colour] of [[0, colours.quiet], [1, colours.mark]]) {
    const most = counts[which].reduce((a, b) => Math.max(a, b), 1);
    context.fillStyle = colour;
    counts[which].forEach((n, at) => {
      if (!n) return;
      context.globalAlpha = drawn > MANY ? 0.25 + (0.75 * Math.log(n + 1)) / Math.log(most + 1) : 0.8;
      context.fillRect(LEFT + (at % wide) - (size >> 1), TOP + Math.floor(at / wide) - (size >> 1), size, size);
    });
  }
  context.globalAlpha = 1;
  return drawn;
}

function scatter(page, result, selection, first) {
  const all = [...selection.columns.keys()];
  let across = first, up = all.find((index) => index !== first && selection.columns.get(index).values.some((one) => one === one)) ?? first, fitted = [];
  const { figure, fields, canvas, again } = view(page, "Two columns", (context, colours) => {
    const [x, y] = [across, up].map((index) => selection.columns.get(index).values);
    const [[a, b], [c, d]] = (fitted = [extent(x), extent(y)]);
    const drawn = cloud(context, colours, selection, result.rows, (row) => (x[row] === x[row] && y[row] === y[row] ? [(x[row] - a) / (b - a || 1), (y[row] - c) / (d - c || 1)] : null));
    const labels = [across, up].map((index) => named(result.columns[index]));
    axes(context, colours, [a, b], labels[0]);
    axes(context, colours, [c, d], labels[1], true);
    return {
      sentence: `${labels[1]} over ${labels[0]}: ${counted(drawn)} rows, from ${short(c)} to ${short(d)} over ${short(a)} to ${short(b)}.${drawn < result.rows ? ` Not drawn: ${counted(result.rows - drawn)} without a value.` : ""}`,
      rows: [["column", "from", "to"], [labels[0], a, b], [labels[1], c, d]],
    };
  });
  fields.append(select("Across", result, all, across, (index) => { across = index; again(); }), select("Up", result, all, up, (index) => { up = index; again(); }));
  dragged(canvas, (box) => selection.set([across, up].map((index, axis) => [index, box[axis].map((share) => fitted[axis][0] + share * (fitted[axis][1] - fitted[axis][0]))])));
  selection.onChange(again);
  again();
  return figure;
}

/** The whole sky in Mollweide's projection, right ascension growing to the left, 12h in the middle. */
function sky(page, result, selection, ra, dec) {
  const R = Math.PI / 180;
  const lon = selection.columns.get(ra).values, lat = selection.columns.get(dec).values;
  const projected = (l, b) => {
    let t = b * R;
    if (Math.abs(b) < 89.999) for (let turn = 0; turn < 8; turn++) t -= (2 * t + Math.sin(2 * t) - Math.PI * Math.sin(b * R)) / (2 + 2 * Math.cos(2 * t));
    return [0.5 - ((l - 180) / 360) * Math.cos(t), 0.5 + Math.sin(t) / 2];
  };
  const places = Array.from(lon, (l, row) => (l === l && lat[row] === lat[row] ? projected(((l % 360) + 360) % 360, lat[row]) : null));
  const { figure, fields, again } = view(page, "Sky", (context, colours) => {
    context.strokeStyle = colours.line;
    for (let b = -60; b <= 60; b += 30) path(context, Array.from({ length: 73 }, (_, i) => projected(i * 5, b)), colours.quiet);
    for (let l = 0; l <= 360; l += 60) path(context, Array.from({ length: 37 }, (_, i) => projected(l, i * 5 - 90)), l % 360 ? colours.quiet : colours.line);
    const drawn = cloud(context, colours, selection, result.rows, (row) => places[row]);
    const [south, north] = extent(lat);
    return {
      sentence: `Sky: ${counted(drawn)} positions, declinations from ${short(south)} to ${short(north)} degrees; right ascension grows to the left, 180 degrees in the middle.`,
      rows: [["declination from", "to", "rows"], ...Array.from(histogram(lat, 18, -90, 90).counts, (n, bin) => [bin * 10 - 90, bin * 10 - 80, n])],
    };
  });
  fields.append(...ranges("RA", selection, ra, true), ...ranges("Dec", selection, dec));
  selection.onChange(again);
  again();
  return figure;
}

function path(context, places, colour) {
  context.strokeStyle = colour;
  context.beginPath();
  for (const [x, y] of places) context.lineTo(LEFT + x * (WIDTH - LEFT - RIGHT), TOP + (1 - y) * (HEIGHT - BOTTOM - TOP));
  context.stroke();
}

function table(result, columns) {
  const heads = ["column", "values", "missing", "NaN", "infinite", "min", "max", "mean", "median", "sd", "distinct"];
  const rows = [...columns.keys()].filter((index) => result.columns[index].number).map((index) => {
    const found = statistics(result, index);
    return [named(result.columns[index]), found.n, found.missing, found.notNumbers, found.infinite, ...[found.least, found.most, found.mean, found.median, found.spread].map(short), found.distinct];
  });
  return element(
    "details", { class: "statistics" }, element("summary", {}, "Statistics of the columns"),
    element("div", { class: "wide", role: "region", "aria-label": "Statistics", tabindex: 0 }, element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, String(cell)))))))),
  );
}
