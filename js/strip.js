/* What a detailer node shows of its segments: two lines of text, and a thumbnail for each, in the order of work. */
import { nameOf } from "./run.js";
import { text } from "./texts.js";

export const HEIGHT = 136; // pixels, always: a node that grew and shrank while it runs would be a nuisance

const STYLE = `
.mask-detailer-live { box-sizing: border-box; height: ${HEIGHT}px; padding: 4px 2px 0; overflow: hidden; display: flex;
  flex-direction: column; gap: 4px; color: var(--input-text, #ddd); font: 12px/16px sans-serif; }
.mask-detailer-live .line { flex: none; height: 32px; padding: 0 4px; font-variant-numeric: tabular-nums; }
.mask-detailer-live .line :is(b, span) { display: block; font-weight: normal; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.mask-detailer-live .line span { color: var(--descrip-text, #999); }
.mask-detailer-live .line span:empty::before { content: attr(data-hint); }
.mask-detailer-live:has(.segments:empty) .line { height: auto; }
.mask-detailer-live:has(.segments:empty) .line :is(b, span) { white-space: normal; }
.mask-detailer-live:has(.segments:empty) .line span { margin-top: 4px; }
.mask-detailer-live .segments { flex: 1; min-height: 0; display: flex; gap: 6px; overflow: auto hidden;
  scrollbar-width: thin; scrollbar-color: var(--border-color, #555) transparent; }
.mask-detailer-live .segment { flex: none; width: min-content; min-width: 48px; outline: none; cursor: pointer; }
.mask-detailer-live .pictures { position: relative; box-sizing: border-box; height: 72px; min-width: 48px; width:
  max-content; overflow: hidden; border: 2px solid transparent; border-radius: 5px; background:
  var(--comfy-input-bg, #222); }
.mask-detailer-live .pictures img { display: block; height: 68px; min-width: 44px; max-width: 140px; }
.mask-detailer-live .pictures img.after { position: absolute; inset: 0; width: 100%; max-width: none; }
.mask-detailer-live .pictures img:not([src]) { display: none; }
.mask-detailer-live .name { box-sizing: border-box; width: 0; min-width: 100%; padding: 1px 3px 0; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; color: var(--descrip-text, #999); font-size: 11px; line-height: 14px; }
.mask-detailer-live .picture { flex: none; writing-mode: vertical-rl; transform: rotate(180deg); height: 72px;
  text-align: center; padding-right: 3px; border-right: 1px solid var(--border-color, #555); font-size: 11px;
  line-height: 14px; color: var(--descrip-text, #999); overflow: hidden; }
.mask-detailer-live .segment:focus-visible .pictures { box-shadow: 0 0 0 2px var(--input-text, #ddd) inset; }
.mask-detailer-live [data-state="waiting"] img { opacity: 0.45; }
.mask-detailer-live [data-state="working"] .pictures { border-color: #4a9eff; }
.mask-detailer-live [data-state="working"] .name { color: var(--input-text, #ddd); }
.mask-detailer-live [data-state="done"] .pictures { border-color: #3f9b5f; }
.mask-detailer-live [data-state="kept"] .pictures { border-color: #b98a2f; }
.mask-detailer-live :is([data-state="skipped"], [data-state="stopped"]) .pictures { border: 2px dashed
  var(--border-color, #555); }
.mask-detailer-live :is([data-state="skipped"], [data-state="stopped"]) img { opacity: 0.35; filter: grayscale(1); }
.mask-detailer-live [data-state="done"] .compared img.after { clip-path: inset(0 0 0 var(--split)); }
.mask-detailer-live [data-state="done"] .compared::after { content: ""; position: absolute; inset: 0 auto 0
  var(--split); border-left: 1px solid #fff; box-shadow: -1px 0 1px #000; }
`;

export function element(tag, className, ...children) {
  const made = Object.assign(document.createElement(tag), { className });
  made.append(...children);
  return made;
}

export function addStyle(id, style) {
  if (document.getElementById(id)) return;
  document.head.append(Object.assign(element("style"), { id, textContent: style }));
}

/* The page takes the wheel for its canvas before any element hears of it: over a row with more than it shows, it scrolls. */
function scrollByWheel(event) {
  const row = event.target.closest?.(".mask-detailer-live .segments");
  if (!row || event.ctrlKey || event.metaKey || row.scrollWidth <= row.clientWidth) return;
  event.preventDefault();
  event.stopPropagation();
  row.scrollLeft += event.deltaX || event.deltaY;
}

/* A value that is there already isn't set: the page would work out its looks anew, ten times a second. */
export function put(values, target) {
  for (const [name, value] of Object.entries(values)) if (target[name] !== value) target[name] = value;
}

export const jpeg = (base64) => `data:image/jpeg;base64,${base64}`;

function show(image, base64) {
  if (!base64) image.removeAttribute("src");
  else if (image.src !== jpeg(base64)) image.src = jpeg(base64);
}

/* One segment's thumbnail. Over a finished one the pointer draws the line between before, left, and after, right. */
class Cell {
  constructor(part) {
    this.before = Object.assign(element("img", "before"), { alt: "", draggable: false });
    this.after = Object.assign(element("img", "after"), { alt: "", draggable: false });
    this.pictures = element("div", "pictures", this.before, this.after);
    this.name = element("div", "name");
    this.element = Object.assign(element("div", "segment", this.pictures, this.name), { role: "button", tabIndex: -1 });
    this.element.dataset.part = part.key;
    this.pictures.onpointermove = (event) => this.compare(event);
    this.pictures.onpointerleave = () => this.pictures.classList.remove("compared");
  }

