/* Widgets that write into others, elements on nodes, and toggles of old workflows. */

export const named = (node, name) => node.widgets?.find((widget) => widget.name === name);

/* Choosing in one widget adds the choice to the text in another. Where the choice doesn't stay, the widget goes back to
 * its first entry, and that is what a workflow saves. */
export function appendChoice(node, choiceName, textName, { separator = "", written = (value) => value, stays = true }) {
  const choice = named(node, choiceName);
  const text = named(node, textName);
  if (!choice || !text) return;
  const [first] = choice.options?.values ?? [];
  const callback = choice.callback;
  choice.callback = function (value, ...rest) {
    callback?.call(this, value, ...rest);
    if (!stays && value === first) return;
    text.value = (text.value ? text.value + separator : "") + written(value);
    if (!stays) choice.value = first;
  };
  if (stays) return;
  choice.serializeValue = () => first;
  const configured = node.onConfigure;
  node.onConfigure = function (...args) {
    configured?.apply(this, args);
    choice.value = first;
  };
}

/* A seed that goes on by itself after each queueing, as another widget of its node says. */
export function stepSeed(node, seedName, modeName) {
  const seed = named(node, seedName);
  const mode = named(node, modeName);
  if (!seed || !mode) return;
  const largest = 2 ** 50; // what numbers of the browser still hold exactly, and as large as the server's sums get
  const next = {
    increment: (value) => (value >= largest ? 0 : value + 1),
    decrement: (value) => (value <= 0 ? largest : value - 1),
    randomize: () => Math.floor(Math.random() * largest),
  };
  const queued = seed.afterQueued;
  seed.afterQueued = function (...args) {
    queued?.apply(this, args);
    if (Object.hasOwn(next, mode.value)) seed.value = next[mode.value](seed.value);
  };
}

/* An element of the page as a node's last widget, which neither a prompt nor a saved workflow knows of. */
export function addElement(node, name, type, element, options) {
  const widget = node.addDOMWidget(name, type, element, { serialize: false, ...options }); // not in a prompt
  widget.serialize = false; // nor in a saved workflow
  if (options.getMaxHeight) leaveAsHigh(widget);
  return widget;
}

/* Nodes 2.0 share out what room a node has left among the widgets that say how high they are, whatever they say. */
function leaveAsHigh(widget) {
  const { computeLayoutSize } = widget;
  Object.defineProperty(widget, "computeLayoutSize", {
    configurable: true,
    get: () => (window.LiteGraph.vueNodesMode ? undefined : computeLayoutSize),
  });
}

const ROOM = 80; // pixels: of a node at the least

/* Nodes 2.0 hide what few turn, and make a node as high as what it shows; ComfyUI gives new ones room for all. */
export function leaveNoRoom(node) {
  const hidden = node.widgets?.filter((widget) => widget.options?.advanced).length ?? 0;
  if (!window.LiteGraph?.vueNodesMode || !hidden) return;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(height - hidden * (window.LiteGraph.NODE_WIDGET_HEIGHT + 4), ROOM)]);
}

/* Nodes 2.0 go on showing the element of a node that an undo made anew: the new one takes its place. */
export function takePlace(node, widget) {
  const { element, type } = widget;
  element.dataset.widget = type;
  if (element.isConnected) return;
  document.querySelector(`[data-node-id="${node.id}"] [data-widget="${type}"]`)?.replaceWith(element);
}

/* Workflows of years ago hold some toggles as text: "true" or the label that the toggle shows when it is on. */
export function readOldToggles(nodeType, nodeData) {
  const { required, optional } = nodeData.input ?? {};
  const toggles = Object.entries({ ...required, ...optional }).filter(([, [type]]) => type === "BOOLEAN");
  if (!toggles.length) return;
  const labels = new Map(toggles.map(([name, [, options]]) => [name, options?.label_on]));
  const configured = nodeType.prototype.onConfigure;
  nodeType.prototype.onConfigure = function (...args) {
    configured?.apply(this, args);
    for (const widget of this.widgets ?? []) {
      if (labels.has(widget.name) && typeof widget.value === "string") {
        widget.value = widget.value === "true" || widget.value === labels.get(widget.name);
      }
    }
  };
}
