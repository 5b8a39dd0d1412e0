/* What a detailer node shows of its segments while it works: a line of text, and a thumbnail for each. */
import { text } from "./texts.js";

export const HEIGHT = 122; // pixels, always: a node that grew and shrank while it runs would be a nuisance
const MOST = 60; // thumbnails; beyond that finished pictures make room, so that a long clip stays light
const NO_LABEL = "A"; // what segments made from a mask are called

const STYLE = `
.mask-detailer-live { box-sizing: border-box; height: ${HEIGHT}px; padding: 4px 2px 0; overflow: hidden; display: flex;
  flex-direction: column; gap: 6px; color: var(--input-text, #ddd); font: 12px/16px sans-serif; }
.mask-detailer-live .line { flex: none; padding: 0 4px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
.mask-detailer-live .line b { font-weight: 600; }
.mask-detailer-live .line span { color: var(--descrip-text, #999); margin-left: 8px; }
.mask-detailer-live .segments { flex: 1; min-height: 0; display: flex; gap: 6px; overflow: auto hidden;
  scrollbar-width: thin; scrollbar-color: var(--border-color, #555) transparent; }
.mask-detailer-live .segment { flex: none; width: min-content; min-width: 48px; }
.mask-detailer-live .pictures { position: relative; box-sizing: border-box; height: 72px; min-width: 48px; width:
  max-content; overflow: hidden; border: 2px solid transparent; border-radius: 5px; background:
  var(--comfy-input-bg, #222); }
.mask-detailer-live .pictures img { display: block; height: 68px; min-width: 44px; max-width: 140px; }
.mask-detailer-live .pictures img.after { position: absolute; inset: 0; width: 100%; max-width: none; }
.mask-detailer-live .pictures img:not([src]) { display: none; }
.mask-detailer-live .name { box-sizing: border-box; width: 0; min-width: 100%; padding: 1px 3px 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  color: var(--descrip-text, #999); font-size: 11px; line-height: 14px; }
.mask-detailer-live [data-state="waiting"] img { opacity: 0.45; }
.mask-detailer-live [data-state="working"] .pictures { border-color: #4a9eff; }
.mask-detailer-live [data-state="working"] .name { color: var(--input-text, #ddd); }
.mask-detailer-live [data-state="done"] .pictures { border-color: #3f9b5f; }
.mask-detailer-live :is([data-state="skipped"], [data-state="stopped"]) .pictures { border: 2px dashed
  var(--border-color, #555); }
.mask-detailer-live :is([data-state="skipped"], [data-state="stopped"]) img { opacity: 0.35; filter: grayscale(1); }
.mask-detailer-live [data-state="done"] .pictures.compared { cursor: ew-resize; }
.mask-detailer-live [data-state="done"] .compared img.after { clip-path: inset(0 0 0 var(--split)); }
.mask-detailer-live [data-state="done"] .compared::after { content: ""; position: absolute; inset: 0 auto 0
  var(--split); border-left: 1px solid #fff; box-shadow: -1px 0 1px #000; }
`;

function element(tag, className, ...children) {
  const made = Object.assign(document.createElement(tag), { className });
  made.append(...children);
  return made;
}

function addStyle() {
  if (document.getElementById("mask-detailer-live-style")) return;
  document.head.append(Object.assign(element("style"), { id: "mask-detailer-live-style", textContent: STYLE }));
}

const listed = (values) => [...new Set(values)].join(", ");

/* One segment's thumbnail. Over a finished one the pointer draws the line between before, left, and after, right. */
class Cell {
  constructor(picture, number) {
    Object.assign(this, { picture, number, label: "", size: "", seed: "", skipped: null });
    this.before = Object.assign(element("img", "before"), { alt: "", draggable: false });
    this.after = Object.assign(element("img", "after"), { alt: "", draggable: false });
    this.pictures = element("div", "pictures", this.before, this.after);
    this.name = element("div", "name");
    this.element = element("div", "segment", this.pictures, this.name);
    this.pictures.onpointermove = (event) => this.compare(event);
    this.pictures.onpointerleave = () => this.pictures.classList.remove("compared");
    this.state = "waiting";
  }

  get state() {
    return this.element.dataset.state;
  }

  set state(state) {
    this.element.dataset.state = state;
    const skipped = text("live_skipped", "skipped");
    this.name.textContent = [this.number, this.label, state === "skipped" && skipped].filter(Boolean).join(" ");
    const name = `${text("live_segments_1", "segment %numbers%", { numbers: this.number })} ${this.label}`;
    const work = this.size && text("live_work", "worked on at %size%, seed %seed%", this);
    const about = this.skipped ? `${skipped}: ${this.skipped}` : work;
    const hint = text("live_compare", "move over the picture: left of the line before, right of it after");
    this.element.title = [name.trim(), about, state === "done" && hint].filter(Boolean).join("\n");
  }

  get isOver() {
    return this.state !== "waiting" && this.state !== "working";
  }

