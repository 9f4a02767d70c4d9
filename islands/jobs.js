// The jobs that this browser made, and those of somebody with a name: how far they are, and what can be done with them.
import { bytes, button, counted, element } from "./elements.js";
import { changed, keep, list } from "./stored.js";

const BASE = "/tap/async";
const ACTIVE = ["PENDING", "QUEUED", "EXECUTING"];
const WAIT = 30; // s, that the server keeps an answer back while nothing changes
const DAY = 86400e3;

/** A job as UWS says it (UWS 1.1, section 2.1). */
function described(document) {
  const text = (name) => document.getElementsByTagNameNS("*", name)[0]?.textContent ?? "";
  const parameter = (id) => [...document.getElementsByTagNameNS("*", "parameter")].find((one) => one.id === id)?.textContent ?? "";
  return {
    phase: text("phase"), started: text("startTime"), destruction: text("destruction"), rows: Number(text("rows")),
    size: Number(document.getElementsByTagNameNS("*", "result")[0]?.getAttribute("size")), sql: parameter("QUERY"), name: text("runId"),
  };
}

export class Jobs {
  shown = element("details", { class: "jobs" });
  #open;
  #items = element("ul", { class: "past" });
  #entries = new Map();

  /** open(sql): put a query into the page. */
  constructor(open) {
    this.#open = open;
    this.shown.append(element("summary", {}, "Jobs"), this.#items);
    this.shown.addEventListener("toggle", () => this.#all());
    changed("jobs", () => this.#all());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#all(); });
    if (list("jobs").length) this.#all();
  }

  /** Make a job of a form; gives its id. */
  async begin(body) {
    body.set("PHASE", "RUN");
    const answer = await fetch(BASE, { method: "POST", body });
    if (!answer.ok) throw new Error((await answer.text()).replace(/<[^>]*>/g, " ").trim());
    const id = new URL(answer.url).pathname.split("/").at(-1);
    keep("jobs", [id, ...list("jobs")]);
    this.shown.open = true;
    await this.#all();
    return id;
  }

  async #all() {
    const mine = await fetch(BASE).then(async (answer) => new DOMParser().parseFromString(await answer.text(), "text/xml")).catch(() => null);
    const named = mine ? [...mine.getElementsByTagNameNS("*", "jobref")].map((one) => one.id) : [];
    const ids = [...new Set([...named, ...list("jobs")])];
    for (const [id, entry] of this.#entries) {
      if (ids.includes(id)) continue;
      entry.remove();
      this.#entries.delete(id);
    }
    if (!ids.length) return this.#items.replaceChildren(element("li", { class: "quiet" }, "None as yet."));
    const fresh = ids.filter((id) => !this.#entries.has(id));
    for (const id of fresh) this.#entries.set(id, element("li", { "data-job": id }));
    this.#items.replaceChildren(...ids.map((id) => this.#entries.get(id)));
    await Promise.all(fresh.map((id) => this.#look(id)));
  }

  /** Look at a job, and go on looking while it is active; a page that is hidden does not ask. */
  async #look(id, phase) {
    const wait = phase ? `?${new URLSearchParams({ WAIT, PHASE: phase })}` : "";
    const answer = await fetch(`${BASE}/${id}${wait}`).catch(() => null);
    if (!this.#entries.has(id)) return;
    if (answer?.status === 404) return this.#forget(id);
    if (!answer?.ok) return setTimeout(() => this.#look(id), 5000);
    const job = described(new DOMParser().parseFromString(await answer.text(), "text/xml"));
    this.#draw(id, job);
    if (!ACTIVE.includes(job.phase)) return;
    if (document.hidden) document.addEventListener("visibilitychange", () => this.#look(id), { once: true });
    else this.#look(id, job.phase);
  }

  #draw(id, job) {
    const entry = this.#entries.get(id), active = ACTIVE.includes(job.phase);
    const facts = [job.phase.toLowerCase(), job.started && `since ${job.started.slice(0, 16).replace("T", " ")}`];
    if (job.rows) facts.push(`${counted(job.rows)} rows`);
    if (job.size) facts.push(bytes(job.size));
    facts.push(`kept until ${job.destruction.slice(0, 10)}`);
    const label = job.name || job.sql;
    entry.dataset.phase = job.phase;
    entry.replaceChildren(
      element("code", {}, label.length > 100 ? `${label.slice(0, 100)} …` : label),
      element("span", { class: "quiet", role: "status" }, ` ${facts.filter(Boolean).join(", ")} `),
      element("a", { class: "button", href: `/jobs/${id}` }, "Open"),
      active ? button("Cancel", () => this.#ask(id, "/phase", { PHASE: "ABORT" })) : button("Run again", () => this.#open(job.sql)),
      button("Extend", () => this.#ask(id, "/destruction", { DESTRUCTION: new Date(Date.parse(job.destruction) + 7 * DAY).toISOString() })),
      button("Delete", async () => { await fetch(`${BASE}/${id}`, { method: "DELETE" }); this.#forget(id); }),
      button("Forget", () => this.#forget(id), { title: "Take it off this list; it stays where it is" }),
    );
  }

  async #ask(id, where, parameters) {
    await fetch(`${BASE}/${id}${where}`, { method: "POST", body: new URLSearchParams(parameters) });
    await this.#look(id);
  }

  #forget(id) {
    keep("jobs", list("jobs").filter((one) => one !== id));
    this.#entries.get(id)?.remove();
    this.#entries.delete(id);
  }
}
