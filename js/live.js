/* While a detailer runs its node shows a strip of its segments. Nodes have none until they run, and workflows are saved
 * without it. */
import { api } from "../../scripts/api.js";
import { isOpen, nodeAt } from "./nodes.js";
import { HEIGHT, Strip } from "./strip.js";
import { text } from "./texts.js";
import { addElement } from "./widgets.js";
import { teller } from "./wish.js";

const GROWTH = HEIGHT + 4; // the strip and the gap before it
const shown = new Map(); // node: its strip and widget
let wanted = true;
let tell = () => {};

function addStrip(node, promptId) {
  const strip = new Strip(promptId);
  const [width, height] = node.size;
  const always = { getMinHeight: () => HEIGHT, getMaxHeight: () => HEIGHT };
  const widget = addElement(node, "segments", "mask_detailer_live", strip.element, always);
  node.setSize([width, height + GROWTH]);
  shown.set(node, { strip, widget });
  return strip;
}

function removeStrip(node) {
  const { widget } = shown.get(node);
  shown.delete(node);
  node.removeWidget(widget);
  node.setSize([node.size[0], node.size[1] - GROWTH]);
}

function take({ detail }) {
  const node = wanted && nodeAt(detail.node);
  if (!node?.showsSegments) return;
  let { strip } = shown.get(node) ?? {};
  if (strip?.promptId !== detail.prompt_id && !isOpen(detail.workflow)) return;
  strip ??= addStrip(node, detail.prompt_id);
  if (strip.promptId !== detail.prompt_id) strip.restart();
  strip.promptId = detail.prompt_id;
  strip.take(detail);
}

function stop(why, { detail }) {
  for (const { strip } of shown.values()) if (strip.promptId === detail?.prompt_id) strip.stopped(why);
}

export const SETTING = {
  id: "MaskDetailer.Live",
  category: ["Mask Detailer", "Live", "Segments"],
  name: "Show the segments on a detailer's node while it runs",
  tooltip:
    "Thumbnails of what is worked on, with the latent preview and before and after. " +
    "When this is off, the server makes and sends none.",
  type: "boolean",
  defaultValue: true,
  onChange(value) {
    wanted = value !== false;
    if (!wanted) [...shown.keys()].forEach(removeStrip);
    tell();
  },
};

export function listen() {
  api.addEventListener("mask_detailer.live", take);
  api.addEventListener("execution_interrupted", (event) => stop(text("live_interrupted", "interrupted"), event));
  api.addEventListener("execution_error", (event) => stop(text("live_error", "stopped by an error"), event));
  tell = teller("live", () => wanted); // the server makes nothing for a browser that has not asked for it
  tell();
}

/* Nodes of this type show strips. */
export function showSegments(nodeType) {
  const { onRemoved, onSerialize } = nodeType.prototype;
  nodeType.prototype.showsSegments = true;
  nodeType.prototype.onRemoved = function (...args) {
    onRemoved?.apply(this, args);
    shown.delete(this);
  };
  nodeType.prototype.onSerialize = function (saved, ...args) {
    onSerialize?.call(this, saved, ...args);
    if (shown.has(this)) saved.size = [saved.size[0], saved.size[1] - GROWTH];
  };
}
