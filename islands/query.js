// The query page with scripts: the form that is there anyway, with an editor in the place of its field.
import { address, opened } from "./address.js";
import { button, element } from "./elements.js";
import { Estimate } from "./estimate.js";
import { history } from "./history.js";
import { Jobs } from "./jobs.js";
import { show } from "./results.js";
import { Running } from "./running.js";
import { uploads } from "./uploads.js";

const form = document.querySelector("form.query");
const field = document.getElementById("query");
const schema = fetch("/tap/schema.json").then((answer) => answer.json());
schema.catch(() => {});
const said = element("p", { role: "status", class: "said" });

/** The query of the page, whether there is an editor or not. */
const page = {
  form,
  schema,
  editor: null,
  outcome: element("section", { class: "outcome", "aria-label": "Outcome" }),
  get text() { return field.value; },
  set text(text) {
    if (this.editor) this.editor.text = text;
    else field.value = text;
  },
  insert(text) {
    if (this.editor) this.editor.insert(text);
    else field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  },
  get state() {
    return { sql: field.value, format: form.RESPONSEFORMAT.value, maxrec: form.MAXREC.value };
  },
  get name() { return `km3vo ${/\bFROM\s+([\w.]+)/i.exec(field.value)?.[1] ?? "query"}`; },
  get uploads() { return brought.tables; },
  /** The parameters of the query, without format and tables. */
  asked() {
    const { sql, maxrec } = this.state;
    return { LANG: "ADQL", QUERY: sql, ...(maxrec && { MAXREC: maxrec }) };
  },
  sent(changes) {
    const body = new FormData(form);
    for (const [name, value] of Object.entries(changes)) body.set(name, value);
    return body;
  },
  /** Let the browser send the form, for a file. */
  submit(format) {
    const old = form.RESPONSEFORMAT.value;
    form.RESPONSEFORMAT.value = format;
    form.method = "post";
    HTMLFormElement.prototype.submit.call(form);
    form.RESPONSEFORMAT.value = old;
    form.method = "get";
  },
  say(text) { said.textContent = text; },
};

const fetched = await opened(location);
if (fetched) {
  field.value = fetched.sql;
  if (fetched.format) form.RESPONSEFORMAT.value = fetched.format;
  if (fetched.maxrec) form.MAXREC.value = fetched.maxrec;
}

const estimate = new Estimate(page);
const jobs = new Jobs((sql) => { page.text = sql; });
const past = history((sql) => { page.text = sql; });
const brought = uploads(form, schema, async (tables) => {
  const known = await schema;
  const mine = tables.map(({ name, columns = [] }) => ({ name: `TAP_UPLOAD.${name}`, columns: columns.map((column) => ({ name: column })) }));
  page.editor?.know({ ...known, tables: [...known.tables, ...mine] });
});

async function asJob() {
  try {
    await jobs.begin(page.sent({}));
    page.say("The job is on its way; it goes on when this page is closed.");
  } catch (error) {
    page.say(error.message);
  }
}

const running = new Running(page, {
  job: asJob,
  async ended(result, seconds) {
    result.limits = (await schema).limits;
    past.add(page.text, result.rows, seconds);
    window.history.pushState(null, "", await address(page.state));
    show(page, result, seconds, { again: () => running.run(), job: asJob });
  },
});

form.addEventListener("submit", (event) => {
  const job = event.submitter?.hasAttribute("formaction");
  if (!job && form.RESPONSEFORMAT.value !== "html") {
    // A file: the browser takes it. An address has no room for a long query, or for a table.
    form.method = page.uploads.length || page.text.length > 4000 ? "post" : "get";
    return;
  }
  event.preventDefault();
  if (job) asJob();
  else running.run();
});
addEventListener("popstate", () => location.reload());

const KEYS = [
  ["Ctrl-Enter", "run"], ["Ctrl-Space", "what can stand here"], ["Tab", "leave the editor"], ["Escape", "close a list"],
  ["Ctrl-Z", "undo"], ["Ctrl-Shift-M", "list of mistakes"], ["F8", "next mistake"],
];
const tools = element(
  "div", { class: "tools" },
  button("Copy link", async () => {
    const link = new URL(await address(page.state), location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      page.say("The address of this query is copied.");
    } catch {
      said.replaceChildren("The address of this query: ", element("a", { href: link }, "open it"));
    }
  }),
  brought.shown, past.shown, jobs.shown,
  element(
    "details", { class: "keys" }, element("summary", {}, "Keys"),
    element("dl", { class: "facts" }, ...KEYS.flatMap(([key, what]) => [element("dt", {}, key), element("dd", {}, what)])),
  ),
);
form.append(tools);
form.after(estimate.shown, said, page.outcome);
page.outcome.before(running.shown);

// Examples and names go into the query; the text that was there is one Undo away.
for (const example of document.querySelectorAll("#examples ~ .copyable")) {
  const insert = button("Insert", () => { page.text = example.querySelector("code").textContent; form.scrollIntoView(); });
  example.nextElementSibling?.prepend(element("li", {}, insert));
}
for (const name of document.querySelectorAll("#tables ~ details p > code")) {
  name.replaceWith(button(name.textContent, () => page.insert(name.textContent), { class: "name" }));
}
for (const summary of document.querySelectorAll("#tables ~ details > summary")) {
  const name = summary.querySelector("code").textContent;
  summary.nextElementSibling.prepend(button(`Insert ${name}`, () => page.insert(name)), " ");
}

async function edit() {
  try {
    const { mount } = await import("./editor.js");
    page.editor = mount(field, {
      schema: await schema,
      told: (answer, mends) => estimate.show(answer, mends),
      run: () => form.requestSubmit(form.querySelector("button:not([formaction])")),
      // A query that reads a table of one's own can be checked only with it.
      parameters: (text) => (text.trim() && !/\bTAP_UPLOAD\b/i.test(text) ? new URLSearchParams({ LANG: "ADQL", QUERY: text, MAXREC: form.MAXREC.value }) : null),
    });
    document.querySelector("label[for=query]").addEventListener("click", () => page.editor.focus());
    form.dataset.edited = "";
  } catch {
    page.say("The editor could not be loaded. The field works as it is.");
  }
}
// After the first paint: nobody waits for the editor to read the page. A phone keeps its field, which its keyboard knows.
requestAnimationFrame(() => setTimeout(() => {
  if (!matchMedia("(pointer: coarse)").matches) edit();
  else tools.prepend(button("Use the editor", (event) => (event.target.remove(), edit())));
}));
if (new URLSearchParams(location.search).get("run") === "1") {
  const answer = await fetch("/tap/check", { method: "POST", body: new URLSearchParams(page.asked()) }).then((one) => one.json()).catch(() => null);
  if (answer?.ok && ["at once", "seconds"].includes(answer.class)) running.run();
}
