/** Asks the threads of a daemon for their memory; `memory-probe.ts` answers in them. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { eventually } from "./timeout.ts";

const ANSWER_LIMIT_MS = 60_000;

export interface ProbeRequest {
  readonly id: number;
  /** After a full collection. */
  readonly isCollected: boolean;
}

/** What V8 tells of one thread. `external` has `arrayBuffers` in it, the heap has neither. */
export interface ThreadMemory {
  readonly thread: string;
  readonly heapUsedMib: number;
  readonly heapTotalMib: number;
  readonly externalMib: number;
  readonly arrayBuffersMib: number;
  /** CPU time that the thread has taken. */
  readonly cpuMs: number;
}

export class MemoryReports {
  readonly #folder: string;
  #asked = 0;

  /** `folder` is made; the answers lie there for a moment. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** What the daemon has to be started with. */
  get nodeOptions(): { readonly args: readonly string[]; readonly env: Record<string, string> } {
    const probe = pathToFileURL(join(import.meta.dirname, "memory-probe.ts"));
    return { args: [`--import=${probe.href}`], env: { MEMORY_PROBE: this.#folder } };
  }

  /** The memory of every thread, in order of their start. */
  async ask(pid: number, isCollected: boolean): Promise<readonly ThreadMemory[]> {
    const request: ProbeRequest = { id: ++this.#asked, isCollected };
    writeFileSync(join(this.#folder, "request"), JSON.stringify(request));
    process.kill(pid, "SIGUSR2");
    const file = join(this.#folder, `answers-${request.id}`);
    const answers = await eventually("every thread tells its memory", ANSWER_LIMIT_MS, () => {
      const told = existsSync(file) ? linesOf<ThreadMemory>(file) : [];
      const names = new Set(told.map(({ thread }) => thread));
      return this.#threads().every((thread) => names.has(thread)) && told;
    });
    rmSync(file);
    const threads = this.#threads();
    return answers.toSorted((a, b) => threads.indexOf(a.thread) - threads.indexOf(b.thread));
  }

  #threads(): string[] {
    const alive = new Set<string>();
    for (const { thread, isAlive } of linesOf<{ thread: string; isAlive: boolean }>(
      join(this.#folder, "threads"),
    )) {
      if (isAlive) alive.add(thread);
      else alive.delete(thread);
    }
    return [...alive];
  }
}

/** Whole lines only: another process is writing. */
const linesOf = <T>(file: string): T[] =>
  readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
