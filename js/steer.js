/* What nodes may do to the page that queued them: queue again, stop that, write a widget, mute or bypass nodes. Only where
 * the user lets them, and only while the workflow that was queued is open. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { isOpen, nodeAt } from "./nodes.js";
import { teller } from "./wish.js";

const MODES = [0, 2, 4]; // on, muted, bypassed
let allowed = false;
let tell = () => {};

export const SETTING = {
  id: "MaskDetailer.Steering",
  category: ["Mask Detailer", "Steering", "Allow"],
  name: "Let nodes change widgets and queue",
  tooltip:
    "For Queue Trigger, Set Widget Value, Set Mute State, Control Bridge (Bypass) and the Remote nodes: they may change " +
    "the open workflow and queue it. When this is off, they change nothing.",
  type: "boolean",
  defaultValue: false,
  onChange(value) {
    allowed = value === true;
    tell();
  },
};

/* Its value, where it is of the kind that the widget holds. */
function write({ target, name, value }) {
  const widget = nodeAt(target)?.widgets?.find((one) => one.name === name);
  if (!widget || typeof widget.value !== typeof value) return;
  widget.value = value;
  widget.callback?.(value, app.canvas, nodeAt(target));
}

function switchTo({ nodes, mode }) {
  if (!MODES.includes(mode)) return;
  for (const node of nodes.map(nodeAt)) if (node) node.mode = mode;
}

function stopQueueing() {
  const queueing = app.extensionManager?.queueSettings;
  if (queueing) queueing.mode = "disabled";
  const checkbox = document.getElementById("autoQueueCheckbox"); // of older pages
  if (checkbox?.checked) checkbox.click();
}

function take({ detail }, isOurs) {
  const node = nodeAt(detail.node);
  if (!allowed || !node || !isOurs(node) || !isOpen(detail.workflow)) return;
  if (detail.what === "widget") write(detail);
  else if (detail.what === "modes") switchTo(detail);
  else if (detail.what === "stop") stopQueueing();
  app.graph.setDirtyCanvas(true, true);
  if (detail.what === "queue" || detail.queue) app.queuePrompt(0, 1);
}

/* ``isOurs`` says whether this pack serves a node. */
export function steer(isOurs) {
  tell = teller("steering", () => allowed);
  api.addEventListener("mask_detailer.steer", (event) => take(event, isOurs));
  tell();
}

/* What a node of this type logged appears in its own text. */
export function showLogged(nodeType) {
  const { onExecuted } = nodeType.prototype;
  nodeType.prototype.onExecuted = function (output, ...args) {
    onExecuted?.call(this, output, ...args);
    const widget = this.widgets?.find((one) => one.name === "text");
    if (widget && output?.text) widget.value = output.text.join("\n");
  };
}
