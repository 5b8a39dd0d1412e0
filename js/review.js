/* The parts of a detailer's last run, looked at closely: before and after, zoomed to the pixel, one after another; and what
 * is to be otherwise with one of them: again, one of several, the old one, another text. */
import { api } from "../../scripts/api.js";
import { again, candidates, CANDIDATES, choiceOf, keep, nextSeed, pick, reset, say } from "./choices.js";
import { choose, isStale, placeOf, runAgain } from "./choosing.js";
import { STYLE } from "./review_style.js";
import { Stage } from "./stage.js";
import { addStyle, element, jpeg, put } from "./strip.js";
import { text } from "./texts.js";

let opened = null;

export function openReview(run, part) {
  opened?.close();
  opened = new Review(run, part);
}

/* The graph was loaded anew, by undo for one. */
export function reviewAgain() {
  opened?.show();
}

export function listenForReview() {
  api.addEventListener("execution_success", () => opened?.settled());
  api.addEventListener("execution_error", () => opened?.close()); // the page says why
}

function button(className, label, onclick, title = "") {
  return Object.assign(element("button", className, label), { type: "button", onclick, title });
}

class Review {
  constructor(run, part) {
    addStyle("mask-detailer-review-style", STYLE);
    Object.assign(this, { run, key: part.key, isBusy: false, waitsAfter: null, focused: document.activeElement });
    this.stage = new Stage((zoom) => (this.zoom.textContent = `${Math.round(100 * zoom)} %`));
    this.element = element("div", "mask-detailer-review", this.head(), this.body(), this.foot());
    Object.assign(this.element, { role: "dialog", tabIndex: -1, ariaLabel: text("review", "Review") });
    this.element.onkeydown = (event) => this.down(event);
    this.stray = (event) => this.element.contains(event.target) || this.down(event); // a button that went off lets go of it
    window.addEventListener("keydown", this.stray, true);
    this.element.onkeyup = (event) => event.key === " " && this.stage.hideAfter(false);
    for (const name of ["wheel", "pointerdown", "contextmenu"]) {
      this.element.addEventListener(name, (event) => event.stopPropagation()); // the page's canvas would take them
    }
    this.watcher = (parts) => this.heard(parts);
    run.watchers.add(this.watcher);
    this.others = [...document.body.children].filter((other) => !other.inert);
    for (const other of this.others) other.inert = true;
    document.body.append(this.element);
    this.element.focus();
    this.goTo(part);
  }

  close() {
    if (opened === this) opened = null;
    this.run.watchers.delete(this.watcher);
    window.removeEventListener("keydown", this.stray, true);
    for (const other of this.others) other.inert = false;
    this.element.remove();
    if (this.focused?.isConnected) this.focused.focus();
  }

  /* --- what it is made of --- */

  head() {
    this.title = element("strong");
    this.about = element("span", "about");
    this.zoom = element("output");
    const tools = [
      button("", text("review_fit", "Fit"), () => this.stage.fit(), "0"),
      button("", "1:1", () => this.stage.actual(), text("review_actual", "a pixel of the picture on a pixel of the screen")),
      button("", "−", () => this.stage.zoomBy(-1), text("review_smaller", "smaller")),
      this.zoom,
      button("", "+", () => this.stage.zoomBy(1), text("review_larger", "larger")),
    ];
    const close = button("close", "×", () => this.close(), text("review_close", "Close"));
    close.ariaLabel = text("review_close", "Close");
    this.tools = element("div", "tools", ...tools);
    return element("header", "", this.title, this.about, this.tools, close);
  }

  body() {
    const [left, right] = [button("go", "‹", () => this.go(-1)), button("go", "›", () => this.go(1))];
    left.ariaLabel = text("review_previous", "previous part");
    right.ariaLabel = text("review_next", "next part");
    this.grid = element("div", "grid");
    this.preview = Object.assign(new Image(), { alt: "" });
    this.said = element("span");
    this.badge = Object.assign(element("div", "badge", this.preview, this.said), { role: "status" });
    const middle = element("div", "middle", left, this.stage.element, this.grid, right, this.badge);
    return element("main", "", middle, this.panel());
  }

  panel() {
    const act = (change) => () => this.act(change(this.part));
    this.again = button("first", "", act(again));
    this.several = button("", "", act(candidates));
    this.old = button("", text("review_keep", "Keep the old one"), () => this.act(keep(!this.choice.keep)));
    this.words = Object.assign(element("textarea"), { rows: 3, spellcheck: false });
    this.words.placeholder = text("review_text_node", "as the node's prompt says");
    this.apply = button("", text("review_apply", "Apply text"), () => this.act(say(this.words.value)));
    this.rerun = button("first", text("review_run", "Run: the choices changed"), () => this.perform(() => runAgain(this.run)));
    this.none = button("plain", text("review_reset", "Remove what I chose"), act(reset));
    this.why = element("p", "why");
    const label = element("label", "", element("span", "", text("review_text", "Text for this part")), this.words);
    const keys = element("p", "keys", text("review_keys", "← → parts · wheel or + − zoom · hold space: before · Esc closes"));
    this.buttons = [this.again, this.several, this.old, this.words, this.apply, this.none];
    return element("aside", "", this.rerun, this.again, this.several, this.old, label, this.apply, this.none, this.why, keys);
  }

