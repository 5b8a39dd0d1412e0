/* What a node says of its last run that its user should know, as a line on it. It goes when the node runs again. */
import { api } from "../../scripts/api.js";
import { isOpen, nodeAt } from "./nodes.js";
import { text } from "./texts.js";
import { addElement } from "./widgets.js";

const STYLE = "box-sizing: border-box; padding: 4px 8px; font: 12px/16px sans-serif; color: #f0b429;";
const HEIGHT = 58; // pixels: two lines, and what the classic renderer leaves around them
const lines = new WeakMap(); // node: its widget

const WORDS = {
  mask_rescaled: (facts) =>
    text(
      "told_mask_rescaled",
      "The mask is %mask%, the picture %picture%: the mask was stretched to fit.",
      facts,
    ),
};

function show(node, line) {
  const widget = lines.get(node) ?? addLine(node);
  widget.element.textContent = line;
  widget.element.title = line;
}

function addLine(node) {
  const element = Object.assign(document.createElement("div"), { className: "mask-detailer-told" });
  element.style.cssText = STYLE;
  element.setAttribute("role", "status");
  const widget = addElement(node, "told", "mask_detailer_told", element, {
    getMinHeight: () => HEIGHT,
    getMaxHeight: () => HEIGHT,
  });
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  lines.set(node, widget);
  return widget;
}

function forget(node) {
  const widget = node && lines.get(node);
  if (!widget) return;
  lines.delete(node);
  node.removeWidget(widget);
}

/* ``isOurs`` says whether this pack serves a node. */
export function listenToTold(isOurs) {
  api.addEventListener("mask_detailer.told", ({ detail }) => {
    const node = nodeAt(detail.node);
    if (node && isOurs(node) && isOpen(detail.workflow) && detail.what in WORDS) show(node, WORDS[detail.what](detail));
  });
  api.addEventListener("executing", ({ detail }) => {
    if (detail !== null) forget(nodeAt(detail?.node ?? detail));
  });
}
