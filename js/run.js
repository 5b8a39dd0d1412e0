/* What is known of a detailer's last run: its parts, as the server's events tell of them in their order. Strips and the
 * review show it. A page that was loaded late gets what it missed as one event, "state". */
import { text } from "./texts.js";

const MOST = 300; // parts with pictures; beyond that finished pictures make room, so that a long clip stays light
const NO_LABEL = "A"; // what segments made from a mask are called
const FINISHED = ["done", "kept", "skipped", "stopped"];

/* Whole numbers of any size as one reads them: "1-3, 7". */
export function listed(values) {
  const numbers = [...new Set(values)].map(BigInt).sort((a, b) => (a < b ? -1 : 1));
  const starts = numbers.filter((number, index) => numbers[index - 1] !== number - 1n);
  const ends = numbers.filter((number, index) => numbers[index + 1] !== number + 1n);
  return starts.map((first, index) => (first === ends[index] ? `${first}` : `${first}-${ends[index]}`)).join(", ");
}

/* "segment 2"; of a clip "track 2". */
export function nameOf({ number, frames }) {
  const numbers = `${number}`;
  if (frames) return text("live_track", "track %numbers%", { numbers });
  return text("live_segments_1", "segment %numbers%", { numbers });
}

const distinct = (values) => [...new Set(values.filter(Boolean))].join(", ");

/* What is to be said where nothing was found, and what to do; by the server's word for why. */
function ofNothing(why) {
  if (why === "black") {
    return [
      text("live_black", "nothing is painted in the mask"),
      text("live_black_do", "right-click the picture, Open in MaskEditor, and paint over the parts to detail"),
    ];
  }
  if (why === "small") {
    return [
      text("live_small", "every painted part is smaller than drop_size"),
      text("live_small_do", "lower drop_size, or paint larger parts"),
    ];
  }
  if (why === "unconnected") {
    return [text("live_no_mask", "no mask is connected"), text("live_no_mask_do", "connect a mask of the parts to detail")];
  }
  return [
    text("live_none", "no segments"),
    text("live_none_do", "the detector found nothing: lower its threshold, or paint a mask"),
  ];
}

export class Run {
  /* ``about``: which node of which workflow, and which prompt, as events have it. */
  constructor({ node, workflow, prompt_id } = {}) {
    Object.assign(this, { node, workflow, promptId: prompt_id, watchers: new Set() });
    this.restart();
  }

  restart(pictures = 1) {
    Object.assign(this, { pictures, parts: new Map(), gone: {}, lost: [], working: [], isOver: false, why: "" });
    this.say(text("live_looking", "looking for segments"));
  }

  say(main, more = "") {
    Object.assign(this, { main, more });
  }

  /* A watcher hears which parts changed, or that all did. */
  changed(parts = null) {
    for (const watcher of [...this.watchers]) watcher(parts);
  }

  part({ picture, number }) {
    const key = `${picture} ${number}`;
    if (!this.parts.has(key)) this.parts.set(key, { key, picture, number, state: "waiting", label: "" });
    return this.parts.get(key);
  }

  /* What events say of parts, each by its picture and number. */
  learn(segments, state) {
    return segments.map((facts) => {
      const part = this.part(facts);
      const { label } = facts;
      Object.assign(part, facts, state && { state });
      if (label !== undefined) part.label = label === NO_LABEL ? "" : (label ?? "");
      return part;
    });
  }

  take({ what, prompt_id, ...event }) {
    const isAnother = prompt_id !== undefined && prompt_id !== this.promptId;
    this.promptId = prompt_id ?? this.promptId;
    if (what === "state") return this.catchUp(event, isAnother);
    if (what === "started" || isAnother) this.restart(event.pictures);
    if (what === "started") return this.changed();
    const changed = this[`${what}_`]?.(event);
    return this.changed(isAnother ? null : changed);
  }

  planned_({ picture, segments, why = "" }) {
    const of = segments.length;
    segments.forEach((facts) => this.learn([{ picture, of, ...facts }], facts.skipped ? "skipped" : "waiting"));
    this.why ||= why;
    const isGoing = this.makeRoom();
    if (!this.working.length) this.say(...(segments.length ? [text("live_waiting", "waiting")] : ofNothing(this.why)));
    return isGoing ? null : segments.map((facts) => this.part({ picture, ...facts }));
  }

  begun_({ segments }) {
    this.working = this.learn(segments, "working");
    this.say(this.where(), this.facts());
    return this.working;
  }

  step_({ step, steps, segments }) {
    this.working = this.learn(segments, "working");
    const told = text("live_step", "step %step% of %steps%", { step, steps });
    this.say(this.where(), [told, this.facts()].filter(Boolean).join(" · "));
    return this.working;
  }

  done_({ segments }) {
    return this.learn(segments, "done");
  }

