/* Segments chosen by their pictures: a button on the picker node opens a dialog with a thumbnail for each. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { captionOf } from "./captions.js";
import { idsOf, openWorkflow } from "./nodes.js";
import { text } from "./texts.js";
import { asOneStep } from "./undo.js";

const STYLE = `
.mask-detailer-picker { background: var(--comfy-menu-bg, #202020); color: var(--input-text, #ddd); border: 1px solid
  var(--border-color, #444); border-radius: 8px; padding: 16px; min-width: 360px; max-width: 80vw;
  font: 14px/20px sans-serif; }
.mask-detailer-picker::backdrop { background: rgb(0 0 0 / 50%); }
.mask-detailer-picker .segments { display: flex; flex-wrap: wrap; gap: 8px; max-height: 60vh; overflow: auto;
  margin: 12px 0; padding: 2px; scrollbar-width: thin; }
.mask-detailer-picker .segment { background: none; border: 2px solid transparent; border-radius: 6px; padding: 4px;
  color: inherit; cursor: pointer; font: 12px/18px sans-serif; opacity: 0.6; }
.mask-detailer-picker .segment:hover { opacity: 0.85; }
.mask-detailer-picker .segment[aria-pressed="true"] { border-color: #4a9eff; opacity: 1; }
.mask-detailer-picker .segment:focus-visible { outline: 2px solid #fff; outline-offset: 1px; }
.mask-detailer-picker img { display: block; height: 128px; min-width: 48px; max-width: 256px; margin: auto;
  object-fit: contain; }
.mask-detailer-picker .caption { display: block; width: 0; min-width: 100%; overflow: hidden; white-space: nowrap;
  text-overflow: ellipsis; }
.mask-detailer-picker .bar { display: flex; gap: 8px; align-items: center; }
.mask-detailer-picker .bar .space { flex: 1; }
.mask-detailer-picker .bar button { padding: 6px 14px; border-radius: 6px; border: 1px solid var(--border-color, #444);
  background: var(--comfy-input-bg, #333); color: inherit; cursor: pointer; font: inherit; }
.mask-detailer-picker .bar button:disabled { opacity: 0.5; cursor: default; }
.mask-detailer-picker .bar button:focus-visible { outline: 2px solid #4a9eff; }
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

/* The id under which the node last ran, and the segments it had. */
async function lastRun(node) {
  for (const id of idsOf(node)) {
    const answer = await api.fetchApi(route("segments", { id }));
    const segments = answer.ok ? (await answer.json()).segments : null;
    if (segments) return [id, segments];
  }
  return [null, []];
}

function thumbnail(id, part, toggle) {
  const { number } = part;
  const src = api.apiURL(route("view", { id, idx: number - 1, rand: Date.now() }));
  const caption = captionOf(part);
  const name = element("span", { className: "caption", textContent: caption });
  const onclick = () => toggle(number);
  return element("button", { className: "segment", type: "button", title: caption, onclick }, element("img", { src, alt: "" }), name);
}

/* The neighbour that an arrow key leads to: the next one, or the one above or below. */
function neighbour(all, from, key) {
  const at = all.indexOf(from);
  if (key === "ArrowLeft" || key === "ArrowRight") return all[at + (key === "ArrowRight" ? 1 : -1)];
  if (key === "Home" || key === "End") return all.at(key === "Home" ? 0 : -1);
  const down = key === "ArrowDown";
  const beyond = all.filter((one) => (down ? one.offsetTop > from.offsetTop : one.offsetTop < from.offsetTop));
  const row = down ? beyond[0]?.offsetTop : beyond.at(-1)?.offsetTop;
  const away = (one) => Math.abs(one.offsetLeft - from.offsetLeft);
  return beyond.filter((one) => one.offsetTop === row).sort((a, b) => away(a) - away(b))[0];
}

const KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);

function onKey(event, dialog, accept) {
  event.stopPropagation(); // else the page deletes nodes, or undoes
  if (event.key === "Escape") dialog.close();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) accept();
  if (!KEYS.has(event.key)) return;
  const all = [...dialog.querySelectorAll(".segment")];
  const from = all.includes(document.activeElement) ? document.activeElement : null;
  (from ? neighbour(all, from, event.key) : all[0])?.focus();
  event.preventDefault();
}

function isOutside({ clientX, clientY }, dialog) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}

function write(picks, picked, node) {
  asOneStep(() => {
    picks.value = [...picked].sort((a, b) => a - b).join(", ");
    picks.callback?.(picks.value, app.canvas, node);
  });
  app.canvas.setDirty(true, true);
}

async function openPicker(node, picks) {
  const [id, found] = await lastRun(node);
  const picked = numbers(String(picks.value ?? ""), found.length);
  const segments = element("div", { className: "segments" });
  const dialog = element("dialog", { className: "mask-detailer-picker" }, element("style", { textContent: STYLE }));
  const count = element("span", { className: "space" });
  const look = () => {
    for (const [index, one] of [...segments.querySelectorAll(".segment")].entries()) {
      one.ariaPressed = String(picked.has(index + 1));
    }
    count.textContent = text("picker_count", "%picked% of %all%", { picked: picked.size, all: found.length });
  };
  const turn = (wanted) => {
    for (let number = 1; number <= found.length; number++) {
      if (wanted(number)) picked.add(number);
      else picked.delete(number);
    }
    look();
  };
  const accept = () => {
    write(picks, picked, node);
    dialog.close();
  };
  segments.append(...found.map((one, index) => {
    return thumbnail(id, { ...one, number: index + 1 }, (number) => turn((other) => (other === number) !== picked.has(other)));
  }));
  if (!found.length) segments.append(text("picker_empty", "Run the workflow once: its segments appear here then."));

  const button = (textContent, onclick, disabled = !found.length) => {
    return element("button", { type: "button", textContent, onclick, disabled });
  };
  const all = button(text("picker_all", "All"), () => turn(() => true));
  const none = button(text("picker_none", "None"), () => turn(() => false));
  const invert = button(text("picker_invert", "Invert"), () => turn((number) => !picked.has(number)));
  const cancel = button(text("cancel", "Cancel"), () => dialog.close(), false);
  const ok = button(text("ok", "OK"), accept);
  const title = element("strong", { textContent: text("picker_title", "Pick segments") });
  dialog.append(title, segments, element("div", { className: "bar" }, all, none, invert, count, cancel, ok));
  dialog.ariaLabel = title.textContent;
  dialog.onclose = () => dialog.remove();
  dialog.onkeydown = (event) => onKey(event, dialog, accept);
  dialog.onpointerdown = (event) => isOutside(event, dialog) && dialog.close();
  look();
  document.body.append(dialog);
  dialog.showModal();
  segments.querySelector(".segment")?.focus({ focusVisible: false });
}

export function addPicker(node) {
  const picks = node.widgets?.find((widget) => widget.name === "picks");
  if (!picks) return;
  const button = node.addWidget("button", "pick", null, () => openPicker(node, picks));
  button.label = text("picker_button", "pick");
  button.serialize = false; // saved workflows have no place for it
  button.options.serialize = false;
}
