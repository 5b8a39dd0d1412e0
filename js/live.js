/* While a detailer runs its node shows a strip of its segments, and so does the node of the subgraph that it is in. Nodes
 * have none until they run, and workflows are saved without it. What ran is remembered by workflow and node, since undo
 * and another tab make all nodes anew. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { mount } from "./mount.js";
import { idsAround, isOpen, nodeAt, openWorkflow } from "./nodes.js";
import { listenForReview, openReview, reviewAgain } from "./review.js";
import { Run } from "./run.js";
import { HEIGHT, Strip } from "./strip.js";
import { text } from "./texts.js";
import { TOUCH_UP } from "./touch_up.js";
import { teller } from "./wish.js";

const MOST_RUNS = 64;
const runs = new Map(); // workflow and node: the last run; the last ones come last
const shown = new Map(); // node: its strip, and how it was put there
const followed = new WeakSet(); // nodes whose removal is heard of
const asked = new Set(); // workflows of which the server was asked what ran before this page was loaded
let wanted = true;
let tell = () => {};

const keyOf = ({ workflow, node }) => `${workflow ?? ""} ${node}`;

function followRemoval(node) {
  if (followed.has(node)) return;
  followed.add(node);
  const { onRemoved } = node;
  node.onRemoved = function (...args) {
    onRemoved?.apply(this, args);
    const { strip, unmount } = shown.get(this) ?? {};
    strip?.close();
    unmount?.(true);
    shown.delete(this);
  };
}

function addStrip(node, run) {
  const strip = new Strip(run, openReview, nodeAt(run.node)?.comfyClass !== TOUCH_UP);
  followRemoval(node);
  shown.set(node, { strip, unmount: mount(node, strip.element, HEIGHT) });
}

function removeStrip(node) {
  const { strip, unmount } = shown.get(node);
  shown.delete(node);
  strip.close();
  unmount(false);
}

/* On its node where that shows segments, and on the nodes of the subgraphs around it. */
function show(run) {
  if (!wanted || !isOpen(run.workflow)) return;
  if (!nodeAt(run.node)?.showsSegments) return;
  for (const node of [run.node, ...idsAround(run.node)].map(nodeAt)) {
    const there = shown.get(node)?.strip.run;
    if (there === run) continue;
    if (there) removeStrip(node);
    addStrip(node, run);
  }
}

function runOf(event) {
  const key = keyOf(event);
  if (!runs.has(key)) runs.set(key, new Run(event));
  const run = runs.get(key);
  runs.delete(key);
  runs.set(key, run);
  while (runs.size > MOST_RUNS) runs.delete(runs.keys().next().value);
  return run;
}

function take({ detail }) {
  if (!wanted) return;
  const run = runOf(detail);
  run.take(detail);
  show(run);
}

function stop(why, { detail }) {
  for (const run of runs.values()) if (run.promptId === detail?.prompt_id) run.stopped(why);
}

/* What this browser's prompts of the open workflow did before the page was loaded. */
async function catchUp() {
  const { workflow } = openWorkflow();
  if (!wanted || !api.clientId || !workflow || asked.has(workflow)) return;
  asked.add(workflow);
  const query = new URLSearchParams({ client: api.clientId, workflow });
  const answer = await api.fetchApi(`/mask_detailer/review/state?${query}`).catch(() => null);
  if (!answer?.ok) return;
  for (const event of (await answer.json()).events) {
    if (event.workflow === workflow) take({ detail: event });
  }
}

/* The nodes are new ones. */
export function showAgain() {
  const { workflow } = openWorkflow();
  for (const run of runs.values()) if (workflow && run.workflow === workflow) show(run);
  reviewAgain();
  catchUp();
}

export const SETTING = {
  id: "MaskDetailer.Live",
  category: ["Mask Detailer", "Live", "Segments"],
  name: "Show the segments on a detailer's node while it runs",
  tooltip:
    "Thumbnails of what is worked on, with the latent preview and before and after. " +
    "When this is off, the server makes and sends none.",
  type: "boolean",
  defaultValue: true,
  onChange(value) {
    wanted = value !== false;
    if (!wanted) {
      [...shown.keys()].forEach(removeStrip);
      runs.clear();
    }
    tell();
  },
};

export function listen() {
  api.addEventListener("mask_detailer.live", take);
  api.addEventListener("execution_interrupted", (event) => stop(text("live_interrupted", "interrupted"), event));
  api.addEventListener("execution_error", (event) => stop(text("live_error", "stopped by an error"), event));
  api.addEventListener("status", catchUp); // comes once there is a client id
  listenForReview();
  tell = teller("live", () => wanted); // the server makes nothing for a browser that has not asked for it
  tell();
}

/* Nodes of this type show strips. */
export function showSegments(nodeType) {
  nodeType.prototype.showsSegments = true;
}
