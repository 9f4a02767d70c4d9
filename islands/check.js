// What /tap/check says of a text while it is typed, as marks in it.
import { place } from "./place.js";

const PAUSE = 400; // ms after the last key

/** Asks for the newest text only; an answer about an older one is dropped. */
export class Checker {
  #answered;
  #parameters;
  #timer;
  #asking;

  /** parameters(text): what to send; null when the text cannot be checked. answered(view, answer, marks): of the text as it is. */
  constructor(parameters, answered) {
    this.#parameters = parameters;
    this.#answered = answered;
  }

  changed(view, pause = PAUSE) {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#timer = setTimeout(() => this.#check(view), pause);
  }

  async #check(view) {
    if (view.composing) return; // the end of the composition asks again
    const doc = view.state.doc;
    const body = this.#parameters(doc.toString());
    if (!body) return this.#answered(view, null, []);
    this.#asking = new AbortController();
    let answer;
    try {
      const response = await fetch("/tap/check", { method: "POST", body, signal: this.#asking.signal });
      if (!response.ok) return;
      answer = await response.json();
    } catch {
      return; // away, or asked anew: what runs says what is wrong
    }
    if (view.state.doc !== doc) return;
    this.#answered(view, answer, answer.errors.map((error) => mark(doc, error)));
  }
}

function mark(doc, error) {
  let { from, to } = place(doc, error);
  const ended = from === to; // the end of the text has no character: its last word shows the place
  if (ended) from = doc.toString().trimEnd().search(/\S\s*$/);
  const message = [error.message, error.hint].filter(Boolean).join(" – ");
  const marked = { from: Math.max(0, from), to: ended ? Math.max(1, from + 1) : to, severity: "error", message };
  if (ended) marked.markClass = "ended";
  if (error.replacement && !ended) {
    marked.actions = [{ name: `Write ${error.replacement}`, apply: (view, a, b) => view.dispatch({ changes: { from: a, to: b, insert: error.replacement } }) }];
  }
  marked.to = Math.min(marked.to, doc.length);
  return marked;
}
