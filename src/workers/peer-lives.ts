/**
 * Lives of boards that are over, told by the main thread to all threads: what they have open of
 * such a board is given up at once. A board without power hangs up on nobody, and a thread that
 * asks it only then would wait for as long again.
 */

import { BroadcastChannel } from "node:worker_threads";
import type { BoardLife } from "../cluster/store/board-keys.ts";

/** Of the threads of one board: in tests several boards share a process. */
const channelName = (owner: string): string => `peer-lives ${owner}`;

/** The main thread's end. `owner`: first part of the handles of all threads. */
export class PeerLivesTeller {
  readonly #channel: BroadcastChannel;
  /** Epochs by board, as they were told last. */
  #lives = new Map<string, number>();

  constructor(owner: string) {
    this.#channel = new BroadcastChannel(channelName(owner));
    this.#channel.unref();
  }

  /** The boards that live now: whoever is not among them any more is told of. */
  tell(boards: readonly BoardLife[]): void {
    const lives = new Map(boards.map(({ name, epoch }) => [name, epoch]));
    for (const [name, epoch] of this.#lives)
      if (lives.get(name) !== epoch) this.#channel.postMessage({ name, epoch });
    this.#lives = lives;
  }

  close(): void {
    this.#channel.close();
  }
}

/** A thread's end: `onOver` for each life that is over, until the returned function is called. */
export const hearPeerLives = (owner: string, onOver: (life: BoardLife) => void): (() => void) => {
  const channel = new BroadcastChannel(channelName(owner));
  channel.onmessage = (event) => onOver((event as { readonly data: BoardLife }).data);
  channel.unref();
  return () => channel.close();
};
