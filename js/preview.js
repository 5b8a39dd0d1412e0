/* The picture that the node of a preview hook shows as it grows. An element of its own, since the Vue renderer doesn't
 * show what is set as a node's images. */
import { api } from "../../scripts/api.js";
import { isOpen, nodeAt } from "./nodes.js";
import { addElement } from "./widgets.js";

const HEIGHT = 200; // pixels at the least; it grows with its node
const AROUND = `box-sizing: border-box; position: relative; min-height: ${HEIGHT}px;`;
const WHOLE = "position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain;";
const shown = new WeakMap(); // node: its <img>

function addPicture(node) {
  const picture = Object.assign(document.createElement("img"), { alt: "" });
  const around = Object.assign(document.createElement("div"), { className: "mask-detailer-preview" });
  picture.style.cssText = WHOLE;
  around.style.cssText = AROUND;
  around.append(picture);
  addElement(node, "preview", "mask_detailer_preview", around, { getMinHeight: () => HEIGHT });
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  shown.set(node, picture);
  return picture;
}

/* A picture on the server, as ``/view`` takes it; its address. */
export function showPicture(node, item) {
  const picture = shown.get(node) ?? addPicture(node);
  picture.src = api.apiURL(`/view?${new URLSearchParams({ ...item, rand: String(Date.now()) })}`);
  node.graph?.setDirtyCanvas(true, true);
  return picture.src;
}

/* ``isOurs`` says whether this pack serves a node: another pack may send the same event. */
export function showPreviews(isOurs) {
  api.addEventListener("impact-preview", ({ detail }) => {
    const node = nodeAt(detail.node_id);
    if (!node || !isOurs(node) || !isOpen(detail.workflow)) return;
    showPicture(node, detail.item);
  });
}
