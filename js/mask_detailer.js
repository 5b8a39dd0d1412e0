/* The browser side of the pack: what its nodes do beyond what ComfyUI does for every node.
 * Acts only on nodes that this pack serves: another pack may have nodes of the same ids. */
import { app } from "../../scripts/app.js";
import { growInputs } from "./growing_inputs.js";
import { listen, SETTING, showSegments } from "./live.js";
import { bringUpToDate } from "./old_files.js";
import { addPicker } from "./picker.js";
import { showPreviews } from "./preview.js";
import { loadTexts } from "./texts.js";
import { appendChoice, readOldToggles } from "./widgets.js";

const PACK = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2));
const ours = new Set();

function serves(nodeData) {
  return nodeData.python_module?.split(".").at(-1) === PACK;
}

app.registerExtension({
  name: "MaskDetailer",
  settings: [SETTING],

  async setup() {
    listen();
    showPreviews((node) => ours.has(node.comfyClass));
    await loadTexts();
  },

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!serves(nodeData)) return;
    ours.add(nodeData.name);
    readOldToggles(nodeType, nodeData);
    showSegments(nodeType);
    if (nodeData.name === "ImpactSEGSConcat") growInputs(nodeType, "segs", "SEGS");
  },

  async beforeConfigureGraph(file) {
    await bringUpToDate(file, (type) => ours.has(type));
  },

  nodeCreated(node) {
    if (!ours.has(node.comfyClass)) return;
    appendChoice(node, "preset", "labels", { separator: ", " });
    appendChoice(node, "Select to add LoRA", "wildcard", {
      written: (name) => `<lora:${name.replace(/\.safetensors$/, "")}>`,
      stays: false,
    });
    appendChoice(node, "Select to add Wildcard", "wildcard", { separator: ", ", stays: false });
    if (node.comfyClass === "ImpactSEGSPicker") addPicker(node);
  },
});
