/* Bridges: ComfyUI's mask editor writes the painted file's name into the widget by itself. Workflows of 2023 have an
 * object there. */
import { named } from "./widgets.js";

export function readOldFiles(nodeType) {
  const { onConfigure } = nodeType.prototype;
  nodeType.prototype.onConfigure = function (...args) {
    onConfigure?.apply(this, args);
    const widget = named(this, "image");
    const file = widget?.value;
    if (!file || typeof file !== "object") return;
    const folder = file.subfolder ? `${file.subfolder}/` : "";
    widget.value = file.filename ? `${folder}${file.filename} [${file.type ?? "input"}]` : "";
  };
}
