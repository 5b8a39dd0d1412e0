/* Detail Plan on its node: the table of its last run, and a button that writes its settings into the detailer that it
 * plans for. Only that click changes another node, and one undo takes it back. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { lastOutput } from "./nodes.js";
import { text } from "./texts.js";
import { asOneStep } from "./undo.js";
import { addElement, named, takePlace } from "./widgets.js";

const TYPE = "mask_detailer_plan";
const HEIGHT = 190; // pixels at the least; it grows with its node
const WIDTH = 600;
const SETTLED = 200; // ms after a picture is there
const OWN = new Set(["control_after_generate"]); // of the page, not of the nodes
const STYLE = `
.mask-detailer-plan { box-sizing: border-box; height: 100%; min-height: ${HEIGHT}px; display: flex; gap: 6px;
  flex-direction: column; width: 100%; overflow: hidden; padding: 4px; color: var(--input-text, #ddd); font: 12px/17px sans-serif; }
.mask-detailer-plan .sheet { flex: 1; min-height: 0; overflow: auto; scrollbar-width: thin; border-radius: 6px;
  background: var(--comfy-input-bg, #222); }
.mask-detailer-plan table { border-collapse: collapse; width: 100%; }
.mask-detailer-plan th { position: sticky; top: 0; background: var(--comfy-menu-bg, #333); font-weight: 600; }
.mask-detailer-plan th, .mask-detailer-plan td { padding: 4px 7px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, currentcolor 12%, transparent); }
.mask-detailer-plan .text { text-align: left; }
.mask-detailer-plan td.text { max-width: 140px; overflow: hidden; text-overflow: ellipsis; }
.mask-detailer-plan .skipped td { opacity: 0.65; }
.mask-detailer-plan td.why { max-width: none; white-space: normal; text-align: left; }
.mask-detailer-plan .empty { padding: 8px; opacity: 0.75; }
.mask-detailer-plan .send { display: flex; gap: 8px; align-items: center; }
.mask-detailer-plan button { flex: none; padding: 4px 12px; border-radius: 6px; cursor: pointer; font: inherit;
  color: inherit; border: 1px solid var(--border-color, #555); background: var(--comfy-input-bg, #333); }
.mask-detailer-plan button:hover, .mask-detailer-plan button:focus-visible { border-color: #4a9eff; }
.mask-detailer-plan .sent { overflow: hidden; text-overflow: ellipsis; display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 2; }
`;
const shown = new WeakMap(); // node: where its table stands
const planned = new WeakMap(); // node: the seed that its table is for, and what its widget said when that came

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const columns = () => [
  [text("plan_segment", "Part"), (row, several) => (several ? `${row.picture}.${row.segment}` : row.segment)],
  [text("plan_label", "Label"), (row) => row.label, "text"],
  [text("plan_size", "Sampled at"), (row) => row.working.join("\u00d7")],
  [text("plan_scale", "Enlarged"), (row) => `${row.scale.toFixed(2)}\u00d7`],
  [text("plan_crop", "Crop"), ({ crop: [x1, y1, x2, y2] }) => `${x2 - x1}\u00d7${y2 - y1}`],
  [text("plan_seed", "Seed"), (row) => row.seed],
  [text("plan_batch", "Batch"), (row) => row.batch],
  [text("plan_share", "Of the work"), (row) => `${(100 * row.share).toFixed(1)} %`],
];

function tableOf(rows) {
  const several = new Set(rows.map((row) => row.picture)).size > 1;
  const all = columns();
  const line = (row) => {
    const cells = all.map(([, value, kind = ""]) => [value(row, several), kind]);
    const made = element("tr");
    for (const [value, className] of row.skipped ? cells.slice(0, 2) : cells) {
      made.append(element("td", { className, textContent: value, title: className ? value : "" }));
    }
    if (row.skipped) {
      made.className = "skipped";
      const why = `${text("plan_skipped", "Left out:")} ${row.skipped}`;
      made.append(element("td", { className: "why", colSpan: all.length - 2, textContent: why }));
    }
    return made;
  };
  const head = element("tr", {}, ...all.map(([name, , kind = ""]) => element("th", { className: kind, textContent: name })));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows.map(line)));
}

const hint = (line) => element("div", { className: "empty", textContent: line });

const slotOf = (node, name) => node.inputs?.findIndex((input) => input.name === name) ?? -1;

function isLinked(node, name) {
  const slot = slotOf(node, name);
  return slot >= 0 && node.isInputConnected(slot);
}

/* The seed that the table shows, where the page alone has chosen another for the next run. */
function valueOf(plan, { name, value }) {
  const { seed, then } = planned.get(plan) ?? {};
  return name === "seed" && seed !== undefined && value === then ? seed : value;
}

