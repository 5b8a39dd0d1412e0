/* Files saved with past versions of the nodes. The server knows what these were like and says what is to be changed;
 * that is done before the page builds the nodes, and the page says of which. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { text } from "./texts.js";

const PATIENCE = 10_000; // milliseconds; then the file opens as it is
const LIFE = 15_000; // milliseconds that a message stays
let lacked = ""; // what was said last: the page loads its graph anew at each undo

const registered = () => window.LiteGraph.registered_node_types;
const title = (type) => registered()[type]?.title ?? type;

function say(severity, detail) {
  if (detail) app.extensionManager?.toast?.add({ severity, summary: "Mask Detailer", detail, life: LIFE });
}

function graphsOf({ nodes, definitions, extra }) {
  const inside = [...(definitions?.subgraphs ?? []), ...Object.values(extra?.groupNodes ?? {})];
  return [nodes, ...inside.map((graph) => graph?.nodes)].filter(Array.isArray);
}

async function ask({ nodes, links, definitions, extra }) {
  const answer = await api.fetchApi("/mask_detailer/old_file", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ nodes, links, definitions, extra: { groupNodes: extra?.groupNodes } }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  return answer.ok ? answer.json() : null;
}

/* Bring a file that is about to be loaded up to date, in place. ``isOurs`` says whether this pack serves a type. */
export async function bringUpToDate(file, isOurs) {
  const types = new Set(graphsOf(file).flat().map((node) => node?.type));
  if (![...types].some((type) => isOurs(type) || !(type in registered()))) return;
  const answer = await ask(file).catch(() => null);
  if (!answer) return;
  for (const [path, value] of answer.changes) {
    const last = path.pop();
    path.reduce((within, key) => within[key], file)[last] = value;
  }
  const listed = Object.entries(answer.nodes);
  const nodes = listed.map(([type, count]) => title(type) + (count > 1 ? ` (${count})` : "")).join(", ");
  say("info", nodes && text("old_file", "Saved with an older version, now brought up to date: %nodes%", { nodes }));
  const became = Object.entries(answer.successors).map(([old, now]) => [old, title(now)]);
  const lacks = became.map(([old, now]) => text("old_node", "%old% is now %now%", { old, now })).join("; ");
  if (lacks !== lacked) say("warn", lacks);
  lacked = lacks;
}

/* Where a file holds group nodes, ComfyUI makes subgraphs of them by what it was told of the nodes inside. Choices that
 * it was told of as a list, the older way, it takes for sockets then: all values and links after them come to the wrong
 * places. It is told of them in the newer way, once the nodes themselves are registered as they were told. */
export function tellChoicesAnew(told) {
  const anew = (declared) => (Array.isArray(declared?.[0]) ? ["COMBO", { ...declared[1], options: declared[0] }] : declared);
  const each = (inputs) => Object.fromEntries(Object.entries(inputs).map(([name, declared]) => [name, anew(declared)]));
  for (const [type, { input, ...rest }] of Object.entries(told)) {
    const { required, optional } = input ?? {};
    const changed = { ...input, ...(required && { required: each(required) }), ...(optional && { optional: each(optional) }) };
    told[type] = { ...rest, input: changed };
  }
}