  kept_({ segments }) {
    return this.learn(segments, "kept");
  }

  candidates_({ segments }) {
    return this.learn(segments);
  }

  lost_({ keys }) {
    this.lost.push(...keys);
    return [];
  }

  ended_() {
    this.over("done");
    return null;
  }

  /* What this page was told since counts more: it is newer. */
  catchUp({ pictures, gone, lost, segments, ended, stopped, why = "" }, isAnother) {
    const told = isAnother || this.isOver ? [] : [...this.parts.values()].filter((part) => part.state !== "waiting");
    const [main, more, working] = [this.main, this.more, this.working.map(({ key }) => key)];
    this.restart(pictures);
    Object.assign(this, { gone: { ...gone }, lost: [...lost], why });
    for (const facts of segments) this.learn([facts], facts.state);
    for (const part of told) Object.assign(this.part(part), part);
    const all = [...this.parts.values()];
    this.working = all.filter(({ key, state }) => state === "working" || working.includes(key));
    if (ended) this.over("done");
    else if (stopped) this.stopped(text("live_interrupted", "interrupted"));
    else if (working.length) this.say(main, more);
    else if (this.working.length) this.say(this.where(), this.facts());
    else if (all.length) this.say(text("live_waiting", "waiting"));
    this.changed();
  }

  /* Whether some were forgotten. */
  makeRoom() {
    const before = this.parts.size;
    for (const [key, { picture, state }] of this.parts) {
      if (this.parts.size <= MOST || !this.isFinished(picture)) break;
      this.parts.delete(key);
      this.gone[state] = (this.gone[state] ?? 0) + 1;
    }
    return this.parts.size < before;
  }

  over(state) {
    for (const part of this.parts.values()) if (!FINISHED.includes(part.state)) part.state = state;
    this.isOver = true;
    const [done, kept, skipped] = ["done", "kept", "skipped"].map((which) => this.count(which));
    const total = this.total();
    const more = [
      kept && text("live_count_kept", "%kept% kept", { kept }),
      skipped && text("live_count_skipped", "%skipped% skipped", { skipped }),
      this.lost.length && text("live_lost", "no part where choice %keys% was made", { keys: this.lost.join(", ") }),
    ];
    if (total) {
      this.say(text("live_done", "%done% of %total% segments done", { done, total }), more.filter(Boolean).join(" · "));
    } else {
      this.say(...ofNothing(this.why));
    }
  }

  /* Interrupted, or an error: what isn't done won't be. */
  stopped(why) {
    if (this.isOver) return;
    const isWorking = this.working.some((part) => part.state === "working");
    const said = isWorking ? text("live_stopped", "%why% at %segments%", { why, segments: this.where() }) : why;
    this.over("stopped");
    this.say(said, text("live_count_done", "%done% done", { done: this.count("done") }));
    this.changed();
  }

  count(which) {
    return [...this.parts.values()].filter(({ state }) => state === which).length + (this.gone[which] ?? 0);
  }

  total() {
    return this.parts.size + Object.values(this.gone).reduce((sum, count) => sum + count, 0);
  }

  of(picture) {
    return [...this.parts.values()].filter((part) => part.picture === picture);
  }

  isFinished(picture) {
    return this.of(picture).every(({ state }) => FINISHED.includes(state));
  }

  /* Which of them are worked on: "segments 21-30 of 30, picture 1"; of a clip "track 2 of 3, span 1 of 4". */
  where(working = this.working) {
    const pictures = [...new Set(working.map(({ picture }) => picture))];
    const numbers = listed(working.map(({ number }) => number));
    let segments =
      working.length === 1 ? nameOf(working[0]) : text("live_segments", "segments %numbers%", { numbers });
    if (pictures.length === 1) {
      const total = working[0].of ?? this.of(pictures[0]).length;
      segments = text("live_total", "%segments% of %total%", { segments, total });
    }
    const { state, span, spans } = working.length === 1 ? working[0] : {};
    if (state === "working" && spans > 1) {
      segments = text("live_span", "%segments%, span %span% of %spans%", { segments, span, spans });
    }
    if (this.pictures === 1) return segments;
    const shown = listed(pictures.map((picture) => picture + 1));
    return text("live_pictures", "%segments%, picture %pictures%", { segments, pictures: shown });
  }

  facts(parts = this.working) {
    const seeds = listed(parts.map(({ seed }) => seed).filter((seed) => seed !== undefined));
    const sizes = distinct(parts.map(({ size }) => size));
    const frames = parts.length === 1 && parts[0].frames?.join("-");
    const facts = [frames && text("live_frames", "frames %frames%", { frames }), sizes];
    return [...facts, seeds && text("live_seed", "seed %seeds%", { seeds })].filter(Boolean).join(" · ");
  }
}
