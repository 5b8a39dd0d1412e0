/* The browser side of the pack: what its nodes do beyond what ComfyUI does for every node.
 * Acts only on nodes that this pack serves: another pack may have nodes of the same ids. */
import { app } from "../../scripts/app.js";
import { readOldFiles } from "./bridges.js";
import { showCaptions } from "./captions.js";
import { colourLinks } from "./colours.js";
import { growInputs, growOutputs } from "./growing.js";
import { greyIdle } from "./idle.js";
import { listen, SETTING as LIVE, showAgain, showSegments } from "./live.js";
import { SETTING as MEMORY } from "./memory.js";
import { bringUpToDate, tellChoicesAnew } from "./old_files.js";
import { addPicker } from "./picker.js";
import { addPlan, showPlans } from "./plan.js";
import { showPreviews } from "./preview.js";
import { receive, saveOnlyIfWanted, SETTING as RECEIVERS } from "./receivers.js";
import { SETTING as STEERING, showLogged, steer } from "./steer.js";
import { loadTexts } from "./texts.js";
import { translateToggles } from "./toggles.js";
import { listenToTold } from "./told.js";
import { addTouchUp, followTouchUps, goOn, showTouchUps, TOUCH_UP } from "./touch_up.js";
import { appendChoice, leaveNoRoom, named, readOldToggles, stepSeed } from "./widgets.js";
import { followMode, listenToPopulated, showPopulated } from "./wildcards.js";

const PACK = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2));
const ours = new Set();
let told = {}; // what the server told of all nodes

/* Inputs that grow, by node: how they are called and what they take. */
const GROWING = {
  ImpactSEGSConcat: ["segs", "SEGS"],
  ImpactSwitch: ["input", "*", true],
  LatentSwitch: ["input", "*", true],
  SEGSSwitch: ["input", "*", true],
  ImpactMakeImageBatch: ["image", "IMAGE"],
  ImpactMakeImageList: ["image", "IMAGE"],
  ImpactMakeMaskBatch: ["mask", "MASK"],
  ImpactMakeMaskList: ["mask", "MASK"],
  ImpactMakeAnyList: ["value", "*"],
  ImpactCombineConditionings: ["conditioning", "CONDITIONING"],
  ImpactConcatConditionings: ["conditioning", "CONDITIONING"],
  CombineRegionalPrompts: ["regional_prompts", "REGIONAL_PROMPTS"],
};

const BRIDGES = new Set(["PreviewBridge", "PreviewBridgeLatent", "MaskPainter"]);
const isDetailer = (node) => ours.has(node.comfyClass) && named(node, "guide_size") && named(node, "steps");
const WILDCARDS = new Set(["ImpactWildcardProcessor", "ImpactWildcardEncode"]);

function serves(nodeData) {
  return nodeData.python_module?.split(".").at(-1) === PACK;
}

app.registerExtension({
  name: "MaskDetailer",
  settings: [LIVE, MEMORY, STEERING, RECEIVERS],

  addCustomNodeDefs(definitions) {
    told = definitions;
  },

  async setup() {
    tellChoicesAnew(told);
    listen();
    steer((node) => ours.has(node.comfyClass));
    receive((node) => ours.has(node.comfyClass));
    listenToPopulated((node) => ours.has(node.comfyClass));
    showPreviews((node) => ours.has(node.comfyClass));
    followTouchUps();
    listenToTold((node) => ours.has(node.comfyClass));
    colourLinks();
    await loadTexts();
  },

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!serves(nodeData)) return;
    ours.add(nodeData.name);
    readOldToggles(nodeType, nodeData);
    showSegments(nodeType);
    if (nodeData.name === "SEGSPreview") showCaptions(nodeType);
    if (nodeData.name === "MaskDetailerPlan") showPlans(nodeType);
    if (nodeData.name in GROWING) growInputs(nodeType, ...GROWING[nodeData.name]);
    if (nodeData.name === "ImpactInversedSwitch") growOutputs(nodeType, "output", "*", "input");
    if (nodeData.name === "ImpactLogger") showLogged(nodeType);
    if (BRIDGES.has(nodeData.name)) readOldFiles(nodeType);
    if (WILDCARDS.has(nodeData.name)) showPopulated(nodeType);
    if (nodeData.name === TOUCH_UP) goOn(nodeType);
  },

  async beforeConfigureGraph(file) {
    await bringUpToDate(file, (type) => ours.has(type));
  },

  afterConfigureGraph() {
    showTouchUps();
    showAgain();
  },

  nodeCreated(node) {
    if (!ours.has(node.comfyClass)) return;
    translateToggles(node);
    greyIdle(node, node.constructor.nodeData);
    appendChoice(node, "preset", "labels", { separator: ", " });
    const text = WILDCARDS.has(node.comfyClass) ? "wildcard_text" : "wildcard";
    appendChoice(node, "Select to add LoRA", text, {
      written: (name) => `<lora:${name.replace(/\.safetensors$/, "")}>`,
      stays: false,
    });
    appendChoice(node, "Select to add Wildcard", text, { separator: ", ", stays: false });
    if (node.comfyClass === "ImpactSEGSPicker") addPicker(node);
    if (node.comfyClass === "MaskDetailerPlan") addPlan(node, isDetailer);
    if (node.comfyClass === "ImageReceiver") saveOnlyIfWanted(node);
    if (WILDCARDS.has(node.comfyClass)) followMode(node);
    if (node.comfyClass === TOUCH_UP) addTouchUp(node);
    stepSeed(node, "seed_2nd", "seed_2nd_mode");
    leaveNoRoom(node);
  },
});
