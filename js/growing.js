/* Slots NAME1, NAME2, ... of which there is always one that is free, after all that are linked. Those before it keep
 * their numbers, linked or not: a switch chooses by number. */

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

function grow(nodeType, side, name, type) {
  const changed = nodeType.prototype.onConnectionsChange;
  nodeType.prototype.onConnectionsChange = function (...args) {
    changed?.apply(this, args);
    if (this.settling) return;
    this.settling = true;
    // a new link takes an old one's place in two steps: look once both are done
    queueMicrotask(() => {
      settle(this, side, name, type);
      this.settling = false;
    });
  };
}

export function growInputs(nodeType, name, type) {
  grow(nodeType, INPUTS, name, type);
}

/* The first output is called by its kind in the server's word of the node. */
export function growOutputs(nodeType, name, type) {
  grow(nodeType, OUTPUTS, name, type);
  const created = nodeType.prototype.onNodeCreated;
  nodeType.prototype.onNodeCreated = function (...args) {
    created?.apply(this, args);
    const [first] = this.outputs ?? [];
    if (first) Object.assign(first, { name: `${name}1`, localized_name: `${name}1` });
  };
}
