/* Slots NAME1, NAME2, ... of which there is always one that is free, after all that are linked. Those before it keep
 * their numbers, linked or not: a switch chooses by number. */

const ANY = "*";
const INPUT_OF_SUBGRAPH = -10; // the node that stands for a subgraph's inputs

function linkOf(node, number) {
  return node.graph?.links?.get?.(number) ?? node.graph?.links?.[number];
}

function kindGiven(node, slot) {
  const link = linkOf(node, slot?.link);
  if (!link) return undefined;
  if (link.origin_id === INPUT_OF_SUBGRAPH) return node.graph.inputs?.[link.origin_slot]?.type;
  return node.graph.getNodeById(link.origin_id)?.outputs?.[link.origin_slot]?.type;
}

function kindTaken(node, slot) {
  const link = linkOf(node, slot?.links?.[0]);
  return link && node.graph.getNodeById(link.target_id)?.inputs?.[link.target_slot]?.type;
}

/* What inputs and outputs do differently. */
const INPUTS = {
  all: (node) => node.inputs ?? [],
  isLinked: (node, index) => node.isInputConnected(index),
  add: (node, name, type, more) => node.addInput(name, type, more),
  remove: (node, index) => node.removeInput(index),
};
const OUTPUTS = {
  all: (node) => node.outputs ?? [],
  isLinked: (node, index) => node.isOutputConnected(index),
  add: (node, name, type, more) => node.addOutput(name, type, more),
  remove: (node, index) => node.removeOutput(index),
};

function settle(node, side, name, type) {
  const numbered = new RegExp(`^${name}(\\d+)$`);
  const numberOf = (slot) => Number(numbered.exec(slot.name)?.[1] ?? 0);
  const isLinked = (slot) => side.isLinked(node, side.all(node).indexOf(slot));
  const slots = side.all(node).filter((slot) => numberOf(slot));
  const last = Math.max(0, ...slots.filter(isLinked).map(numberOf));
  for (const slot of slots.filter((slot) => numberOf(slot) > last + 1)) {
    side.remove(node, side.all(node).indexOf(slot));
  }
  const shown = (slots[0]?.localized_name ?? name).replace(/\d+$/, "");
  for (let number = 1; number <= last + 1; number++) {
    if (slots.some((slot) => numberOf(slot) === number)) continue;
    side.add(node, `${name}${number}`, type, { localized_name: `${shown}${number}` });
  }
  node.graph?.setDirtyCanvas(true, true);
}

/* What goes through a switch is of one kind: that of the first link to it, else of the first from it, else any. */
function settleKind(node, inputs, outputs) {
  const kinds = [...inputs.map((slot) => kindGiven(node, slot)), ...outputs.map((slot) => kindTaken(node, slot))];
  const kind = kinds.find((found) => found && found !== ANY) ?? ANY;
  for (const slot of [...inputs, ...outputs]) slot.type = kind;
}

function grow(nodeType, side, name, type, settled) {
  const changed = nodeType.prototype.onConnectionsChange;
  nodeType.prototype.onConnectionsChange = function (...args) {
    changed?.apply(this, args);
    if (this.settling) return;
    this.settling = true;
    // a new link takes an old one's place in two steps: look once both are done
    queueMicrotask(() => {
      settle(this, side, name, type);
      settled?.(this, side.all(this).filter((slot) => new RegExp(`^${name}\\d+$`).test(slot.name)));
      this.settling = false;
    });
  };
}

/* ``ofOneKind``: and of the same kind as the first output. */
export function growInputs(nodeType, name, type, ofOneKind = false) {
  const settled = (node, inputs) => settleKind(node, inputs, (node.outputs ?? []).slice(0, 1));
  grow(nodeType, INPUTS, name, type, ofOneKind ? settled : undefined);
}

/* The first output is called by its kind in the server's word of the node. All are of the kind of the input ``from``. */
export function growOutputs(nodeType, name, type, from) {
  grow(nodeType, OUTPUTS, name, type, (node, outputs) =>
    settleKind(node, (node.inputs ?? []).filter((slot) => slot.name === from), outputs),
  );
  const created = nodeType.prototype.onNodeCreated;
  nodeType.prototype.onNodeCreated = function (...args) {
    created?.apply(this, args);
    const [first] = this.outputs ?? [];
    if (first) Object.assign(first, { name: `${name}1`, localized_name: `${name}1` });
  };
}
