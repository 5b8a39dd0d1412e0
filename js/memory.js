/* How much of its memory the server may use for what segments became. The server reads what was left here when it starts,
 * and is told of a change; a page that is only opened changes nothing. */
import { api } from "../../scripts/api.js";

const MOST = 1048576; // MiB
const DEFAULT = 1024;
let known; // what the server has, as far as it comes from here

const mib = (value) => Math.min(Math.max(Math.round(Number(value)) || 0, 0), MOST);

export const SETTING = {
  id: "MaskDetailer.Memory",
  category: ["Mask Detailer", "Memory", "Segments"],
  name: "Memory for finished segments, in MiB",
  tooltip:
    "What segments became is kept, so that one part again is not all parts again. 0 keeps nothing. It takes effect at " +
    "once, for everyone who uses this server, and holds after a restart. Where the server has the environment variable " +
    "MASK_DETAILER_MEMORY_MIB, that one holds and this does nothing.",
  type: "number",
  attrs: { min: 0, max: MOST, step: 256 },
  defaultValue: DEFAULT,
  onChange(value) {
    const before = known;
    known = mib(value ?? DEFAULT);
    if (before === undefined || before === known) return;
    api.fetchApi(`/mask_detailer/memory?${new URLSearchParams({ mib: known })}`).catch(() => (known = null));
  },
};
