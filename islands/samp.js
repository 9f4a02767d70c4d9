// SAMP's Web Profile (SAMP 1.3, section 5): XML-RPC to the hub on this computer. Loaded and called by a click only.
const HUB = "http://localhost:21012/";
const MTYPE = "table.load.votable";
const QUICK = 3000, PATIENT = 60000; // ms: whether there is a hub; for the person who is asked to let the page in

/** Send a table to every program that takes tables; gives their names. */
export async function broadcast(url, name) {
  await fetch(HUB, { method: "POST", headers: { "Content-Type": "text/plain" }, body: request("ping", []), signal: AbortSignal.timeout(QUICK) });
  const { "samp.private-key": key } = await call("register", [{ "samp.name": "km3vo" }], PATIENT);
  try {
    await call("declareMetadata", [key, { "samp.name": "km3vo", "samp.description.text": "Neutrino events" }]);
    const clients = Object.keys(await call("getSubscribedClients", [key, MTYPE]));
    // TOPCAT refuses a table whose id it knows.
    const id = `km3vo-${crypto.randomUUID?.() ?? Date.now()}`;
    const message = { "samp.mtype": MTYPE, "samp.params": { url, name, "table-id": id } };
    const names = [];
    for (const client of clients) {
      await call("notify", [key, client, message]);
      names.push((await call("getMetadata", [key, client]))["samp.name"] ?? client);
    }
    return names;
  } finally {
    await call("unregister", [key]).catch(() => {});
  }
}

async function call(method, parameters, patience = QUICK) {
  const answer = await fetch(HUB, {
    method: "POST", headers: { "Content-Type": "text/plain" }, body: request(method, parameters), signal: AbortSignal.timeout(patience),
  });
  const document = new DOMParser().parseFromString(await answer.text(), "text/xml");
  if (document.querySelector("fault")) throw new Error(document.querySelector("fault").textContent);
  const value = document.querySelector("param > value");
  return value && read(value);
}

function request(method, parameters) {
  const document = new DOMParser().parseFromString("<methodCall><methodName/><params/></methodCall>", "text/xml");
  document.querySelector("methodName").textContent = `samp.webhub.${method}`;
  const made = (name, ...children) => {
    const one = document.createElement(name);
    one.append(...children);
    return one;
  };
  const value = (it) => made("value", typeof it === "string"
    ? made("string", it)
    : made("struct", ...Object.entries(it).map(([key, content]) => made("member", made("name", key), value(content)))));
  document.querySelector("params").append(...parameters.map((one) => made("param", value(one))));
  return new XMLSerializer().serializeToString(document);
}

function read(value) {
  const content = value.firstElementChild;
  if (content?.tagName === "array") return [...content.firstElementChild.children].map(read);
  if (content?.tagName !== "struct") return value.textContent;
  return Object.fromEntries([...content.children].map((member) => [
    member.querySelector(":scope > name").textContent, read(member.querySelector(":scope > value")),
  ]));
}
