// ADQL for the editor: its words, and what to propose where.
import { LanguageSupport } from "@codemirror/language";
import { SQLDialect, keywordCompletionSource, schemaCompletionSource } from "@codemirror/lang-sql";

const DIALECT = SQLDialect.define({
  keywords:
    "select top distinct all from where and or not in between like ilike is null exists join inner left right full outer " +
    "natural cross on using group by having order asc desc offset union except intersect with as case when then else end",
  builtin:
    "point circle box polygon region contains intersects distance area centroid coord1 coord2 coordsys in_unit coalesce " +
    "cast abs acos asin atan atan2 ceiling cos cot degrees exp floor log log10 mod pi power radians rand round sin sqrt " +
    "tan truncate upper lower avg count max min sum",
  types: "smallint integer bigint real double precision char varchar timestamp",
  operatorChars: "*/+-<>!=|",
  identifierQuotes: '"',
});
// A table after FROM, JOIN or a comma, and the name it has in the query.
const SOURCE = /\b(?:FROM|JOIN)\s+([\w.]+)|,\s*(\w+\.\w+)/gi;

/** The language, with the tables and functions of /tap/schema.json. */
export function language(schema) {
  const columns = {};
  for (const table of schema.tables) {
    columns[table.name] = table.columns.map((column) => ({
      label: column.name, type: "property", detail: column.unit ?? "", info: column.description || undefined,
    }));
  }
  const functions = schema.functions.map((one) => ({
    label: one.form.split("(")[0], apply: `${one.form.split("(")[0]}(`, type: "function",
    detail: one.form.slice(one.form.indexOf("(")), info: one.description || undefined,
  }));

  // Columns without a table before them: those of the tables that the query reads.
  function bare(context) {
    const word = context.matchBefore(/[\w]+/);
    if (!word && !context.explicit) return null;
    const from = word ? word.from : context.pos;
    if (/[.\w]\.$|'$/.test(context.state.sliceDoc(Math.max(0, from - 2), from))) return null;
    const read = new Set();
    for (const found of context.state.doc.toString().matchAll(SOURCE)) read.add(found[1] ?? found[2]);
    const options = [...read].flatMap((table) => columns[table] ?? []).map((one) => ({ ...one, boost: 2 }));
    return { from, options: [...options, ...functions], validFor: /^\w*$/ };
  }

  const words = keywordCompletionSource(DIALECT, true);
  const notAfterDot = (context) => (context.matchBefore(/\.\w*/) ? null : words(context));
  const sources = [schemaCompletionSource({ dialect: DIALECT, schema: columns }), bare, notAfterDot];
  return new LanguageSupport(DIALECT.language, sources.map((autocomplete) => DIALECT.language.data.of({ autocomplete })));
}
