/* The pack's own kinds of connection have colours, as ComfyUI's have: a wire of segments is told from a pipe at a glance.
 * A colour palette that names one of them goes before. */
import { app } from "../../scripts/app.js";

const COLOURS = {
  SEGS: "#3ecfbf",
  SEG_ELT: "#8ae6dc",
  SEGS_HEADER: "#7fb0aa",
  SEG_ELT_bbox: "#7fb0aa",
  SEG_ELT_crop_region: "#7fb0aa",
  SEG_ELT_control_net_wrapper: "#7fb0aa",
  SEGS_PREPROCESSOR: "#7fb0aa",
  BASIC_PIPE: "#d08b5b",
  DETAILER_PIPE: "#e0654a",
  IPADAPTER_PIPE: "#d08b5b",
  DETAIL_OPTIONS: "#9fb4ff",
  DETAILER_HOOK: "#d4e157",
  PK_HOOK: "#b9d46a",
  UPSCALER_HOOK: "#b9d46a",
  BBOX_DETECTOR: "#c76ee0",
  SEGM_DETECTOR: "#a05ce6",
  SAM_MODEL: "#7d6bf0",
  BBOX_MODEL: "#c76ee0",
  SEGM_MODEL: "#a05ce6",
  TRANSFORMERS_CLASSIFIER: "#a05ce6",
  UPSCALER: "#8fa9b8",
  KSAMPLER: "#b3c3cc",
  KSAMPLER_ADVANCED: "#b3c3cc",
  SCHEDULER_FUNC: "#b3c3cc",
  REGIONAL_PROMPTS: "#ffcf7d",
};

/* Each palette empties the colours of kinds that it doesn't know: what is empty is ours. */
function fill(colours) {
  for (const [kind, ours] of Object.entries(COLOURS)) {
    let chosen = colours[kind];
    Object.defineProperty(colours, kind, {
      get: () => chosen || ours,
      set: (colour) => (chosen = colour),
      enumerable: true,
      configurable: true,
    });
  }
}

export function colourLinks() {
  fill(app.canvas.default_connection_color_byType); // slots
  const { link_type_colors: links } = app.canvas.constructor;
  if (links) fill(links);
  const rules = Object.entries(COLOURS).map(([kind, colour]) => `--color-datatype-${kind}: ${colour};`);
  document.head.append(
    Object.assign(document.createElement("style"), { textContent: `:root { ${rules.join(" ")} }` }), // of Nodes 2.0
  );
}
