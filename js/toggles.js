/* The words on toggles in the language of the page: ComfyUI translates names and tooltips, not these. */
import { word } from "./texts.js";

export function translateToggles(node) {
  for (const { options } of node.widgets ?? []) {
    if (options?.on) options.on = word(options.on);
    if (options?.off) options.off = word(options.off);
  }
}
