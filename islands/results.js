// What came of a query: rows, and where they can go.
import { bytes, button, counted, element } from "./elements.js";
import { table } from "./rows.js";
import { elsewhere } from "./snippets.js";

// About as many bytes of a file as of the Arrow stream: a guess, shown with ≈.
const FORMATS = [
  ["votable", "VOTable", 1.0], ["fits", "FITS", 1.0], ["parquet", "Parquet", 0.6], ["csv", "CSV", 1.9],
  ["ecsv", "ECSV", 1.9], ["json", "JSON", 2.1], ["arrow", "Arrow", 1.0],
];
const LONG = 4000;

/** Show a result. page: the query's; again(): run anew; job(): run as a job. */
export function show(page, result, seconds, { again, job }) {
  const { limits } = result;
  const missing = [];
  if (!result.whole) {
    missing.push(element("p", { class: "warning", role: "alert" }, element("strong", {}, "The result is incomplete: "), `it broke off after ${counted(result.rows)} rows. `, button("Run as job", job)));
  } else if (result.overflow) {
    const most = Math.min(limits.maxrec_hard, 10 * Math.max(1, result.rows));
    missing.push(element(
      "p", { class: "warning", role: "status" }, element("strong", {}, `Cut at MAXREC: ${counted(result.rows)} rows. `),
      result.rows < limits.maxrec_hard ? button(`Raise to ${counted(most)}`, () => { page.form.MAXREC.value = most; again(); }) : null,
      " ", button("Run as job", job),
    ));
  }
  page.say(`${counted(result.rows)} rows in ${seconds.toFixed(1)} s.`);
  const parts = [element("h2", { id: "result" }, "Result"), ...missing, ...(result.rows ? table(result) : [element("p", {}, "No row fits.")])];
  if (result.rows) parts.push(pictures(page, result));
  parts.push(downloads(page, result), samp(page), elsewhere(page.state), about(result));
  page.outcome.replaceChildren(...parts);
}

/** Plots, made when somebody looks. */
function pictures(page, result) {
  const box = element("details", { class: "pictures" }, element("summary", {}, "Plots and statistics"));
  box.addEventListener("toggle", async () => {
    try {
      const { plots } = await import("./plots.js");
      box.append(plots(page, result));
    } catch (error) {
      console.error(error);
      box.append(element("p", {}, "The plots could not be loaded. The table above has all values."));
    }
  }, { once: true });
  return box;
}

/** Links, so that a browser loads and resumes them; a query that is too long for an address, or has a table with it, is sent as a form. */
function downloads(page, result) {
  const list = element("ul", { class: "buttons downloads" });
  for (const [form, name, factor] of FORMATS) {
    const label = `${name} ≈ ${bytes(result.bytes * factor)}`;
    const address = `/tap/sync?${new URLSearchParams({ ...page.asked(), RESPONSEFORMAT: form })}`;
    const by = address.length <= LONG && !page.uploads.length
      ? element("a", { class: "button", href: address, download: `result.${form === "arrow" ? "arrows" : form === "votable" ? "vot" : form}` }, label)
      : button(label, () => page.submit(form));
    list.append(element("li", {}, by));
  }
  return element("div", {}, element("h3", {}, "Download"), list);
}

function samp(page) {
  const told = element("p", { role: "status" });
  const send = button("Send to TOPCAT, Aladin, DS9 …", async () => {
    told.textContent = "Looking for a hub on this computer …";
    try {
      const { broadcast } = await import("./samp.js");
      const url = new URL(`/tap/sync?${new URLSearchParams({ ...page.asked(), RESPONSEFORMAT: "votable" })}`, location.href).href;
      const reached = await broadcast(url, page.name);
      told.textContent = reached.length ? `Sent to ${reached.join(", ")}.` : "No program there takes tables: start TOPCAT or Aladin, and send again.";
    } catch {
      told.textContent = "There is no SAMP hub that lets this page in. Start TOPCAT and allow it there, or download the VOTable above and open it.";
    }
  });
  return element("div", { class: "samp" }, send, told);
}

function about({ infos }) {
  const shown = infos.flatMap(({ name, value }) => [element("dt", {}, name), element("dd", {}, value)]);
  return element("details", {}, element("summary", {}, "Origin and citation"), element("dl", { class: "facts" }, ...shown));
}
