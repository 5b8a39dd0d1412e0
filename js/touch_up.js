/* Paint and go on: what a run made is the picture to paint on next. The node's widgets ``image`` and ``history`` hold all
 * there is to know of it, so that undo, reload and a saved workflow have it too; the node shows what they say. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { everyNode, idsOf } from "./nodes.js";
import { addStyle } from "./strip.js";
import { text } from "./texts.js";
import { takeStep } from "./undo.js";
import { addElement, named } from "./widgets.js";

export const TOUCH_UP = "MaskDetailerTouchUp";
const FOLDER = "mask_detailer_touch_up"; // of the folder for previews
const OPEN_EDITOR = "Comfy.MaskEditor.OpenMaskEditor";
const HEIGHT = 64; // pixels in the classic renderer, of which it leaves some around; two lines may be said
const EVERY = 400; // milliseconds
const BAR_CLASS = "mask-detailer-touch-up";
const STYLE = `
.${BAR_CLASS} { box-sizing: border-box; height: ${HEIGHT}px; display: grid; gap: 4px; align-content: start;
  grid-template: auto auto / 1fr 1fr; padding: 2px 4px; font-size: 12px; color: var(--input-text, #ddd); }
[data-node-id] .${BAR_CLASS} { height: auto; }
.${BAR_CLASS} .line { grid-column: 1 / 3; overflow: hidden; text-overflow: ellipsis; min-height: 16px; }
`;
const BUTTON = `border: 1px solid var(--border-color, #555); border-radius: 6px; padding: 2px 6px; cursor: pointer;
  background: var(--comfy-input-bg, #222); color: inherit; font: inherit;`;
const bars = new WeakMap(); // node: { line, back, told }

function historyOf(node) {
  try {
    const said = JSON.parse(named(node, "history")?.value || "{}");
    return { of: said.of ?? "", steps: Array.isArray(said.steps) ? said.steps : [] };
  } catch {
    return { of: "", steps: [] }; // the node says what is wrong with it when it runs
  }
}

/* A painted file as ``/view`` takes it. */
function painted(node) {
  const name = named(node, "image")?.value;
  if (!name) return null;
  const [, path, type = "input"] = /^(.*?)(?: \[(\w+)\])?$/.exec(name);
  const parts = path.split("/");
  return { filename: parts.pop(), subfolder: parts.join("/"), type };
}

/* The picture to paint on, with what is painted on it but not yet detailed. */
function pictureOf(node) {
  const { of, steps } = historyOf(node);
  const id = steps.at(-1)?.picture ?? of;
  return painted(node) ?? (id ? { filename: `${id}.png`, subfolder: FOLDER, type: "temp" } : null);
}

/* As if a run had shown it: in this way both renderers and the mask editor know of it. */
async function show(node) {
  refresh(node);
  const picture = pictureOf(node);
  if (!picture || !node.graph) return;
  const found = await api.fetchApi(`/view?${new URLSearchParams(picture)}`, { method: "HEAD" });
  if (!found.ok || !node.graph) return; // the server was started anew: the next run shows it
  for (const id of idsOf(node)) {
    const detail = { node: id, display_node: id, output: { images: [picture] }, prompt_id: null };
    api.dispatchEvent(new CustomEvent("executed", { detail }));
  }
  node.graph.setDirtyCanvas(true, true); // the classic renderer looks for new pictures when it draws
}

function words(node, told) {
  const { of, steps } = historyOf(node);
  const last = steps.at(-1);
  if (painted(node)) return text("touch_up_painted", "Painted. Run to detail it.");
  if (told === "nothing painted") return text("touch_up_nothing", "Nothing was painted, so nothing was done.");
  if (told === "other picture") return text("touch_up_another", "Another picture came: it begins anew.");
  if (last) {
    return text("touch_up_steps", "Steps: %count%. The last: %size% px, %steps% steps, cfg %cfg%, %sampler%, %scheduler%", {
      count: steps.length,
      size: last.size,
      steps: last.steps,
      cfg: last.cfg,
      sampler: last.sampler_name,
      scheduler: last.scheduler,
    });
  }
  if (of) return text("touch_up_paint_now", "Paint on the picture, then run.");
  return text("touch_up_run", "Run once to see the picture, then paint on it.");
}

function refresh(node) {
  const bar = bars.get(node);
  if (!bar) return;
  const now = words(node, bar.told);
  if (bar.line.textContent !== now) bar.line.textContent = bar.line.title = now;
  bar.back.disabled = !painted(node) && !historyOf(node).steps.length;
  bar.back.style.opacity = bar.back.disabled ? 0.4 : 1;
}

/* What is painted but not yet detailed goes first, then the last step. */
function stepBack(node) {
  const [image, history] = [named(node, "image"), named(node, "history")];
  const said = historyOf(node);
  takeStep();
  if (image.value) image.value = "";
  else history.value = JSON.stringify({ ...said, steps: said.steps.slice(0, -1) });
  bars.get(node).told = null;
  takeStep();
  show(node);
}

function paint(node) {
  app.canvas.deselectAll?.();
  app.canvas.select?.(node);
  app.extensionManager.command.execute(OPEN_EDITOR);
}

function button(words, press) {
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: words });
  element.style.cssText = BUTTON;
  element.addEventListener("pointerdown", (event) => event.stopPropagation());
  element.addEventListener("click", press);
  return element;
}

export function addTouchUp(node) {
  addStyle("mask-detailer-touch-up-style", STYLE);
  const around = Object.assign(document.createElement("div"), { className: BAR_CLASS });
  const line = Object.assign(document.createElement("div"), { className: "line" });
  const back = button(text("touch_up_back", "Step back"), () => stepBack(node));
  around.append(button(text("touch_up_paint", "Paint"), () => paint(node)), back, line);
  addElement(node, "touch_up", "mask_detailer_touch_up", around, {
    getMinHeight: () => HEIGHT,
    getMaxHeight: () => HEIGHT,
  });
  bars.set(node, { line, back, told: null });
  refresh(node);
}

/* The result is the next picture. Only what was sent is taken out: who painted or stepped back meanwhile keeps that. */
export function goOn(nodeType) {
  const { onExecuted } = nodeType.prototype;
  nodeType.prototype.onExecuted = function (output, ...args) {
    onExecuted?.call(this, output, ...args);
    const [told] = output?.touch_up ?? [];
    if (!told) return refresh(this);
    const [image, history] = [named(this, "image"), named(this, "history")];
    takeStep();
    const isNext = history.value === told.before;
    if (isNext) history.value = told.after;
    if (isNext && told.image && image.value === told.image) image.value = "";
    takeStep();
    const bar = bars.get(this);
    if (bar) bar.told = isNext ? told.state : null;
    if (isNext && !image.value) refresh(this);
    else show(this);
  };
}

/* Once a graph is there, by opening, undo or a change of tabs. */
export function showTouchUps() {
  for (const node of everyNode()) if (bars.has(node)) show(node);
}

/* A mask editor tells nobody that it wrote into a widget. */
export function followTouchUps() {
  setInterval(() => {
    if (document.querySelector(`.${BAR_CLASS}`)) for (const node of everyNode()) refresh(node);
  }, EVERY);
}
