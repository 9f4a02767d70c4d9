// Tables that go along with a query: looked at here before anything is sent, and kept while the page is open.
import { bytes, button, counted, element } from "./elements.js";

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const HEAD = 1 << 20; // bytes that are read to see what is in a file

/** What can be seen in a file: columns, and rows where they can be counted without reading a format of others' making. */
async function seen(file) {
  const head = await file.slice(0, HEAD).text();
  const kind = file.name.split(".").at(-1).toLowerCase();
  if (head.startsWith("SIMPLE  =")) return fits(head);
  if (head.startsWith("PAR1")) return { kind: "Parquet" };
  if (/^\s*<(\?xml|VOTABLE)/.test(head)) {
    const columns = [...head.matchAll(/<FIELD\b[^>]*?\bname=["']([^"']*)/g)].map((found) => found[1]);
    const rows = /<TABLEDATA/.test(head) ? ((await file.text()).match(/<TR\b/g) ?? []).length : undefined;
    return { kind: "VOTable", columns, rows };
  }
  const lines = (await file.text()).split(/\r?\n/).filter((line) => line && !line.startsWith("#"));
  const ecsv = head.startsWith("# %ECSV");
  const between = ecsv && !/delimiter: ','/.test(head) ? " " : lines[0]?.includes("\t") ? "\t" : ",";
  const columns = (lines[0] ?? "").split(between).map((name) => name.trim().replace(/^"|"$/g, ""));
  return { kind: ecsv ? "ECSV" : kind === "tsv" ? "TSV" : "CSV", columns, rows: Math.max(0, lines.length - 1) };
}

/** Columns and rows of the first table (FITS 4.0, section 7): cards of 80 characters. */
function fits(head) {
  const begin = head.indexOf("XTENSION= 'BINTABLE'");
  const cards = (head.slice(Math.max(0, begin)).match(/.{80}/gs) ?? []).slice(0, 2000);
  const value = (key) => cards.find((card) => card.startsWith(key.padEnd(8) + "="))?.slice(10).split("/")[0].replace(/'/g, "").trim();
  const count = Number(value("TFIELDS") ?? 0);
  const columns = Array.from({ length: count }, (_, index) => value(`TTYPE${index + 1}`) ?? `col${index + 1}`);
  return { kind: "FITS", columns, rows: Number(value("NAXIS2")) };
}

const POSITION = [/^(ra|_raj2000|raj2000|ra_icrs|alpha)$/i, /^(dec|de|decl|_dej2000|dej2000|de_icrs|delta)$/i];

/** A disclosure in a form; changed(tables): which are there now, with their columns. */
export function uploads(form, schema, changed) {
  const tables = [];
  const told = element("div", { role: "status" });
  const choose = element("input", { type: "file", accept: ".vot,.xml,.csv,.tsv,.ecsv,.fits,.fit,.parquet", multiple: true, change: () => take(choose.files) });
  const field = element("input", { type: "hidden", name: "UPLOAD", disabled: true });
  const shown = element(
    "details", { class: "uploads" }, element("summary", {}, "Your table"),
    element("label", {}, "VOTable, CSV, ECSV, FITS or Parquet; or drop it here", choose), told, field,
  );
  shown.addEventListener("dragover", (event) => event.preventDefault());
  shown.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });

  async function take(files) {
    const { limits } = await schema;
    for (const file of files) {
      const taken = tables.reduce((sum, one) => sum + one.file.size, file.size);
      let look = null, wrong = "";
      if (taken > limits.upload_bytes) wrong = `${bytes(taken)}, and ${bytes(limits.upload_bytes)} is the most that one query may bring`;
      else {
        look = await seen(file);
        if (look.rows > limits.upload_rows) wrong = `${counted(look.rows)} rows, and ${counted(limits.upload_rows)} is the most`;
      }
      if (wrong) {
        told.append(element("p", { class: "mistake" }, `${file.name}: ${wrong}. It is not sent.`));
        continue;
      }
      let name = file.name.replace(/\..*$/, "").replace(/\W/g, "_");
      if (!NAME.test(name)) name = `mine_${name}`;
      while (tables.some((one) => one.name === name)) name += "_2";
      add({ name, file, ...look });
    }
    choose.value = "";
    draw();
  }

  function add(table) {
    const held = new DataTransfer();
    held.items.add(table.file);
    table.input = element("input", { type: "file", name: `${table.name}_file`, hidden: true });
    table.input.files = held.files;
    shown.append(table.input);
    tables.push(table);
  }

  function draw() {
    const parts = tables.map((table) => {
      const position = table.columns && POSITION.map((one) => table.columns.find((column) => one.test(column)));
      const facts = [table.kind, bytes(table.file.size)];
      if (table.rows !== undefined) facts.push(`${counted(table.rows)} rows`);
      if (table.columns) facts.push(`columns ${table.columns.slice(0, 12).join(", ")}${table.columns.length > 12 ? " …" : ""}`);
      if (position?.every(Boolean)) facts.push(`position in ${position.join(" and ")}`);
      return element("p", {}, element("code", {}, `TAP_UPLOAD.${table.name}`), ` ${facts.join(", ")} `, button("Take away", () => {
        tables.splice(tables.indexOf(table), 1);
        table.input.remove();
        draw();
      }));
    });
    told.replaceChildren(...told.querySelectorAll(".mistake"), ...parts);
    field.disabled = !tables.length;
    field.value = tables.map((table) => `${table.name},param:${table.input.name}`).join(";");
    form.enctype = tables.length ? "multipart/form-data" : "application/x-www-form-urlencoded";
    changed(tables);
  }
  return { shown, tables };
}