/* A run that ComfyUI has in its cache is over before the page has chosen the next seed. */
function followSeed(plan) {
  const [seed, control] = [named(plan, "seed"), named(plan, "control_after_generate")];
  const { afterQueued } = control ?? {};
  if (!seed || !afterQueued) return;
  control.afterQueued = function (...args) {
    const [about, before] = [planned.get(plan), seed.value];
    const made = afterQueued.apply(this, args);
    if (about?.then === before) about.then = seed.value;
    return made;
  };
}

/* What both hold in a widget, and neither gets by a link; an empty text has nothing to say. */
function common(plan, node) {
  return (plan.widgets ?? []).filter(
    ({ name, value, options, serialize }) =>
      !OWN.has(name) && serialize !== false && options?.serialize !== false && value !== "" && typeof value !== "object" &&
      named(node, name) && typeof named(node, name).value === typeof value && !isLinked(plan, name) && !isLinked(node, name),
  );
}

/* How many inputs of the two come from the same place. */
function shared(plan, node) {
  return ["image", "mask", "segs", "basic_pipe"].filter((name) => {
    const [mine, its] = [plan, node].map((one) => (isLinked(one, name) ? one.getInputLink(slotOf(one, name)) : null));
    return mine && its && mine.origin_id === its.origin_id && mine.origin_slot === its.origin_slot;
  }).length;
}

/* The detailers that are meant: those selected, else the one that most is shared with, else the only one. */
function meant(plan, isDetailer) {
  const all = plan.graph.nodes.filter((node) => node !== plan && isDetailer(node));
  const selected = all.filter((node) => app.canvas.selectedItems?.has(node));
  if (selected.length) return selected;
  const most = Math.max(0, ...all.map((node) => shared(plan, node)));
  const nearest = most ? all.filter((node) => shared(plan, node) === most) : all;
  return nearest.length === 1 ? nearest : [];
}

function write(plan, node, written) {
  for (const one of common(plan, node)) {
    const [value, widget] = [valueOf(plan, one), named(node, one.name)];
    if (widget.value === value) continue;
    widget.value = value;
    widget.callback?.(value, app.canvas, node);
    written.add(widget.label ?? one.name);
  }
  node.setDirtyCanvas(true, true);
}

function send(plan, isDetailer) {
  const targets = meant(plan, isDetailer);
  if (!targets.length) return text("plan_which", "Select the detailer that is meant, then press again.");
  const written = new Set();
  asOneStep(() => targets.forEach((node) => write(plan, node, written)));
  const nodes = targets.map((node) => node.title).join(", ");
  if (!written.size) return text("plan_same", "%nodes% has these settings already.", { nodes });
  return text("plan_sent", "Sent to %nodes%: %names%", { nodes, names: [...written].join(", ") });
}

/* ``isDetailer`` says whether a node of the open graph is one that plans are for. */
export function addPlan(node, isDetailer) {
  const empty = text("plan_empty", "Run the workflow: what a detailer would do stands here then.");
  const table = element("div", { className: "sheet" }, hint(empty));
  const sent = element("span", { className: "sent" });
  sent.setAttribute("role", "status");
  const button = element("button", {
    type: "button",
    textContent: text("plan_send", "Send to the detailer"),
    title: text("plan_send_tooltip", "Writes these settings into the selected detailer, else the one with the same inputs."),
    onclick: () => {
      sent.textContent = sent.title = send(node, isDetailer);
    },
  });
  const all = element("div", { className: "mask-detailer-plan" }, table, element("div", { className: "send" }, button, sent));
  const around = element("div", {}, element("style", { textContent: STYLE }), all);
  const widget = addElement(node, "plan", TYPE, around, { getMinHeight: () => HEIGHT });
  node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])]);
  takePlace(node, widget); // marks it
  shown.set(node, table);
  followSeed(node);
  const { onConfigure } = node;
  node.onConfigure = function (...args) {
    onConfigure?.apply(this, args);
    setTimeout(() => {
      takePlace(node, widget);
      show(node, lastOutput(node));
    });
  };
}

function show(node, { rows } = {}) {
  if (!Array.isArray(rows)) return;
  const none = text("plan_none", "Nothing to detail: no segments, or a mask with nothing larger than drop_size.");
  shown.get(node)?.replaceChildren(rows.length ? tableOf(rows) : hint(none));
}

/* As high as what is on it needs: ComfyUI puts the picture below once it is there. */
function fitTo(node, [item]) {
  const image = new Image();
  image.onload = () => setTimeout(() => {
    node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
    node.graph?.setDirtyCanvas(true, true);
  }, SETTLED);
  if (item) image.src = api.apiURL(`/view?${new URLSearchParams(item)}`);
}

export function showPlans(nodeType) {
  const { onExecuted } = nodeType.prototype;
  nodeType.prototype.onExecuted = function (output, ...rest) {
    onExecuted?.call(this, output, ...rest);
    show(this, output);
    fitTo(this, output?.images ?? []);
    planned.set(this, { seed: output?.seed?.[0], then: named(this, "seed")?.value });
  };
}
