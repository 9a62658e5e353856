/** Boards of a demo's folder, each started by a test itself: in any order, or not at all. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCredentials } from "../../src/cli/demo-credentials.ts";
import { type EtcdProcess, startEtcd } from "../../src/cli/etcd-process.ts";
import { ServeProcess } from "./serve-process.ts";

export class LoneBoards {
  readonly #folder: string;
  readonly #etcd: EtcdProcess;
  readonly #boards = new Map<number, ServeProcess>();

  private constructor(folder: string, etcd: EtcdProcess) {
    this.#folder = folder;
    this.#etcd = etcd;
  }

  /** Starts the folder's etcd where it was; AFTER its demo has ended. */
  static async over(folder: string): Promise<LoneBoards> {
    const files = (name: string): string => join(folder, "certificates", name);
    const tls = {
      authority: files("authority.pem"),
      certificate: files("etcd.pem"),
      key: files("etcd.key"),
    };
    const previous = readCredentials(folder).etcd;
    return new LoneBoards(folder, await startEtcd(folder, previous, { keepsPort: true, tls }));
  }

  board(at: number): ServeProcess {
    const board = this.#boards.get(at);
    if (board === undefined) throw new Error(`board ${at + 1} was not started`);
    return board;
  }

  /** Starts the board; it waits for members that should be there for `waitSeconds`. */
  async start(at: number, waitSeconds: number): Promise<ServeProcess> {
    const name = `board${at + 1}`;
    const folder = join(this.#folder, name);
    const config = join(folder, "by-hand.toml");
    const told = readFileSync(join(folder, "satsuma.toml"), "utf8");
    writeFileSync(config, `${told}\n[devices]\nstart_wait = ${waitSeconds}\n`);
    const board = new ServeProcess(folder, ["--config", config, "--name", name]);
    this.#boards.set(at, board);
    await board.start();
    return board;
  }

  async kill(...boards: readonly number[]): Promise<void> {
    await Promise.all(boards.map((at) => this.board(at).kill9()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#boards.values()].map((board) => board.shutDown()));
    await this.#etcd.stop();
  }
}
