/** Processes that must not outlive this one, also when it is ended by a signal. */
import type { ChildProcess } from "node:child_process";

const running = new Set<ChildProcess>();
let isWatching = false;

/** Kills the child when this process exits. */
export function endWithUs(child: ChildProcess): void {
  if (!isWatching) {
    isWatching = true;
    process.on("exit", () => {
      for (const one of running) one.kill("SIGKILL");
    });
  }
  running.add(child);
  child.once("exit", () => running.delete(child));
}
