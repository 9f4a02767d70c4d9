// A query that runs: how long already, how many rows, and ways to end it.
import { button, counted, element } from "./elements.js";

const PATIENCE = 10; // s, after which a job is offered

export class Running {
  #page;
  #abort;
  shown = element("div", { class: "running" });
  #began = 0;

  /** ended(result, seconds): the rows are there. job(): go on as a job. */
  constructor(page, { ended, job }) {
    this.#page = page;
    this.ended = ended;
    this.job = job;
  }

  async run() {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#page.outcome.replaceChildren();
    const { limits } = await this.#page.schema.catch(() => ({ limits: { sync_seconds: 60 } }));
    this.#began = performance.now();
    const time = element("span", { class: "number" }), rows = element("span", {}), offer = element("span", {});
    this.shown.replaceChildren(element("p", {}, time, rows, " ", button("Cancel", () => abort.abort()), " ", offer));
    this.#page.say("The query runs.");
    const tick = setInterval(() => {
      time.textContent = `${this.#seconds.toFixed(1)} s`;
      if (offer.childElementCount || this.#seconds < Math.min(PATIENCE, limits.sync_seconds / 2)) return;
      offer.append(button("Continue as job", () => (abort.abort(), this.job())));
    }, 100);
    try {
      const body = this.#page.sent({ RESPONSEFORMAT: "arrow" });
      const [answer, { read }] = await Promise.all([
        fetch("/tap/sync", { method: "POST", body, signal: abort.signal }), import("./arrow.js"),
      ]);
      if (!answer.ok) throw new Error(await told(answer));
      const result = await read(answer.body, (so) => { rows.textContent = `, ${counted(so.rows)} rows`; });
      if (abort.signal.aborted) throw new DOMException("", "AbortError");
      this.ended(result, this.#seconds);
    } catch (error) {
      this.#failed(abort.signal.aborted ? null : error);
    } finally {
      clearInterval(tick);
      if (this.#abort === abort) this.shown.replaceChildren();
    }
  }

  get #seconds() {
    return (performance.now() - this.#began) / 1000;
  }

  #failed(error) {
    if (!error) return this.#page.say("The query was stopped.");
    this.#page.say("");
    this.#page.outcome.replaceChildren(element(
      "div", { class: "warning", role: "alert" }, element("strong", {}, "The query was not answered."),
      element("pre", { tabindex: 0 }, error.message || "The server could not be reached."),
      button("Run as job", () => this.job()),
    ));
  }
}

/** What an error document says. */
async function told(answer) {
  const text = await answer.text();
  const info = new DOMParser().parseFromString(text, "text/xml").querySelector("INFO[name=QUERY_STATUS]");
  return (info?.textContent ?? text).trim();
}
