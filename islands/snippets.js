// The same query elsewhere: programs and commands that can be pasted as they are.
import { button, element } from "./elements.js";

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const python = (text) => JSON.stringify(text); // a JSON string is a string of Python

/** Texts by tool, for a query at the service of that address. */
export function snippets(service, { sql, maxrec }) {
  const most = maxrec ? `, maxrec=${maxrec}` : "";
  return {
    "Python, pyvo": `import pyvo\n\nservice = pyvo.dal.TAPService(${python(service)})\nquery = ${python(sql)}\ntable = service.search(query${most}).to_table()\nprint(len(table))\n`,
    "Python, astroquery": `from astroquery.utils.tap.core import TapPlus\n\nservice = TapPlus(url=${python(service)})\nquery = ${python(sql)}\ntable = service.launch_job(query${most}).get_results()\nprint(len(table))\n`,
    curl: `curl --silent --data LANG=ADQL --data RESPONSEFORMAT=csv${maxrec ? ` --data MAXREC=${maxrec}` : ""} \\\n  --data-urlencode ${shell(`QUERY=${sql}`)} ${service}/sync\n`,
    STILTS: `stilts tapquery tapurl=${service} sync=true${maxrec ? ` maxrec=${maxrec}` : ""} ofmt=csv out=- \\\n  adql=${shell(sql)}\n`,
    TOPCAT: `1. VO, Table Access Protocol (TAP) Query\n2. TAP URL: ${service}, then "Use Service"\n3. Paste the query into "ADQL Text", then "Run Query":\n\n${sql}\n`,
  };
}

export function elsewhere(state) {
  const made = Object.entries(snippets(new URL("/tap", location.href).href, state)).map(([tool, text]) => {
    const copy = button("Copy", async () => {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    }, { "aria-label": `Copy for ${tool}` });
    return element("details", { "data-tool": tool }, element("summary", {}, tool), element("pre", { tabindex: 0 }, text), navigator.clipboard ? copy : null);
  });
  return element("div", { class: "elsewhere" }, element("h3", {}, "Use elsewhere"), ...made);
}