  foot() {
    this.film = element("footer");
    this.film.onclick = ({ target }) => {
      const part = this.run.parts.get(target.closest("button")?.dataset.part);
      if (part) this.goTo(part);
    };
    return this.film;
  }

  /* --- what it shows --- */

  get part() {
    return this.run.parts.get(this.key);
  }

  get choice() {
    return choiceOf(placeOf(this.run).choices ?? {}, this.part ?? {});
  }

  goTo(part) {
    this.key = part.key;
    this.large = { before: null, after: null };
    this.stage.forget();
    this.words.value = this.choice.text ?? "";
    this.show();
  }

  go(by) {
    const parts = [...this.run.parts.values()];
    const at = parts.findIndex(({ key }) => key === this.key);
    if (parts[at + by]) this.goTo(parts[at + by]);
  }

  /* The run goes on, or begins anew: what is looked at stays until there is another picture of it. */
  heard(parts) {
    if (!this.part) return this.run.isOver ? this.close() : this.status();
    const isNews = !parts || (parts.includes(this.part) && this.shown !== this.look);
    if (isNews) this.show();
    else this.status();
  }

  /* What of the part is shown beside how its run stands: a step changes none of it. */
  get look() {
    const { state, seed, size, candidates } = this.part;
    return [this.run.promptId, state, seed, size, candidates?.length].join();
  }

  show() {
    const { run, part } = this;
    if (!part) return;
    this.shown = this.look;
    this.title.textContent = run.where([part]);
    const { choice } = this;
    const state = { kept: text("live_kept", "kept"), skipped: part.skipped }[part.state];
    this.about.textContent = [part.label, state, run.facts([part])].filter(Boolean).join(" · ");
    this.showPictures(part);
    this.showChoice(part, choice);
    this.status();
    this.showFilm();
  }

  showPictures(part) {
    const isMade = part.state === "done" || part.state === "kept";
    const version = `${this.run.promptId} ${part.state}`; // of what is to be looked at
    if (isMade && this.large.version !== version) this.load(part, version);
    const [before, after] = [this.large.before ?? jpegOf(part.before), this.large.after ?? jpegOf(part.after)];
    this.stage.show(before, part.state === "kept" ? null : after);
    this.stage.describe(text("review_before", "before"), text("review_after", "after"));
    const several = isMade && part.candidates?.length ? part.candidates : [];
    this.grid.hidden = !several.length;
    this.stage.element.hidden = this.tools.hidden = Boolean(several.length);
    if (several.length) this.showCandidates(part, several);
  }

  /* The crop itself; where the server has it no more, the thumbnail has to do. */
  load(part, version) {
    const { large } = this;
    large.version = version;
    for (const which of part.state === "kept" ? ["before"] : ["after", "before"]) {
      const image = new Image();
      image.onload = () => {
        if (this.large !== large || large.version !== version) return;
        large[which] = image.src;
        this.showPictures(this.part ?? part);
      };
      image.src = this.addressOf(part, which, version);
    }
  }

  addressOf({ picture, number }, which, version, seed) {
    const { node, workflow } = this.run;
    const query = { client: api.clientId, node, picture, number, which, v: version };
    if (workflow) query.workflow = workflow;
    if (seed) query.seed = seed;
    return api.apiURL(`/mask_detailer/review?${new URLSearchParams(query)}`);
  }

  showCandidates(part, several) {
    const version = this.run.promptId;
    if (this.grid.dataset.version === `${version} ${part.key}`) return;
    this.grid.dataset.version = `${version} ${part.key}`;
    const hint = element("p", "", text("review_pick", "click one, or press its number"));
    const pictures = several.map(({ seed, shown, pasted, points }, index) => {
      const image = Object.assign(new Image(), { alt: "", draggable: false, src: jpeg(shown) });
      const large = Object.assign(new Image(), { src: this.addressOf(part, "candidate", version, seed) });
      large.onload = () => (image.src = large.src);
      const one = button("candidate", "", () => this.act(pick(seed)));
      const seeds = text("live_seed", "seed %seeds%", { seeds: seed });
      const isIn = (pasted ?? !index) && text("review_in", "in the picture");
      const faults = points !== undefined && text("review_faults", "faults %points%", { points });
      const words = [seeds, faults, isIn].filter(Boolean).join(" · ");
      one.append(image, element("span", "", element("b", "", `${index + 1}`), ` ${words}`));
      return one;
    });
    this.grid.replaceChildren(hint, element("div", "pictures", ...pictures));
  }

