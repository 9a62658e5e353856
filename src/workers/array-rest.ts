/**
 * An array of a cluster at rest: while a node changes it as a whole, it is stopped on every node
 * with its members open, and client requests are held. What the cluster tells meanwhile waits for
 * the new start; the metadata update that ends the rest brings it about.
 */

import type { ArrayEvent } from "../raid/array-messages.ts";
import type { AfterChange } from "../raid/array-start.ts";

/** What the array thread does for it. */
export interface RestHost {
  /** Holds client requests, then stops the array. */
  pause(): Promise<void>;
  /** Starts the array from what its members say now, and lets requests go on. */
  startAnew(afterChange: AfterChange | null): Promise<void>;
  /** False when this node cannot rest after all: it has refused, and nothing is changed. */
  mayRest(): boolean;
  /** The array is stopped: it can be told nothing. */
  isStopped(): boolean;
  dispatch(event: ArrayEvent): void;
  processed(notice: number): void;
}

const isNewDevice = (event: ArrayEvent): boolean =>
  event.type === "cluster-notice" && event.notice.type === "new-disk";

export class ArrayRest {
  readonly #host: RestHost;
  #waiting: ArrayEvent[] = [];
  /** Who changes the array, while this node rests for it; null: this node, or nobody. */
  #changer: number | null = null;
  #isUnderWay = false;
  #isChanging = false;
  #isDeaf = false;
  /** The array is coming to rest. */
  #pausing: Promise<void> | null = null;

  constructor(host: RestHost) {
    this.#host = host;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Node `slot` changes the array. */
  async rest(notice: number, slot: number): Promise<void> {
    this.#isUnderWay = true;
    await this.#pause();
    // It was refused while the array came to rest, and this node has a change of its own by now:
    // the start that follows is that one's.
    if (this.#isChanging) return;
    if (!this.#host.mayRest()) return await this.#end(null);
    this.#changer = slot;
    this.#host.processed(notice);
    this.#look();
  }

  /** This node changes the array; the start that follows is the host's. */
  async change<T>(make: () => Promise<T>, afterChange: () => AfterChange | null): Promise<T> {
    this.#isUnderWay = true;
    this.#isChanging = true;
    await this.#pause();
    try {
      return await make();
    } finally {
      this.#isChanging = false;
      await this.#end(afterChange());
    }
  }

  /** The array leaves the cluster: what that tells until the new start is for nobody. */
  forget(): void {
    this.#waiting = [];
    this.#isDeaf = true;
  }

  /** Something that the cluster tells the array. */
  tell(event: ArrayEvent): void {
    if (this.#isDeaf) return;
    if (!this.#host.isStopped() || !this.#isUnderWay) return this.#host.dispatch(event);
    this.#waiting.push(event);
    this.#look();
  }

  /** Starts anew once the change is over, or its node is gone: somebody has to tell the others. */
  #look(): void {
    if (this.#changer === null) return;
    for (const event of this.#waiting) {
      if (event.type !== "cluster-notice") continue;
      const { notice, id } = event;
      if (notice.type === "change-capacity") {
        this.#waiting = this.#waiting.filter((other) => other !== event);
        this.#host.processed(id);
      } else if (notice.type === "metadata-updated") {
        // What became of a device that was to be found by now is told: nobody waits for that.
        const isOver = (other: ArrayEvent): boolean => other === event || isNewDevice(other);
        this.#waiting = this.#waiting.filter((other) => !isOver(other));
        this.#changer = null;
        void this.#end(null).then(() => this.#host.processed(id));
        return;
      } else if (notice.type === "recover-slot") {
        // Of that node, or of one that was to end the rest in its place.
        this.#changer = null;
        void this.#end("interrupted");
        return;
      }
    }
  }

  /** One at a time: who waits for clients' I/O may wait long. */
  #pause(): Promise<void> {
    this.#pausing ??= this.#host.pause().finally(() => {
      this.#pausing = null;
    });
    return this.#pausing;
  }

  async #end(afterChange: AfterChange | null): Promise<void> {
    await this.#host.startAnew(afterChange);
    this.#isUnderWay = false;
    this.#isDeaf = false;
    for (const event of this.#waiting.splice(0)) this.#host.dispatch(event);
  }
}
