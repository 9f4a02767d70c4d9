// What is known of a query before it runs: what is wrong with it, or how long it is going to take.
import { button, counted, element } from "./elements.js";
import { place } from "./place.js";

const WORDS = {
  "at once": "It will be there at once.",
  seconds: "It will take seconds.",
  minutes: "It will take minutes: run it as a job.",
};
const AGGREGATE = /\b(TOP|WHERE|COUNT|SUM|AVG|MIN|MAX|GROUP|JOIN)\b/i;

export class Estimate {
  /** What the last answer of /tap/check was; null while that is not known. */
  answer = null;

  constructor(page) {
    this.page = page;
    this.shown = element("div", { class: "estimate", role: "status" });
  }

  /** answer: of /tap/check, null while it is not known; mends: marks of characters that a click repairs. */
  async show(answer, mends = []) {
    this.answer = answer;
    this.shown.ariaBusy = String(!answer);
    if (!answer) return;
    const lines = answer.ok ? await this.#fine(answer) : this.page.text.trim() ? answer.errors.map((error) => this.#wrong(error)) : [];
    if (this.answer === answer) this.shown.replaceChildren(...lines, ...mends.slice(0, 5).map((mark) => this.#mend(mark)));
  }

  #mend({ from, to, message, actions: [action] }) {
    const { view } = this.page.editor;
    return element(
      "p", { class: "repairs" }, `${message}. `, button(action.name, () => (action.apply(view, from, to), view.focus())),
    );
  }

  #wrong(error) {
    const where = error.line ? `Line ${error.line}, column ${error.column}: ` : "";
    const line = element("p", { class: "mistake" }, `${where}${error.message}${error.hint ? ` – ${error.hint}` : ""} `);
    if (error.replacement) {
      line.append(button(`Write ${error.replacement}`, () => {
        const { from, to } = place(this.page.editor.view.state.doc, error);
        this.page.editor.replace(from, to, error.replacement);
      }));
    }
    return line;
  }

  async #fine(answer) {
    const words = answer.class ? [element("p", { class: "quiet" }, WORDS[answer.class])] : [];
    const { tables, limits } = await this.page.schema;
    const most = Number(this.page.form.MAXREC.value) || limits.maxrec;
    const [only] = answer.tables.length === 1 ? tables.filter((table) => table.name === answer.tables[0]) : [];
    if (only?.rows > most && !AGGREGATE.test(this.page.text)) {
      words.push(element(
        "p", { class: "cut" },
        `${only.name} has ${counted(only.rows)} rows; the answer will be cut at ${counted(most)}. `,
        element("a", { href: `/download/${only.name.replace(".", "/")}` }, "Download the whole list"),
      ));
    }
    return words;
  }
}
