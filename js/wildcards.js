/* Wildcard nodes: the text that was made of their choices appears in them. */
import { api } from "../../scripts/api.js";
import { isOpen, nodeAt } from "./nodes.js";
import { named } from "./widgets.js";

const MODES = { true: "populate", false: "fixed" }; // of older workflows

/* While choices are made the populated text is not the user's to write. */
function settle(node) {
  const [text, mode] = [named(node, "populated_text"), named(node, "mode")];
  if (!text || !mode) return;
  text.disabled = mode.value === "populate";
  if (text.element) text.element.disabled = text.disabled;
}

function show(node, made) {
  const [text, mode] = [named(node, "populated_text"), named(node, "mode")];
  if (!text || !mode || mode.value === "fixed") return;
  text.value = made;
  if (mode.value === "reproduce") mode.value = "populate"; // once, as its name says
  settle(node);
}

/* ``isOurs`` says whether this pack serves a node. */
export function listenToPopulated(isOurs) {
  api.addEventListener("mask_detailer.populated", ({ detail }) => {
    const node = nodeAt(detail.node);
    if (node && isOurs(node) && isOpen(detail.workflow)) show(node, detail.text);
  });
}

/* Those that made their choices as they ran. */
export function showPopulated(nodeType) {
  const { onConfigure, onExecuted } = nodeType.prototype;
  nodeType.prototype.onExecuted = function (output, ...args) {
    onExecuted?.call(this, output, ...args);
    if (output?.populated) show(this, output.populated.join(""));
  };
  nodeType.prototype.onConfigure = function (...args) {
    onConfigure?.apply(this, args);
    const mode = named(this, "mode");
    if (mode && String(mode.value) in MODES) mode.value = MODES[mode.value];
    settle(this);
  };
}

export function followMode(node) {
  const mode = named(node, "mode");
  if (!mode) return;
  const { callback } = mode;
  mode.callback = function (...args) {
    callback?.apply(this, args);
    settle(node);
  };
  settle(node);
}
