/* An element at the foot of a node that neither its saved form nor its size in that knows of. */
import { app } from "../../scripts/app.js";
import { addElement } from "./widgets.js";

const GAP = 4; // pixels between widgets
const PATIENCE = 20; // frames until the page has drawn a node
const HELD = ["pointerdown", "pointermove", "pointerup"]; // else the node is dragged
const byHand = new Map(); // node: what stands in it by hand

/* Where the page draws a node itself, the part of it that its widgets are in. */
const bodyOf = (node) => document.querySelector(`[data-testid="node-body-${node.id}"]`);

function place(node, around, frames = PATIENCE) {
  if (byHand.get(node) !== around || app.canvas.graph !== node.graph) return;
  const body = bodyOf(node);
  if (body && !body.contains(around)) body.append(around);
  if (frames) requestAnimationFrame(() => place(node, around, frames - 1));
}

/* Where the page draws nodes itself, it goes on showing what a node had before an undo made it anew. */
function replaceOld(node, element, frames = PATIENCE) {
  const old = bodyOf(node)?.querySelector(`.${element.classList[0]}`);
  if (old && old !== element) old.replaceWith(element);
  else if (!element.isConnected && frames) requestAnimationFrame(() => replaceOld(node, element, frames - 1));
}

/* Nodes are made anew by an undo, under the same ids: what stands in those that are gone isn't placed again. */
function placeAll() {
  for (const [node, around] of byHand) {
    if (node.graph?.getNodeById(node.id) === node) place(node, around);
    else byHand.delete(node);
  }
}

/* Subgraph nodes of older pages show none but the widgets of what is in them. */
function insist(node, widget, element) {
  if (!window.LiteGraph.vueNodesMode) {
    const own = Object.getOwnPropertyDescriptor(node, "widgets");
    const get = () => [...own.get.call(node), widget];
    Object.defineProperty(node, "widgets", { ...own, get });
    return () => Object.defineProperty(node, "widgets", own);
  }
  const around = document.createElement("div");
  around.style.padding = "0 8px";
  around.append(element);
  for (const name of HELD) around.addEventListener(name, (event) => event.stopPropagation());
  app.canvas.canvas.addEventListener("litegraph:set-graph", placeAll); // the same one is added once
  byHand.set(node, around);
  place(node, around);
  return () => {
    byHand.delete(node);
    around.remove();
  };
}

/* As high as ``height`` says, always. What is given back takes it away again; or, where the node is gone, what would be
 * left of it: the page shows another node of its id in the same place. */
export function mount(node, element, height) {
  const growth = height + GAP;
  const always = { getMinHeight: () => height, getMaxHeight: () => height };
  const [width, before] = node.size;
  const widget = addElement(node, "segments", "mask_detailer_live", element, always);
  const desist = node.widgets.includes(widget) ? null : insist(node, widget, element);
  if (window.LiteGraph.vueNodesMode) replaceOld(node, element);
  node.setSize([width, before + growth]);
  const { onSerialize } = node;
  node.onSerialize = function (saved, ...args) {
    onSerialize?.call(this, saved, ...args);
    saved.size = [saved.size[0], saved.size[1] - growth];
  };
  return (isGone) => {
    if (isGone) return desist?.();
    node.onSerialize = onSerialize;
    if (desist) widget.onRemove?.();
    else node.removeWidget(widget);
    desist?.();
    node.setSize([node.size[0], node.size[1] - growth]);
  };
}
