/* Widgets that do nothing while another widget holds certain values are grey then: the server says which (`idle_with` among
 * an input's options). They keep their values, which go into the prompt as ever. */
import { named } from "./widgets.js";

const style = document.createElement("style");
const dimmed = new Set(); // ids of nodes

function idleWith(nodeData) {
  const { required, optional } = nodeData.input ?? {};
  return Object.entries({ ...required, ...optional }).flatMap(([name, [, options]]) =>
    options?.idle_with ? [[name, ...options.idle_with]] : [],
  );
}

/* Its value by a link is known only when the workflow runs. */
function isLinked(node, name) {
  const slot = node.inputs?.findIndex((input) => input.widget?.name === name) ?? -1;
  return slot >= 0 && node.isInputConnected(slot);
}

/* Later pages of Nodes 2.0 dim no more than a field's buttons: of our nodes the whole row is. */
function dim(node) {
  if (dimmed.has(node.id) || node.id < 0) return;
  dimmed.add(node.id);
  if (!style.isConnected) document.head.append(style);
  const rows = [...dimmed].map((id) => `[data-node-id="${id}"] .lg-node-widget:has(input:disabled)`);
  style.textContent = `${rows.join(", ")} { opacity: 0.5; }`;
}

function look(node, table) {
  dim(node);
  for (const [name, other, values] of table) {
    const [widget, decides] = [named(node, name), named(node, other)];
    if (!widget || !decides) continue;
    const idle = values.includes(decides.value) && !isLinked(node, other);
    if (Boolean(widget.disabled) !== idle) widget.disabled = idle;
  }
  node.graph?.setDirtyCanvas(true, true);
}

/* Looked at after each of the methods of the node and callbacks of its widgets that may change what decides. */
function after(target, method, call) {
  const before = target[method];
  target[method] = function (...args) {
    const made = before?.apply(this, args);
    call();
    return made;
  };
}

export function greyIdle(node, nodeData) {
  const table = idleWith(nodeData);
  if (!table.length) return;
  const again = () => look(node, table);
  for (const other of new Set(table.map(([, name]) => name))) {
    const decides = named(node, other);
    if (decides) after(decides, "callback", again);
  }
  after(node, "onAdded", again);
  after(node, "onConfigure", again);
  after(node, "onConnectionsChange", again);
  again();
}