  take({ label, size, seed, skipped, before, preview, after }, state = this.state) {
    this.label = label === NO_LABEL ? "" : (label ?? this.label);
    this.size = size ?? this.size;
    this.seed = seed ?? this.seed;
    this.skipped = skipped ?? this.skipped;
    if (before) this.before.src = `data:image/jpeg;base64,${before}`;
    if (preview ?? after) this.after.src = `data:image/jpeg;base64,${preview ?? after}`;
    this.state = state;
  }

  compare({ clientX }) {
    const { left, width } = this.pictures.getBoundingClientRect();
    const share = Math.min(Math.max((clientX - left) / width, 0), 1);
    this.pictures.style.setProperty("--split", `${(100 * share).toFixed(1)}%`);
    this.pictures.classList.add("compared");
  }
}

/* The whole of it, for one run of a node. What it is told are the server's events, in their order; those that were
 * missed (the page was loaded late) are done without. */
export class Strip {
  constructor(promptId) {
    addStyle();
    this.promptId = promptId;
    this.main = element("b");
    this.more = element("span");
    this.row = element("div", "segments");
    this.element = element("div", "mask-detailer-live", element("div", "line", this.main, this.more), this.row);
    this.restart();
  }

  restart(pictures = 1) {
    this.pictures = pictures;
    this.isOver = false;
    this.cells = new Map();
    this.row.replaceChildren();
    this.say(text("live_looking", "looking for segments"));
  }

  say(main, more = "") {
    this.main.textContent = main;
    this.more.textContent = more;
  }

  cell({ picture, number }) {
    const key = `${picture} ${number}`;
    if (!this.cells.has(key)) {
      const cell = new Cell(picture, number);
      this.cells.set(key, cell);
      this.row.append(cell.element);
    }
    return this.cells.get(key);
  }

  take({ what, ...event }) {
    if (what === "started") this.restart(event.pictures);
    else if (what === "planned") this.planned(event);
    else if (what === "begun") this.begun(event);
    else if (what === "step") this.step(event);
    else if (what === "done") event.segments.forEach((segment) => this.cell(segment).take(segment, "done"));
    else if (what === "ended") this.over("done");
  }

  planned({ picture, segments }) {
    for (const segment of segments) {
      this.cell({ picture, ...segment }).take(segment, segment.skipped ? "skipped" : "waiting");
    }
    for (const [key, cell] of this.cells) {
      if (this.cells.size <= MOST || !this.isFinished(cell.picture)) break;
      cell.element.remove();
      this.cells.delete(key);
    }
    this.say(segments.length ? text("live_waiting", "waiting") : text("live_none", "no segments"));
  }

  begun({ segments }) {
    segments.forEach((segment) => this.cell(segment).take(segment, "working"));
    this.working = segments.map((segment) => this.cell(segment));
    this.say(this.where(), this.facts());
    const { element } = this.working[0];
    this.row.scrollLeft = element.offsetLeft - this.row.offsetLeft - (this.row.clientWidth - element.offsetWidth) / 2;
  }

  step({ step, steps, segments }) {
    segments.forEach((segment) => this.cell(segment).take(segment, "working"));
    this.say(this.where(), `${text("live_step", "step %step% of %steps%", { step, steps })} · ${this.facts()}`);
  }

  over(state) {
    for (const cell of this.cells.values()) if (!cell.isOver) cell.state = state;
    this.isOver = true;
    this.row.scrollLeft = 0;
    const [done, skipped, total] = [this.count("done"), this.count("skipped"), this.cells.size];
    this.say(
      total ? text("live_done", "%done% of %total% segments done", { done, total }) : text("live_none", "no segments"),
      skipped ? text("live_count_skipped", "%skipped% skipped", { skipped }) : "",
    );
  }

  /* Interrupted, or an error: what isn't done won't be. */
  stopped(why) {
    if (this.isOver) return;
    const isWorking = this.working?.some((cell) => cell.state === "working");
    const said = isWorking ? text("live_stopped", "%why% at %segments%", { why, segments: this.where() }) : why;
    this.over("stopped");
    this.say(said, text("live_count_done", "%done% done", { done: this.count("done") }));
  }

  count(state) {
    return [...this.cells.values()].filter((cell) => cell.state === state).length;
  }

  of(picture) {
    return [...this.cells.values()].filter((cell) => cell.picture === picture);
  }

  isFinished(picture) {
    return this.of(picture).every((cell) => cell.isOver);
  }

  where() {
    const pictures = [...new Set(this.working.map((cell) => cell.picture))];
    const numbers = listed(this.working.map((cell) => cell.number));
    const isOne = this.working.length === 1;
    let segments = isOne
      ? text("live_segments_1", "segment %numbers%", { numbers })
      : text("live_segments", "segments %numbers%", { numbers });
    if (pictures.length === 1) {
      segments = text("live_total", "%segments% of %total%", { segments, total: this.of(pictures[0]).length });
    }
    if (this.pictures === 1) return segments;
    return text("live_pictures", "%segments% of picture %pictures%", {
      segments,
      pictures: pictures.map((picture) => picture + 1).join(", "),
    });
  }

  facts() {
    const seeds = listed(this.working.map((cell) => cell.seed));
    const sizes = listed(this.working.map((cell) => cell.size));
    return `${sizes} · ${text("live_seed", "seed %seeds%", { seeds })}`;
  }
}
