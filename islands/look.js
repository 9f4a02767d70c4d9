// How the editor looks: in the colours of the page, which its shadow root inherits.
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--number)" },
  { tag: [tags.standard(tags.name), tags.typeName], color: "var(--accent)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
]);

const MONOSPACE = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const theme = EditorView.theme({
  "&": { border: "1px solid var(--line)", borderRadius: ".4rem", background: "var(--page)", color: "var(--text)", fontSize: ".95rem" },
  "&.cm-focused": { outline: "3px solid var(--link)", outlineOffset: "2px" },
  ".cm-scroller": { fontFamily: MONOSPACE, lineHeight: "1.5", minHeight: "9rem", maxHeight: "24rem", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: ".4rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { background: "var(--panel)", color: "var(--quiet)", border: "0", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { background: "color-mix(in srgb, var(--link) 5%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--link) 25%, transparent)" },
  "&.cm-focused .cm-matchingBracket": { background: "color-mix(in srgb, var(--link) 20%, transparent)", color: "inherit" },
  ".cm-tooltip": { background: "var(--panel)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: ".3rem" },
  ".cm-tooltip-autocomplete > ul > li": { padding: ".15rem .5rem", lineHeight: "1.5" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--link)", color: "var(--page)" },
  ".cm-completionDetail": { color: "inherit", fontStyle: "normal", marginLeft: "1em" },
  ".cm-completionInfo": { maxWidth: "24rem", padding: ".4rem .6rem", font: "0.85rem/1.4 system-ui, sans-serif" },
  ".cm-diagnostic": { borderLeft: "4px solid var(--warn)", padding: ".3rem .6rem", font: "0.9rem/1.4 system-ui, sans-serif" },
  ".cm-diagnosticAction": { background: "var(--page)", color: "var(--link)", border: "1px solid var(--line)", font: "inherit", minHeight: "24px" },
  ".cm-lintRange-error": { backgroundImage: "none", borderBottom: "2px solid var(--mistake)", paddingBottom: "0" },
  ".cm-lintRange-warning": { backgroundImage: "none", borderBottom: "2px dotted var(--warn)", paddingBottom: "0" },
  ".cm-lintRange.ended": { borderRight: "3px solid var(--mistake)" },
  ".cm-panels": { background: "var(--panel)", color: "var(--text)" },
});

export const look = [theme, syntaxHighlighting(colours)];
