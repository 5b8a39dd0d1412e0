/* An element at the foot of a node that neither its saved form nor its size in that knows of. */
import { addElement } from "./widgets.js";

const GAP = 4; // pixels between widgets

/* As high as ``height`` says, always. What is given back, ``unmount`` takes. */
export function mount(node, element, height) {
  const growth = height + GAP;
  const always = { getMinHeight: () => height, getMaxHeight: () => height };
  const [width, before] = node.size;
  const widget = addElement(node, "segments", "mask_detailer_live", element, always);
  node.setSize([width, before + growth]);
  const { onSerialize } = node;
  node.onSerialize = function (saved, ...args) {
    onSerialize?.call(this, saved, ...args);
    saved.size = [saved.size[0], saved.size[1] - growth];
  };
  return { widget, growth, onSerialize };
}

export function unmount(node, { widget, growth, onSerialize }) {
  node.onSerialize = onSerialize;
  node.removeWidget(widget);
  node.setSize([node.size[0], node.size[1] - growth]);
}
