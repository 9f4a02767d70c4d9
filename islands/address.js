// The address of a query: what it asks stands in it, and opening it runs nothing.

const LONG = 4000; // characters of an address that every server and mail program lets through

/** An address of this page for a query; long ones are packed into the fragment, which no server gets to see. */
export async function address(state) {
  const asked = new URLSearchParams();
  if (state.sql) asked.set("sql", state.sql);
  if (state.format && state.format !== "html") asked.set("format", state.format);
  if (state.maxrec) asked.set("MAXREC", state.maxrec);
  if (state.view) asked.set("view", state.view);
  const short = `/query?${asked}`;
  if (short.length <= LONG) return short;
  return `/query#z=${await packed(JSON.stringify(state))}`;
}

/** The query of an address that has it in its fragment, or null. */
export async function opened({ hash }) {
  if (!hash.startsWith("#z=")) return null;
  try {
    return JSON.parse(await unpacked(hash.slice(3)));
  } catch {
    return null;
  }
}

const through = (bytes, stream) => new Response(new Blob([bytes]).stream().pipeThrough(stream));

async function packed(text) {
  const small = new Uint8Array(await through(text, new CompressionStream("deflate-raw")).arrayBuffer());
  let binary = "";
  for (let i = 0; i < small.length; i += 0x8000) binary += String.fromCharCode(...small.subarray(i, i + 0x8000));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function unpacked(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return through(Uint8Array.from(binary, (one) => one.charCodeAt(0)), new DecompressionStream("deflate-raw")).text();
}
