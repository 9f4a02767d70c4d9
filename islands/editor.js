// The editor of queries: CodeMirror in a shadow root, where it styles itself by constructable style sheets. In the document
// it would add a <style>, which the page's policy refuses.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, isolateHistory } from "@codemirror/commands";
import { bracketMatching } from "@codemirror/language";
import { lintKeymap, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import {
  EditorView, drawSelection, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
import { language } from "./adql.js";
import { Checker } from "./check.js";
import { look } from "./look.js";
import { repairs } from "./repairs.js";

/**
 * Put an editor in the place of a field, which goes on holding the text and is what a form sends.
 *
 * schema: of /tap/schema.json. told(answer): is called with what /tap/check says of the text, or null while that is not
 * known. run(): for Ctrl-Enter.
 */
export function mount(field, { schema, told, run, parameters }) {
  const host = document.createElement("div");
  host.className = "editor";
  field.after(host);
  const root = host.attachShadow({ mode: "open" });
  const known = new Compartment();
  const checker = new Checker(parameters, (view, answer, marks) => {
    const mends = repairs(view.state.doc.toString());
    view.dispatch(setDiagnostics(view.state, [...marks, ...mends]));
    told(answer, mends);
  });
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: field.value,
      extensions: [
        lineNumbers(), highlightSpecialChars(), history(), drawSelection(), bracketMatching(), closeBrackets(),
        highlightActiveLine(), autocompletion({ icons: false }), EditorView.lineWrapping, look, known.of(language(schema)),
        EditorView.contentAttributes.of({ "aria-label": "Query in ADQL", spellcheck: "false", autocapitalize: "off" }),
        keymap.of([
          { key: "Mod-Enter", run: () => (run(), true) },
          ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          field.value = update.state.doc.toString();
          told(null);
          checker.changed(update.view);
        }),
        EditorView.domEventHandlers({ compositionend: (_, own) => checker.changed(own) }),
      ],
    }),
  });
  field.hidden = true;
  field.required = false; // a browser cannot point at what is hidden
  checker.changed(view, 0);
  const replace = (from, to, insert) => {
    const annotations = isolateHistory.of("full"); // one Undo takes it back
    view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length }, scrollIntoView: true, annotations });
    view.focus();
  };
  return {
    view,
    get text() { return view.state.doc.toString(); },
    set text(text) { replace(0, view.state.doc.length, text); },
    insert: (text) => replace(view.state.selection.main.from, view.state.selection.main.to, text),
    replace,
    know: (changed) => view.dispatch({ effects: known.reconfigure(language(changed)) }),
    check: () => checker.changed(view, 0),
    focus: () => view.focus(),
  };
}
