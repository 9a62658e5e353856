/** A process for one cell, so that its heap is its own: `runCell` of the plan that it is sent. */
import { type CellPlan, runCell } from "./scale-cell.ts";

process.once("message", (plan: CellPlan) => {
  runCell(plan).then(
    (figures) => process.send?.({ figures }, () => process.disconnect()),
    (error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      process.send?.({ problem: text }, () => process.disconnect());
    },
  );
});
