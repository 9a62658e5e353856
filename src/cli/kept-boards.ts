/** The boards of a demo as children that are kept running: one that ends is started again. */

import { setTimeout as pause } from "node:timers/promises";
import { CodedError } from "../common/errors.ts";
import type { BoardProcess } from "./board-process.ts";
import { printText } from "./output.ts";

const RESTART_MS = 1000;

export interface KeptBoardsOptions {
  /** Starts the board's process. Errors: the daemon's. */
  readonly start: (name: string) => Promise<BoardProcess>;
  /** A board runs as another process. */
  readonly onRestart: () => void;
}

export class KeptBoards {
  readonly #options: KeptBoardsOptions;
  readonly #boards = new Map<string, BoardProcess>();
  #isEnding = false;

  constructor(options: KeptBoardsOptions) {
    this.#options = options;
  }

  /** Those that were started, in that order. */
  get running(): readonly BoardProcess[] {
    return [...this.#boards.values()];
  }

  /**
   * Starts a board, which is kept running from then on. A start that is refused is tried once more:
   * what it needs may have been starting itself. Errors: the daemon's.
   */
  async start(name: string): Promise<BoardProcess> {
    try {
      return await this.#start(name);
    } catch (error) {
      if (this.#isEnding || !(error instanceof CodedError)) throw error;
      printText(`board ${name} did not start (${error.message}), trying once more\n`);
      await pause(RESTART_MS);
      return await this.#start(name);
    }
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.running.map((board) => board.stop()));
  }

  async #start(name: string): Promise<BoardProcess> {
    const board = await this.#options.start(name);
    this.#boards.set(name, board);
    void board.exited.then((why) => this.#onExit(name, why));
    return board;
  }

  /** The others go on meanwhile. */
  async #onExit(name: string, why: string): Promise<void> {
    while (!this.#isEnding) {
      printText(`board ${name} ended (${why}), starting it again\n`);
      await pause(RESTART_MS);
      try {
        if (this.#isEnding) return;
        const board = await this.#start(name);
        if (this.#isEnding) await board.stop();
        else this.#options.onRestart();
        return;
      } catch (error) {
        why = error instanceof CodedError ? error.message : String(error);
      }
    }
  }
}
