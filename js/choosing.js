/* A choice is made: it is written into the node, as one step to undo, and the workflow is queued. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { changed, read, write } from "./choices.js";
import { everyNode, nodeAt } from "./nodes.js";
import { text } from "./texts.js";
import { TOUCH_UP } from "./touch_up.js";
import { takeStep } from "./undo.js";
import { named } from "./widgets.js";

const FIXED = "fixed";
const OWN_CONTROLS = { seed_2nd: "seed_2nd_mode" };

/* Where the choices of a run's node stand, and what stands there; or why none can be made. */
export function placeOf(run) {
  const node = nodeAt(run.node);
  const widget = named(node, "choices");
  if (node?.comfyClass === TOUCH_UP) {
    return { why: text("review_one_step", "a step is done once: for another try undo it (Ctrl+Z), and run with another seed") };
  }
  if (!widget) return { why: text("review_no_choices", "this node takes no choices") };
  const slot = node.inputs?.findIndex((input) => input.name === "choices") ?? -1;
  if (slot >= 0 && node.isInputConnected(slot)) {
    return { why: text("review_linked", "choices comes from a connection: disconnect it to choose here") };
  }
  const choices = read(widget.value);
  if (!choices) return { why: text("review_unreadable", "what is written in choices can't be read: mend or empty it") };
  return { node, widget, choices };
}

/* Asked for where a widget moves on by itself: what it held in the run that is looked at. */
async function promptOf(promptId) {
  if ([...everyNode()].every((node) => movingOf(node).next().done)) return {};
  const history = await (await api.fetchApi(`/history/${encodeURIComponent(promptId)}`)).json();
  if (history[promptId]) return history[promptId].prompt[2];
  const { queue_running: running } = await (await api.fetchApi("/queue")).json();
  return running.find(([, id]) => id === promptId)?.[2] ?? {};
}

/* Which widgets move on by themselves each time they are queued: they, and what says how. */
function* movingOf(node) {
  for (const widget of node?.widgets ?? []) {
    const linked = widget.linkedWidgets?.find((one) => Array.isArray(one.options?.values) && one.options.values.includes(FIXED));
    const control = linked ?? named(node, OWN_CONTROLS[widget.name]);
    if (control && control.value !== FIXED) yield [widget, control];
  }
}

/* Seeds that move on with each queueing would make every part anew: they go back to what they were in the run that is
 * looked at, and stay. */
function hold(prompt) {
  for (const [id, { inputs }] of Object.entries(prompt)) {
    const node = nodeAt(id);
    for (const [widget, control] of movingOf(node)) {
      const before = inputs?.[widget.name];
      if (typeof before !== typeof widget.value) continue;
      set(node, widget, before);
      set(node, control, FIXED);
    }
  }
}

function set(node, widget, value) {
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
}

/* Make a choice for a part: ``change`` gives the new one from the old one. Whether it could be queued. */
export async function choose(run, part, change) {
  const prompt = await promptOf(run.promptId).catch(() => ({}));
  const { node, widget, choices } = placeOf(run);
  if (!widget) return false;
  const { pictures, parts } = run;
  takeStep();
  run.chosen = write(changed(choices, part, change, { pictures, parts: [...parts.values()] }));
  set(node, widget, run.chosen);
  hold(prompt);
  node.graph?.setDirtyCanvas(true, true);
  takeStep();
  return queue();
}

const queue = async () => (await app.queuePrompt(0, 1)) !== false;

/* Whether the choices are others than those the last run was made with, as after undo. */
export function isStale(run) {
  const { widget } = placeOf(run);
  run.chosen ??= widget?.value;
  return Boolean(widget) && widget.value !== run.chosen;
}

export function runAgain(run) {
  run.chosen = placeOf(run).widget.value;
  return queue();
}
