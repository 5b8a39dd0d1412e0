/* Segments chosen by their pictures: a button on the picker node opens a dialog with a thumbnail for each. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { idsOf, openWorkflow } from "./nodes.js";
import { text } from "./texts.js";

const STYLE = `
.mask-detailer-picker { background: var(--comfy-menu-bg, #202020); color: var(--input-text, #ddd); border: 1px solid
  var(--border-color, #444); border-radius: 8px; padding: 16px; max-width: 80vw; font-family: sans-serif; }
.mask-detailer-picker::backdrop { background: rgb(0 0 0 / 50%); }
.mask-detailer-picker .segments { display: flex; flex-wrap: wrap; gap: 8px; max-height: 60vh; overflow: auto;
  margin: 12px 0; }
.mask-detailer-picker .segment { background: none; border: 2px solid transparent; border-radius: 6px; padding: 4px;
  color: inherit; cursor: pointer; }
.mask-detailer-picker .segment[aria-pressed="true"] { border-color: #4a9eff; }
.mask-detailer-picker img { display: block; height: 128px; min-width: 48px; max-width: 256px; object-fit: contain; }
.mask-detailer-picker .buttons { display: flex; justify-content: flex-end; gap: 8px; }
.mask-detailer-picker .buttons button { padding: 6px 16px; border-radius: 6px; border: 1px solid var(--border-color,
  #444); background: var(--comfy-input-bg, #333); color: inherit; cursor: pointer; }
`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/* Another workflow may have a picker of the same id. */
const route = (what, query) => `/mask_detailer/picker/${what}?${new URLSearchParams({ ...query, ...openWorkflow() })}`;

function numbers(text, count) {
  const found = text.split(",").map((part) => part.trim()).filter((part) => /^\d+$/.test(part)).map(Number);
  return new Set(found.filter((number) => number >= 1 && number <= count));
}

function thumbnail(id, number, picked) {
  const image = element("img", { src: api.apiURL(route("view", { id, idx: number - 1, rand: Date.now() })), alt: "" });
  const button = element("button", { className: "segment", type: "button" }, image, String(number));
  button.ariaPressed = String(picked.has(number));
  button.onclick = () => {
    if (!picked.delete(number)) picked.add(number);
    button.ariaPressed = String(picked.has(number));
  };
  return button;
}

/* The id under which the node last ran, and how many segments it had. */
async function lastRun(node) {
  for (const id of idsOf(node)) {
    const answer = await api.fetchApi(route("count", { id }));
    if (answer.ok) return [id, Number(await answer.text())];
  }
  return [null, 0];
}

async function openPicker(node, picks) {
  const [id, count] = await lastRun(node);
  const picked = numbers(picks.value, count);
  const segments = element("div", { className: "segments" });
  for (let number = 1; number <= count; number++) segments.append(thumbnail(id, number, picked));
  if (!count) {
    segments.append(text("picker_empty", "Run the workflow once: its segments appear here then."));
  }

  const dialog = element("dialog", { className: "mask-detailer-picker" }, element("style", { textContent: STYLE }));
  const cancel = element("button", { type: "button", textContent: text("cancel", "Cancel"), onclick: () => dialog.close() });
  const ok = element("button", {
    type: "button",
    textContent: text("ok", "OK"),
    disabled: !count,
    onclick: () => {
      picks.value = [...picked].sort((a, b) => a - b).join(", ");
      app.graph.setDirtyCanvas(true, true);
      dialog.close();
    },
  });
  const title = element("strong", { textContent: text("picker_title", "Pick segments") });
  dialog.append(title, segments, element("div", { className: "buttons" }, cancel, ok));
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

export function addPicker(node) {
  const picks = node.widgets?.find((widget) => widget.name === "picks");
  if (!picks) return;
  const button = node.addWidget("button", "pick", null, () => openPicker(node, picks));
  button.label = text("picker_button", "pick");
  button.serialize = false; // saved workflows have no place for it
  button.options.serialize = false;
}
