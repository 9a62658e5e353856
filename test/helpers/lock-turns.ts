/** Members that add to the value block under an EX lock, for as long as a test wants. */
import { DLM_LKF_CONVERT, DLM_LKF_VALBLK } from "../../src/cluster/dlm/lock-flags.ts";
import { CR, EX, NL } from "../../src/cluster/dlm/lock-mode.ts";
import { block, type LockMember, numberIn } from "./lock-member.ts";
import { eventually } from "./timeout.ts";

const FLAGS = DLM_LKF_CONVERT | DLM_LKF_VALBLK;

export class LockTurns {
  turns = 0;
  readonly #members: readonly LockMember[];
  readonly #resource: string;
  #isOver = false;
  readonly #work: Promise<unknown>;

  /** Begins at once; the members keep NL locks afterwards. */
  constructor(resource: string, members: readonly LockMember[]) {
    this.#members = members;
    this.#resource = resource;
    this.#work = Promise.all(members.map((member) => this.#take(member)));
    // The failure comes out in `end`.
    this.#work.catch(() => {});
  }

  /** Waits for so many more turns. */
  async more(count: number, ms: number): Promise<void> {
    const target = this.turns + count;
    await eventually(`${count} more turns`, ms, () => this.turns >= target);
  }

  /** Ends the turns and returns how many the value block has counted. */
  async end(): Promise<number> {
    this.#isOver = true;
    await this.#work;
    const [member] = this.#members;
    const ast = await member?.lock(this.#resource, CR, { flags: FLAGS, lvb: block(0) });
    return numberIn(ast?.lvb ?? null);
  }

  async #take(member: LockMember): Promise<void> {
    await member.lock(this.#resource, NL);
    while (!this.#isOver) {
      const { lvb } = await member.lock(this.#resource, EX, { flags: FLAGS, lvb: block(0) });
      const next = block(numberIn(lvb) + 1);
      await member.lock(this.#resource, NL, { flags: FLAGS, lvb: next });
      this.turns += 1;
    }
  }
}