  showChoice(part, choice) {
    const { why } = placeOf(this.run);
    this.why.textContent = why ?? "";
    const seed = String(nextSeed(part, choice));
    label(this.again, text("review_again", "Again"), text("review_next_seed", "with seed %seed%", { seed }));
    const count = { count: CANDIDATES };
    const several = part.candidates?.length
      ? text("review_others", "%count% other candidates", count)
      : text("review_candidates", "%count% candidates", count);
    label(this.several, several, text("review_candidates_do", "side by side, to pick one"));
    this.several.hidden = Boolean(part.frames); // of a clip's parts there are none
    this.old.ariaPressed = String(Boolean(choice.keep));
    const isSkipped = part.state === "skipped";
    this.rerun.hidden = Boolean(why) || this.isBusy || !isStale(this.run);
    for (const one of this.buttons) one.disabled = Boolean(why) || isSkipped;
    this.none.disabled ||= !Object.keys(choice).length;
  }

  /* How the run stands, where that is not what is shown anyway. */
  status() {
    const { run, part } = this;
    const isWaited = this.isBusy || this.isQueued || (!run.isOver && !["done", "kept", "skipped"].includes(part?.state));
    this.badge.hidden = !isWaited && part?.state !== "stopped";
    const preview = part?.state === "working" && part.preview;
    this.preview.hidden = !preview;
    if (preview) put({ src: jpeg(preview) }, this.preview);
    const words = this.isQueued ? text("review_queued", "queued") : [run.main, run.more].filter(Boolean).join(" · ");
    put({ textContent: words }, this.said);
  }

  showFilm() {
    const parts = [...this.run.parts.values()];
    const keys = parts.map(({ key }) => key).join();
    if (this.film.dataset.keys !== keys) this.film.replaceChildren(...parts.map((part) => this.frame(part)));
    for (const [index, part] of parts.entries()) {
      const one = this.film.children[index];
      const picture = (part.state !== "kept" && part.after) || part.before;
      if (picture) put({ src: jpeg(picture) }, one.firstChild);
      put({ state: part.state }, one.dataset);
      put({ ariaCurrent: part.key === this.key ? "true" : null }, one);
    }
    if (this.film.dataset.keys === keys && this.film.dataset.at === this.key) return;
    Object.assign(this.film.dataset, { keys, at: this.key });
    this.film.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  frame({ key, picture, number }) {
    const one = button("", "", null, "");
    const image = Object.assign(new Image(), { alt: "", draggable: false });
    one.replaceChildren(image, element("span", "", this.run.pictures > 1 ? `${picture + 1}.${number}` : `${number}`));
    one.dataset.part = key;
    one.tabIndex = -1;
    return one;
  }

  /* --- what is done --- */

  act(change) {
    if (!this.again.disabled && this.part) this.perform(() => choose(this.run, this.part, change));
  }

  async perform(queue) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.waitsAfter = this.run.promptId;
    this.show();
    const isQueued = await queue().catch((error) => console.error(error));
    this.isBusy = false;
    if (!isQueued) return this.close(); // the page says why
    this.show();
  }

  /* A prompt is through: where nothing had to be done, the run is the one that was. */
  settled() {
    this.waitsAfter = null;
    this.show();
  }

  get isQueued() {
    return this.waitsAfter === this.run.promptId;
  }

  down(event) {
    event.stopPropagation(); // the page has keys of its own
    const isText = event.target.matches("textarea");
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "Tab") return this.tab(event);
    if (event.key === "Escape") return this.close();
    if (isText && event.key === "Enter" && !isPlain) return this.apply.click();
    if (!isPlain || isText) return;
    const isButton = event.target.matches("button");
    if (isButton && (event.key === " " || event.key === "Enter")) return;
    const act = this.keys(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  }

  keys(key) {
    const candidate = this.grid.hidden ? null : this.grid.querySelectorAll(".candidate")[Number(key) - 1];
    if (candidate) return () => candidate.click();
    return {
      ArrowLeft: () => this.go(-1),
      ArrowRight: () => this.go(1),
      "+": () => this.stage.zoomBy(1),
      "=": () => this.stage.zoomBy(1),
      "-": () => this.stage.zoomBy(-1),
      0: () => this.stage.fit(),
      1: () => this.stage.actual(),
      " ": () => this.stage.hideAfter(true),
    }[key];
  }

  /* Tab stays within. */
  tab(event) {
    const all = [...this.element.querySelectorAll("button, textarea, [tabindex='0']")];
    const reached = all.filter((one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility());
    const [first, last] = [reached[0], reached.at(-1)];
    const isOutside = !reached.includes(document.activeElement);
    const next = event.shiftKey ? first : last;
    if (document.activeElement !== next && !isOutside) return;
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}

const jpegOf = (base64) => (base64 ? jpeg(base64) : null);

function label(one, name, about) {
  one.replaceChildren(element("b", "", name), element("small", "", about));
}
