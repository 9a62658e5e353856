/** What must not outlive this process, also when it is ended by a signal; SIGKILL leaves it. */
import type { ChildProcess } from "node:child_process";

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

const endings = new Set<() => void>();
let isWatching = false;

/** Runs `end` when this process exits, unless what it returns was called before. */
export function atEnd(end: () => void): () => void {
  if (!isWatching) {
    isWatching = true;
    process.on("exit", () => {
      for (const one of endings) one();
    });
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => process.exit(EXIT_CODES[signal]));
  }
  endings.add(end);
  return () => endings.delete(end);
}

/** Kills the child when this process exits. */
export function endWithUs(child: ChildProcess): void {
  const forget = atEnd(() => child.kill("SIGKILL"));
  child.once("exit", forget);
}
