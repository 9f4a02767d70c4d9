/** Where an error is: line and column count from 1, in code points; the editor counts from 0 in UTF-16. */
export function place(doc, { line, column, length }) {
  if (!line) return { from: 0, to: doc.length };
  const at = doc.line(Math.min(line, doc.lines));
  const rest = Array.from(doc.sliceString(at.from));
  const before = rest.slice(0, column - 1).join("").length;
  const from = Math.min(at.from + before, doc.length);
  return { from, to: Math.min(from + rest.slice(column - 1, column - 1 + length).join("").length, doc.length) };
}
