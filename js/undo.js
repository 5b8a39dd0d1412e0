/* Steps to undo, as the page keeps them. */
import { app } from "../../scripts/app.js";

/* The page takes a step to undo where something changed since the last one. */
export function takeStep() {
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  const name = tracker?.captureCanvasState ? "captureCanvasState" : "checkState"; // what older pages call it
  tracker?.[name]?.();
}

/* Carry a change out, so that undo takes back that and nothing else. */
export function asOneStep(change) {
  takeStep();
  change();
  takeStep();
}
