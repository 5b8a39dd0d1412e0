/* Receivers take what a sender of the same link_id sent. The server tells only the page that queued the prompt, and it
 * takes it only while the workflow that was queued is open. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { everyNode, isOpen } from "./nodes.js";
import { showPicture } from "./preview.js";
import { named } from "./widgets.js";

let wanted = true;

export const SETTING = {
  id: "MaskDetailer.Receivers",
  category: ["Mask Detailer", "Receivers", "Take"],
  name: "Receivers take what senders send",
  tooltip: "For Image Receiver, LatentReceiver and ImpactValueReceiver. When this is off, they keep what they have.",
  type: "boolean",
  defaultValue: true,
  onChange(value) {
    wanted = value !== false;
  },
};

/* The receivers of a kind in the open workflow that listen to a number. One whose number comes by a link is left alone. */
function* listening(kind, { link }, isOurs) {
  for (const node of everyNode()) {
    const isLinked = node.inputs?.some((input, slot) => input.name === "link_id" && node.isInputConnected(slot));
    if (node.comfyClass === kind && isOurs(node) && !isLinked && String(named(node, "link_id")?.value) === link) {
      yield node;
    }
  }
}

function write(widget, value) {
  const { values } = widget.options ?? {};
  if (Array.isArray(values) && !values.includes(value)) widget.options.values = [...values, value];
  widget.value = value;
}

async function asData(url) {
  const file = await (await fetch(url)).blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = reject;
    reader.readAsDataURL(file);
  });
}

function takeFile(kind, widgetName, detail, isOurs) {
  const [file] = detail.images ?? [];
  if (!file) return;
  const name = `${file.subfolder ? `${file.subfolder}/` : ""}${file.filename} [${file.type}]`;
  for (const node of listening(kind, detail, isOurs)) {
    write(named(node, widgetName), name);
    const url = showPicture(node, file);
    const data = named(node, "image_data");
    if (data && named(node, "save_to_workflow")?.value) asData(url).then((read) => (data.value = read), console.warn);
  }
}

function takeValue(detail, isOurs) {
  for (const node of listening("ImpactValueReceiver", detail, isOurs)) {
    named(node, "typ").value = detail.typ;
    named(node, "value").value = detail.text;
  }
}

/* ``isOurs`` says whether this pack serves a node. */
export function receive(isOurs) {
  const on = (event, take) =>
    api.addEventListener(event, ({ detail }) => {
      // other packs send the same events to every page, without saying of which prompt
      if (!wanted || !detail?.prompt_id || detail.link === undefined || !isOpen(detail.workflow)) return;
      take(detail);
      app.graph.setDirtyCanvas(true, true);
    });
  on("img-send", (detail) => takeFile("ImageReceiver", "image", detail, isOurs));
  on("latent-send", (detail) => takeFile("LatentReceiver", "latent", detail, isOurs));
  on("value-send", (detail) => takeValue(detail, isOurs));
}

/* The picture goes into a workflow only where the user wants that. */
export function saveOnlyIfWanted(node) {
  const data = named(node, "image_data");
  if (data) data.serializeValue = () => (named(node, "save_to_workflow")?.value ? data.value : "");
}
