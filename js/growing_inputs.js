/* Inputs NAME1, NAME2, ... of which there is always one that is free, after all that are linked. */

export function growInputs(nodeType, name, type) {
  const numbered = new RegExp(`^${name}\\d+$`);
  const inputsOf = (node) => (node.inputs ?? []).filter((input) => numbered.test(input.name));

  function settle(node) {
    const shown = (inputsOf(node)[0]?.localized_name ?? name).replace(/\d+$/, "");
    const slotOf = (input) => node.inputs.indexOf(input);
    for (const input of inputsOf(node).filter((input) => !node.isInputConnected(slotOf(input)))) {
      node.removeInput(slotOf(input));
    }
    inputsOf(node).forEach((input, index) => {
      input.name = `${name}${index + 1}`;
      input.localized_name = `${shown}${index + 1}`;
    });
    const next = inputsOf(node).length + 1;
    node.addInput(`${name}${next}`, type, { localized_name: `${shown}${next}` });
    node.graph?.setDirtyCanvas(true, true);
  }

  const changed = nodeType.prototype.onConnectionsChange;
  nodeType.prototype.onConnectionsChange = function (...args) {
    changed?.apply(this, args);
    if (this.settling) return;
    this.settling = true;
    // a new link takes an old one's place in two steps: look once both are done
    queueMicrotask(() => {
      settle(this);
      this.settling = false;
    });
  };
}
