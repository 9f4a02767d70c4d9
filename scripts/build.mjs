// Make what the pages load: node scripts/build.mjs [SOURCES [FOLDER]], from islands/ to km3vo/web/static/build/.
//
// Each entry is a script that a template names; what it imports only later becomes a file of its own. Names have the hash
// of their content, manifest.json says which is which, and licences.json what of others is in them.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const [SOURCES = join(ROOT, "islands"), FOLDER = join(ROOT, "km3vo", "web", "static", "build")] = process.argv.slice(2);
const ENTRIES = ["query.js"];
// What goes with BSD and asks no more than to be named.
const LICENCES = new Set(["MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "Apache-2.0", "CC0-1.0"]);

const made = await build({
  absWorkingDir: SOURCES,
  entryPoints: ENTRIES,
  outdir: FOLDER,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  loader: { ".css": "text" },
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  metafile: true,
  write: false,
});

const manifest = {};
const packages = new Map();
for (const [path, output] of Object.entries(made.metafile.outputs)) {
  const file = basename(path);
  manifest[output.entryPoint ? basename(output.entryPoint, ".js") : file] = {
    file,
    now: output.imports.filter((one) => one.kind === "import-statement").map((one) => basename(one.path)).sort(),
    later: output.imports.filter((one) => one.kind === "dynamic-import").map((one) => basename(one.path)).sort(),
  };
  for (const input of Object.keys(output.inputs)) {
    const found = /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(input);
    if (found && !packages.has(found[2])) packages.set(found[2], described(found[2], join(SOURCES, found[1])));
  }
}

function described(name, folder) {
  const told = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (!LICENCES.has(told.license)) {
    console.error(`${name} has the licence ${told.license}: only ${[...LICENCES].join(", ")} may be shipped`);
    process.exit(1);
  }
  const file = readdirSync(folder).sort().find((one) => /^licen[cs]e/i.test(one));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
  return { name, version: told.version, licence: told.license, text };
}

const sorted = (object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
const written = (content) => `${JSON.stringify(content, null, 1)}\n`;
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
for (const file of made.outputFiles) writeFileSync(join(FOLDER, relative(FOLDER, file.path)), file.contents);
writeFileSync(join(FOLDER, "manifest.json"), written(sorted(manifest)));
writeFileSync(join(FOLDER, "licences.json"), written([...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1))));
