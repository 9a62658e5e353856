/**
 * The network between simulated boards, as TCP shows it: what is sent arrives in the order it was
 * sent, each message after a time of its own, or once the way is there again. A lost packet is a
 * long time. A way may be cut in one direction only.
 */

import type { Delay, Timeline } from "./timeline.ts";

/** Between tries to get through, milliseconds. */
const RETRY: Delay = { usual: 200, oneIn: 3, most: 900 };

export const boardName = (node: number): string => `node${node}`;

export class BoardLinks {
  readonly timeline: Timeline;
  readonly delay: Delay;
  readonly #cut = new Set<string>();

  constructor(timeline: Timeline, delay: Delay) {
    this.timeline = timeline;
    this.delay = delay;
  }

  isUp(from: number, to: number): boolean {
    return !this.#cut.has(`${from} ${to}`);
  }

  /** Nothing arrives any more; what is under way waits. */
  cut(from: number, to: number): void {
    if (from !== to) this.#cut.add(`${from} ${to}`);
  }

  heal(from: number, to: number): void {
    this.#cut.delete(`${from} ${to}`);
  }

  healAll(): void {
    this.#cut.clear();
  }
}

/** One direction of a connection. */
export class Pipe {
  readonly #links: BoardLinks;
  readonly #from: number;
  readonly #to: number;
  readonly #queue: (() => void)[] = [];
  /** Messages at the head of the queue whose time has come. */
  #due = 0;
  #lastAt = 0;
  #isWaiting = false;
  #isClosed = false;

  constructor(links: BoardLinks, from: number, to: number) {
    this.#links = links;
    this.#from = from;
    this.#to = to;
  }

  /** What happens when the message arrives. */
  post(act: () => void): void {
    if (this.#isClosed) return;
    const { timeline, delay } = this.#links;
    const at = Math.max(this.#lastAt, timeline.now + timeline.draw(delay));
    this.#lastAt = at;
    this.#queue.push(act);
    timeline.after(at - timeline.now, null, () => {
      this.#due++;
      this.#deliver();
    });
  }

  /** Nothing that is under way arrives any more. */
  close(): void {
    this.#isClosed = true;
    this.#queue.length = 0;
  }

  #deliver(): void {
    while (this.#due > 0 && !this.#isClosed && !this.#isWaiting) {
      if (this.#links.isUp(this.#from, this.#to)) {
        this.#due--;
        this.#queue.shift()?.();
      } else this.#tryLater();
    }
  }

  #tryLater(): void {
    const { timeline } = this.#links;
    this.#isWaiting = true;
    timeline.after(timeline.draw(RETRY), null, () => {
      this.#isWaiting = false;
      this.#deliver();
    });
  }
}
