/* What SEGSPreview says of its pictures: under a thumbnail of each its number, label and confidence, "1 face 0.93". The
 * numbers are those that `parts_only` and the picker take. */
import { api } from "../../scripts/api.js";
import { addElement } from "./widgets.js";

const HEIGHT = 106; // pixels
const SETTLED = 200; // ms after a picture is there
const NO_LABEL = "A"; // what segments made from a mask are called
const STYLE = `
.mask-detailer-parts { box-sizing: border-box; height: ${HEIGHT}px; display: flex; gap: 6px; padding: 4px;
  overflow: auto hidden; scrollbar-width: thin; color: var(--input-text, #ddd); font: 12px/16px sans-serif; }
.mask-detailer-parts figure { flex: none; margin: 0; min-width: 48px; max-width: 160px; }
.mask-detailer-parts img { display: block; height: 72px; max-width: 160px; margin: auto; border-radius: 4px;
  object-fit: contain; }
.mask-detailer-parts figcaption { width: 0; min-width: 100%; text-align: center; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }
`;
const shown = new WeakMap(); // node: its row

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function captionOf({ number, label, confidence }) {
  if (label === NO_LABEL) return String(number); // and a mask is sure of itself
  return [number, label, confidence?.toFixed(2)].filter((part) => part !== undefined && part !== "").join(" ");
}

/* As high as what is on it needs: ComfyUI puts its own preview below ours once the pictures are there. */
function fit(node) {
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  node.graph?.setDirtyCanvas(true, true);
}

function figure(node, item, part) {
  const src = api.apiURL(`/view?${new URLSearchParams({ ...item, rand: String(Date.now()) })}`);
  const caption = captionOf(part);
  const name = element("figcaption", { textContent: caption, title: caption });
  const onload = () => setTimeout(() => fit(node), SETTLED);
  return element("figure", {}, element("img", { onload, src, alt: "", draggable: false }), name);
}

function addRow(node) {
  const row = element("div", { className: "mask-detailer-parts" });
  const around = element("div", {}, element("style", { textContent: STYLE }), row);
  addElement(node, "parts", "mask_detailer_parts", around, { getMinHeight: () => HEIGHT, getMaxHeight: () => HEIGHT });
  shown.set(node, row);
  return row;
}

export function showCaptions(nodeType) {
  const { onExecuted } = nodeType.prototype;
  nodeType.prototype.onExecuted = function (output, ...rest) {
    onExecuted?.call(this, output, ...rest);
    const { images = [], parts } = output ?? {};
    if (!parts) return;
    const row = shown.get(this) ?? addRow(this);
    row.replaceChildren(...images.map((item, index) => figure(this, item, parts[index])));
    fit(this);
  };
}
