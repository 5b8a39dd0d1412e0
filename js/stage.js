/* Two pictures of the same place over each other, before left of a line and after right of it; zoomed and moved together. */
import { element } from "./strip.js";
import { text } from "./texts.js";

const STEP = 1.25; // of one notch of the wheel, or one press of a key
const [LEAST, MOST] = [1 / 16, 64]; // device pixels for a pixel of the picture
const SHARP = 3; // from so many on pixels are shown as squares, unless the picture fills the stage
const MARGIN = 24; // pixels around a picture that fits
const ENOUGH = 8; // device pixels for a pixel: a smaller picture isn't blown up to fill the stage

const within = (value, least, most) => Math.min(Math.max(value, least), most);

export class Stage {
  /* ``zoomed`` is told how large the picture is shown, 1 for its own size. */
  constructor(zoomed = () => {}) {
    Object.assign(this, { zoomed, zoom: 1, x: 0, y: 0, split: 0.5, size: null, fits: true, hides: false });
    this.room = { width: 0, height: 0 }; // asking for it would lay out the page each time something is drawn
    this.before = Object.assign(element("img", "before"), { draggable: false });
    this.after = Object.assign(element("img", "after"), { draggable: false });
    this.world = element("div", "world", this.before, this.after);
    this.line = Object.assign(element("div", "split", element("span")), { tabIndex: 0, role: "slider" });
    this.line.ariaLabel = text("review_split", "line between before and after");
    this.names = [
      element("span", "name left", text("review_before", "before")),
      element("span", "name right", text("review_after", "after")),
    ];
    this.element = element("div", "stage", this.world, this.line, ...this.names);
    for (const image of [this.before, this.after]) image.onload = () => this.loaded(image);
    this.element.onwheel = (event) => this.wheel(event);
    this.element.onpointerdown = (event) => this.grab(event);
    this.element.ondblclick = () => (this.fits ? this.actual() : this.fit());
    this.line.onkeydown = (event) => this.key(event);
    new ResizeObserver(([{ contentRect }]) => this.resized(contentRect)).observe(this.element);
  }

  /* ``after`` may be null where there is none yet. What is shown stays until the new one is there. */
  show(before, after) {
    const isPair = Boolean(before && after);
    if (before && this.before.src !== before) this.before.src = before;
    if (after && this.after.src !== after) this.after.src = after;
    this.after.hidden = !after;
    this.element.dataset.pair = isPair;
    this.draw();
  }

  describe(before, after) {
    [this.before.alt, this.after.alt] = [before, after];
  }

  loaded({ naturalWidth: width, naturalHeight: height }) {
    const isLarger = width > (this.size?.width ?? 0);
    const isSameShape = this.size && Math.abs(width / height - this.size.width / this.size.height) < 0.05;
    if (isSameShape && !isLarger) return this.draw(); // a thumbnail, or the other of the two
    const scale = isSameShape ? this.size.width / width : 1;
    this.size = { width, height };
    if (this.fits || !isSameShape) this.fit();
    else this.zoomTo(this.zoom * scale);
  }

  /* Another part comes: its size is not that of the one before. */
  forget() {
    this.size = null;
  }

  fit() {
    const { width, height } = this.room;
    this.fits = true;
    if (!this.size || !width) return; // resized tells when there is room
    const filling = Math.min((width - MARGIN) / this.size.width, (height - MARGIN) / this.size.height);
    this.zoom = Math.min(filling, ENOUGH / devicePixelRatio);
    this.x = (width - this.zoom * this.size.width) / 2;
    this.y = (height - this.zoom * this.size.height) / 2;
    this.draw();
  }

  /* A pixel of the picture on a pixel of the screen. */
  actual() {
    this.zoomTo(1 / devicePixelRatio);
  }

  zoomBy(notches, at) {
    this.zoomTo(this.zoom * STEP ** notches, at);
  }

  /* The point of the stage that stays where it is: its middle, unless ``at`` says another. */
  zoomTo(zoom, at = { x: this.room.width / 2, y: this.room.height / 2 }) {
    const next = within(zoom, LEAST / devicePixelRatio, MOST / devicePixelRatio);
    this.x = at.x - ((at.x - this.x) * next) / this.zoom;
    this.y = at.y - ((at.y - this.y) * next) / this.zoom;
    Object.assign(this, { zoom: next, fits: false });
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    event.stopPropagation();
    const { left, top } = this.element.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    this.zoomBy((-event.deltaY * lines) / 100, { x: event.clientX - left, y: event.clientY - top });
  }

  grab(event) {
    if (event.button > 1) return;
    event.preventDefault();
    const isLine = this.line.contains(event.target);
    const { left, width } = this.element.getBoundingClientRect();
    if (isLine) this.line.focus();
    this.element.setPointerCapture(event.pointerId);
    this.element.classList.add("grabbed");
    this.element.onpointermove = (moved) => {
      if (isLine) return this.splitAt((moved.clientX - left) / width);
      this.x += moved.movementX;
      this.y += moved.movementY;
      this.fits = false;
      this.draw();
    };
    this.element.onpointerup = this.element.onpointercancel = () => {
      this.element.onpointermove = null;
      this.element.classList.remove("grabbed");
    };
  }

  key(event) {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.splitAt(this.split + by);
  }

  splitAt(share) {
    this.split = within(share, 0, 1);
    this.draw();
  }

  /* Only before, as long as it lasts. */
  hideAfter(hides) {
    this.hides = hides;
    this.draw();
  }

  resized({ width, height }) {
    this.room = { width, height };
    if (this.fits) this.fit();
    else this.draw();
  }

  draw() {
    if (!this.size) return;
    const { width, height } = this.size;
    const at = this.split * this.room.width;
    const cut = this.element.dataset.pair === "true" ? within((at - this.x) / this.zoom, 0, width) : 0;
    Object.assign(this.world.style, {
      width: `${width}px`,
      height: `${height}px`,
      transform: `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`,
    });
    this.after.style.clipPath = this.hides ? "inset(0 0 0 100%)" : `inset(0 0 0 ${cut}px)`;
    this.line.style.left = `${at}px`;
    this.line.ariaValueNow = String(Math.round(100 * this.split));
    this.element.dataset.sharp = !this.fits && this.zoom * devicePixelRatio >= SHARP;
    this.element.dataset.hides = this.hides;
    this.zoomed(this.zoom * devicePixelRatio);
  }
}