  show(part, look) {
    const { number, label, size, seed, skipped, state, before, preview, after } = part;
    put({ state }, this.element.dataset);
    show(this.before, before);
    show(this.after, state === "working" ? (preview ?? after) : state === "kept" ? null : after);
    const words = { skipped: text("live_skipped", "skipped"), kept: text("live_kept", "kept") };
    put({ textContent: [number, label, words[state]].filter(Boolean).join(" ") }, this.name);
    const name = `${nameOf(part)} ${label}`;
    const work = size && text("live_work", "worked on at %size%, seed %seed%", { size, seed });
    const about = skipped ? `${words.skipped}: ${skipped}` : work;
    const hint = text("live_compare", "move over the picture: left of the line before, right of it after");
    const title = [name.trim(), about, state === "done" && hint, look].filter(Boolean).join("\n");
    put({ title, ariaLabel: [name.trim(), words[state] ?? about].filter(Boolean).join(", ") }, this.element);
  }

  compare({ clientX }) {
    const { left, width } = this.pictures.getBoundingClientRect();
    const share = Math.min(Math.max((clientX - left) / width, 0), 1);
    this.pictures.style.setProperty("--split", `${(100 * share).toFixed(1)}%`);
    this.pictures.classList.add("compared");
  }
}

/* A run as a node shows it; ``open`` is called with the part that is to be looked at, where one can choose too or not. */
export class Strip {
  constructor(run, open = () => {}, canChoose = true) {
    addStyle("mask-detailer-live-style", STYLE);
    window.addEventListener("wheel", scrollByWheel, { capture: true, passive: false }); // the same one is added once
    this.run = run;
    this.open = open;
    this.hint = canChoose
      ? text("live_look", "click to look closely and to choose")
      : text("live_look_only", "click to look closely");
    this.cells = new Map();
    this.main = element("b");
    this.more = element("span");
    this.row = Object.assign(element("div", "segments"), { role: "toolbar" });
    this.row.ariaLabel = text("live_parts", "segments");
    this.row.onclick = (event) => this.look(event.target);
    this.row.onkeydown = (event) => this.key(event);
    this.element = element("div", "mask-detailer-live", element("div", "line", this.main, this.more), this.row);
    this.watcher = (parts) => this.show(parts);
    run.watchers.add(this.watcher);
    this.show();
  }

  close() {
    this.run.watchers.delete(this.watcher);
  }

  /* ``parts`` that changed, or null for all. */
  show(parts = null) {
    const { run, main, more } = this;
    put({ textContent: run.main }, main);
    put({ textContent: run.more }, more);
    put({ hint: run.isOver && run.total() ? this.hint : "" }, more.dataset);
    put({ title: [run.main, run.more].filter(Boolean).join(" · ") }, this.element.firstChild);
    if (!parts) this.rebuild();
    for (const part of parts ?? run.parts.values()) this.cell(part).show(part, this.hint);
    const [begun] = (parts ?? []).filter(({ state }) => state === "working");
    if (begun && begun !== this.begun) this.scrollTo(begun);
    if (run.isOver && !parts) this.scrollTo(null);
    this.begun = begun ?? this.begun;
  }

  rebuild() {
    const { parts } = this.run;
    if ([...parts.keys()].join() === [...this.cells.keys()].join() && this.row.childElementCount) return;
    for (const key of this.cells.keys()) if (!parts.has(key)) this.cells.delete(key);
    const focused = this.row.contains(document.activeElement) && document.activeElement.dataset.part;
    const { scrollLeft } = this.row;
    this.row.replaceChildren();
    this.picture = -1;
    for (const part of parts.values()) this.place(part);
    if (focused) this.cells.get(focused)?.element.focus();
    this.row.scrollLeft = scrollLeft;
  }

  place(part) {
    if (!this.cells.has(part.key)) this.cells.set(part.key, new Cell(part));
    if (this.run.pictures > 1 && part.picture !== this.picture) {
      const name = text("live_picture", "picture %picture%", { picture: part.picture + 1 });
      this.row.append(Object.assign(element("div", "picture"), { textContent: name }));
    }
    this.picture = part.picture;
    const cell = this.cells.get(part.key);
    if (!this.row.querySelector('[tabindex="0"]')) cell.element.tabIndex = 0;
    this.row.append(cell.element);
    return cell;
  }

  cell(part) {
    return this.cells.get(part.key) ?? this.place(part);
  }

  /* To a part in the middle, or to the first; once the page is about to be laid out anyway. */
  scrollTo(part) {
    requestAnimationFrame(() => {
      const { row } = this;
      const cell = part && this.cells.get(part.key)?.element;
      row.scrollLeft = cell ? cell.offsetLeft - row.offsetLeft - (row.clientWidth - cell.offsetWidth) / 2 : 0;
    });
  }

  look(target) {
    const part = this.run.parts.get(target.closest?.(".segment")?.dataset.part);
    if (part) this.open(this.run, part);
  }

  /* One cell is reached by Tab, the others from it by the arrows. */
  key(event) {
    const cells = [...this.row.querySelectorAll(".segment")];
    const index = cells.indexOf(event.target.closest(".segment"));
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: cells.length - 1 }[event.key];
    if (event.key !== "Enter" && event.key !== " " && next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (next === undefined) return this.look(event.target);
    const cell = cells[Math.min(Math.max(next, 0), cells.length - 1)];
    for (const other of cells) other.tabIndex = other === cell ? 0 : -1;
    cell.focus();
  }
}
