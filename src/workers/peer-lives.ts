/**
 * What threads tell each other of boards. Lives that are over, told by the main thread: what is
 * open of such a board is given up at once. Lives of which nothing answers, told by the thread that
 * found it: the others ask once. A board without power, or behind a cut link, hangs up on nobody,
 * and a thread that asks it only then would wait for as long again.
 */

import { BroadcastChannel } from "node:worker_threads";
import type { BoardLife } from "../cluster/store/board-keys.ts";

/** Of the threads of one board: in tests several boards share a process. */
const channelName = (owner: string): string => `peer-lives ${owner}`;

/** `silent`: its exporter answers a thread no more; `over`: its key is gone. */
export interface PeerNews extends BoardLife {
  readonly what: "over" | "silent";
}

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
      if (lives.get(name) !== epoch) this.#post({ name, epoch, what: "over" });
    this.#lives = lives;
  }

  close(): void {
    this.#channel.close();
  }

  #post(news: PeerNews): void {
    this.#channel.postMessage(news);
  }
}

/** A thread's end, for one opened disk: it hears what all others tell. */
export class PeerLivesEar {
  readonly #channel: BroadcastChannel;

  constructor(owner: string, onNews: (news: PeerNews) => void) {
    this.#channel = new BroadcastChannel(channelName(owner));
    this.#channel.onmessage = (event) => onNews((event as { readonly data: PeerNews }).data);
    this.#channel.unref();
  }

  tellSilent({ name, epoch }: BoardLife): void {
    const news: PeerNews = { name, epoch, what: "silent" };
    this.#channel.postMessage(news);
  }

  close(): void {
    this.#channel.close();
  }
}
