// Characters that come from texts and not from keyboards: marked, each with its repair. Nothing is changed by itself.

// A pair, with what it encloses, or one alone.
const CURLY = /[‘’‚][^\n‘’‚'"]*[‘’‚]|[“”„][^\n“”„'"]*[“”„]|[‘’‚“”„]/g;
const straight = (text) => text.replace(/[‘’‚]/g, "'").replace(/[“”„]/g, '"');
const SPACES = /[\u00a0\u2000-\u200b\u202f\u205f\u3000\ufeff]+/g;
// What may hold any character: strings, names in quotes, comments.
const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*/g;

/** Diagnostics of the editor for a text. */
export function repairs(text) {
  const open = text.replace(QUOTED, (found) => "x".repeat(found.length));
  const marks = [];
  for (const { index, 0: found } of open.matchAll(CURLY)) {
    marks.push(repair(index, found.length, "Quotation marks of a text, not of a query", straight(found), "Write straight ones"));
  }
  for (const found of open.matchAll(SPACES)) {
    marks.push(repair(found.index, found[0].length, "A space that is none in a query", " ", "Write a plain space"));
  }
  const end = /;\s*$/.exec(open);
  if (end) marks.push(repair(end.index, 1, "A query ends without a semicolon", "", "Leave it out"));
  return marks;
}

function repair(from, length, message, insert, name) {
  const apply = (view, a, b) => view.dispatch({ changes: { from: a, to: b, insert } });
  return { from, to: from + length, severity: "warning", message, actions: [{ name, apply }] };
}
