/** A client that writes through one board all the time: when its writes are answered. */
import { setTimeout as pause } from "node:timers/promises";
import { NbdClient } from "../../test/helpers/nbd-client.ts";

const BLOCK_BYTES = 4096;
const PAUSE_MS = 5;
const RETRY_MS = 50;
const ATTACH_MS = 2000;
/** A write that waits for longer is held; a busy machine's answer comes before. Choice. */
const HELD_MS = 500;

/** From the ask to the answer, on performance.now's clock. */
export interface Answered {
  readonly askedAt: number;
  readonly at: number;
}

export class WriteFlow {
  readonly answers: Answered[] = [];
  readonly #place: () => number;
  readonly #socket: string;
  readonly #export: string;
  #isStopped = false;
  #errors = 0;
  readonly #running: Promise<void>;

  /** `place`: where the next write goes; of nobody else. */
  constructor(socket: string, exportName: string, place: () => number) {
    this.#socket = socket;
    this.#export = exportName;
    this.#place = place;
    this.#running = this.#run();
  }

  get bytes(): number {
    return this.answers.length * BLOCK_BYTES;
  }

  /** Writes that the board answered with an error, and connections that ended. */
  get errors(): number {
    return this.#errors;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** The longest wait of a write that was asked for before `until` and answered after `since`. */
  longestHold(since: number, until: number): number {
    return Math.max(0, ...this.#between(since, until).map(({ askedAt, at }) => at - askedAt));
  }

  /** When writes flow: the last answer of those that were held, or the first one at all. */
  flowingAt(since: number, until: number): number {
    const answers = this.#between(since, until);
    const held = answers.findLast(({ askedAt, at }) => at - askedAt > HELD_MS);
    return (held ?? answers[0])?.at ?? until;
  }

  #between(since: number, until: number): readonly Answered[] {
    return this.answers.filter(({ askedAt, at }) => at >= since && askedAt < until);
  }

  async #run(): Promise<void> {
    const block = Buffer.alloc(BLOCK_BYTES, 0x5a);
    while (!this.#isStopped) {
      let client: NbdClient | null = null;
      try {
        client = await NbdClient.attach(this.#socket, this.#export, ATTACH_MS);
        while (!this.#isStopped) {
          const askedAt = performance.now();
          await client.write(this.#place(), block);
          this.answers.push({ askedAt, at: performance.now() });
          await pause(PAUSE_MS);
        }
      } catch {
        this.#errors += 1;
        await pause(RETRY_MS);
      } finally {
        client?.close();
      }
    }
  }
}
