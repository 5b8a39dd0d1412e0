/* Nodes by the ids that the server runs them under: inside a subgraph the ids of the nodes around it come first, "12:5". */
import { app } from "../../scripts/app.js";

const rootGraph = () => app.rootGraph ?? app.graph;

/* Another workflow may have a node of the same id, and be the one that is open. Without an id any is taken for it. */
export function isOpen(workflow) {
  const { id } = rootGraph();
  return !workflow || !id || workflow === id;
}

/* The open workflow's id as a query, empty where it has none. */
export function openWorkflow() {
  const { id } = rootGraph();
  return id ? { workflow: id } : {};
}

/* The node that runs under this id, whichever graph is open; null where there is none. */
export function nodeAt(id) {
  let graph = rootGraph();
  let node = null;
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById(Number(part)) ?? graph?.getNodeById(part) ?? null;
    graph = node?.subgraph;
  }
  return node;
}

/* The ids of the subgraph nodes that a node is in, by its own id: of "12:5:7" "12:5" and "12". */
export function idsAround(id) {
  const parts = String(id).split(":");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join(":")).reverse();
}

/* What a node showed last, as its `onExecuted` was told it; ComfyUI keeps it over an undo. */
export function lastOutput(node) {
  const id = node.graph === rootGraph() ? node.id : `${node.graph?.id}:${node.id}`;
  return app.nodeOutputs?.[id];
}

/* All nodes of the open workflow, those in subgraphs too, each once. */
export function* everyNode(graph = rootGraph(), seen = new Set()) {
  if (seen.has(graph)) return;
  seen.add(graph);
  for (const node of graph.nodes) {
    yield node;
    if (node.subgraph) yield* everyNode(node.subgraph, seen);
  }
}

/* The ids that a node runs under: one, or several where its subgraph is used several times. */
export function idsOf(node, graph = rootGraph(), before = "") {
  if (graph === node.graph) return [`${before}${node.id}`];
  const around = graph.nodes.filter((other) => other.subgraph);
  return around.flatMap((other) => idsOf(node, other.subgraph, `${before}${other.id}:`));
}
