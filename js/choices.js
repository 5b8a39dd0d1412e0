/* The text of a detailer's `choices`: what is to be otherwise with single parts. Read and written here, and nothing else:
 * a JSON object by a part's number ("3", in a batch "2.3" for the second picture's third) with its seed, text, keep and so
 * on, and with the box where the part was when it was chosen, which counts more than the number. */

const SEEDS = 2n ** 64n;
const LEAST_OVERLAP = 0.3; // of two boxes that are the same part's, intersection over union
export const CANDIDATES = 4; // how many are made at once

/* The choices of a text; null where it is no such text. */
export function read(text) {
  if (!text?.trim()) return {};
  try {
    const choices = JSON.parse(text);
    const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);
    return isObject(choices) && Object.values(choices).every(isObject) ? choices : null;
  } catch {
    return null;
  }
}

export const write = (choices) => (Object.keys(choices).length ? JSON.stringify(choices) : "");

/* Where a part stands in them; ``pictures`` is how many the run has. */
export function keyOf({ picture, number }, pictures) {
  return pictures === 1 ? `${number}` : `${picture + 1}.${number}`;
}

function overlap([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) {
  const common = Math.max(Math.min(ax2, bx2) - Math.max(ax1, bx1), 0) * Math.max(Math.min(ay2, by2) - Math.max(ay1, by1), 0);
  return common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common || 1);
}

/* How well a choice fits a part: 0 where it is another's. */
function fit(key, { box }, part) {
  const [number, picture] = key.split(".").reverse().map(Number);
  if (picture && picture !== part.picture + 1) return 0;
  if (!box || !part.box) return number === part.number ? 1 : 0;
  const share = overlap(box, part.box);
  return share >= LEAST_OVERLAP ? share + (number === part.number ? 1e-6 : 0) : 0;
}

/* The key of the choice that is a part's; undefined where it has none. The more exact counts more, then the later. */
function foundKey(choices, part) {
  let [best, found] = [[0, 0], undefined];
  for (const [key, choice] of Object.entries(choices)) {
    const fits = [key.includes(".") ? 1 : 0, fit(key, choice, part)];
    if (!fits[1] || fits[0] < best[0] || (fits[0] === best[0] && fits[1] < best[1])) continue;
    [best, found] = [fits, key];
  }
  return found;
}

/* What is chosen for a part: an object, empty where nothing is. */
export function choiceOf(choices, part) {
  return choices[foundKey(choices, part)] ?? {};
}

/* The choices with that of one part changed: ``change`` gives the new one from the old one, empty for none. All choices
 * whose part is known come under the number that it has now. */
export function changed(choices, part, change, { parts, pictures }) {
  const key = keyOf(part, pictures);
  const own = foundKey(choices, part);
  const moved = {};
  for (const [old, choice] of Object.entries(choices)) {
    if (old === own && old.includes(".") === key.includes(".")) continue;
    const its = parts.find((other) => other !== part && foundKey(choices, other) === old);
    const now = its && old.includes(".") === key.includes(".") ? keyOf(its, pictures) : old;
    moved[now in moved || now === key ? old : now] = choice;
  }
  const made = change(choices[own] ?? {});
  if (Object.keys(made).length) moved[key] = part.box ? { ...made, box: part.box } : made;
  else delete moved[own];
  return moved;
}

/* A seed as a number where it is one exactly, else as its digits. */
export function asSeed(seed) {
  const number = Number(seed);
  return Number.isSafeInteger(number) ? number : String(seed);
}

/* The seed that many after one that is given as digits. */
export function seedAfter(seed, count = 1) {
  return asSeed((BigInt(seed) + BigInt(count)) % SEEDS);
}

/* --- what the review's buttons make of a choice ------------------------------------------------------------------ */

function without(choice, ...names) {
  return Object.fromEntries(Object.entries(choice).filter(([name]) => !names.includes(name)));
}

/* The seed that a part has, or would have if the old one weren't kept. */
const seedOf = (part, choice) => (part.state === "kept" && choice.seed) || part.seed || choice.seed || 0;

/* The seed that "again" takes. */
export function nextSeed(part, choice) {
  return seedAfter(part.candidates?.length ? part.candidates.at(-1).seed : seedOf(part, choice));
}

export const again = (part) => (choice) => ({
  ...without(choice, "keep", "skip", "candidates"),
  seed: nextSeed(part, choice),
});

/* The part as it is and those after it; once there are candidates, those after them. */
export const candidates = (part) => (choice) => ({
  ...without(choice, "keep", "skip"),
  seed: part.candidates?.length ? nextSeed(part, choice) : asSeed(seedOf(part, choice)),
  candidates: CANDIDATES,
});

export const pick = (seed) => (choice) => ({ ...without(choice, "keep", "skip", "candidates"), seed: asSeed(seed) });

/* ``keep`` stands beside what else was chosen: taken back, that holds again. */
export const keep = (isKept) => (choice) => {
  const other = without(choice, "keep", "candidates");
  if (isKept) return { ...other, keep: true };
  return Object.keys(without(other, "box")).length ? other : {};
};

export const say = (words) => (choice) => {
  const other = without(choice, "text", "keep", "skip", "candidates");
  if (words.trim()) return { ...other, text: words };
  return Object.keys(without(other, "box")).length ? other : {};
};

export const reset = () => () => ({});
