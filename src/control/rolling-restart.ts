/**
 * When the next board of a rolling restart may go: redundancy is back, etcd is whole, every board
 * answers. Decisions only; the command line asks the boards and waits.
 */

/** What a board tells of itself. */
export interface RollingBoard {
  readonly name: string;
  /** Null: it does not answer now. */
  readonly told: RollingNode | null;
}

/** The parts of `GET /api/v1/nodes/NAME` and its impact answer that count. */
export interface RollingNode {
  readonly isInService: boolean;
  /** Another value after each start. */
  readonly startedAt: string;
  readonly arrays: readonly {
    readonly name: string;
    readonly isRunning: boolean;
    readonly degraded: number;
    readonly isSyncing: boolean;
  }[];
  /** Null: it depends on no etcd. */
  readonly quorum: {
    readonly voters: readonly { readonly name: string; readonly isHealthy: boolean }[];
    readonly problem: string | null;
  } | null;
  readonly impact: { readonly verdict: string; readonly sentence: string };
}

/** Where a rolling restart is. */
export interface RollingPlan {
  /** Boards still to be restarted, in order. */
  readonly left: readonly string[];
  /** The one that was told to restart, and how it was started before. */
  readonly restarting: { readonly name: string; readonly startedAt: string } | null;
}

/** What is to be done. */
export type RollingStep =
  | { readonly type: "restart"; readonly name: string; readonly startedAt: string }
  /** `name` is through. */
  | { readonly type: "through"; readonly name: string }
  | { readonly type: "wait"; readonly why: string }
  | { readonly type: "refused"; readonly why: string }
  | { readonly type: "done" };

const wait = (why: string): RollingStep => ({ type: "wait", why });

/** Why a board is not whole; null: it is. */
function lackOf({ name, told }: RollingBoard): string | null {
  if (told === null) return `${name} does not answer`;
  for (const array of told.arrays) {
    if (!array.isRunning) return `${array.name} does not run on ${name}`;
    if (array.degraded > 0) return `${array.name} lacks ${array.degraded} of its copies`;
    if (array.isSyncing) return `${array.name} is being resynced`;
  }
  const { quorum } = told;
  if (quorum === null) return null;
  if (quorum.problem !== null) return `etcd does not answer ${name}: ${quorum.problem}`;
  const ill = quorum.voters.find(({ isHealthy }) => !isHealthy);
  return ill === undefined ? null : `member ${ill.name} of etcd does not answer`;
}

/** The next step, as the boards look now. */
export function rollingStep(plan: RollingPlan, boards: readonly RollingBoard[]): RollingStep {
  const { restarting, left } = plan;
  if (restarting !== null) {
    const board = boards.find(({ name }) => name === restarting.name);
    const startedAt = board?.told?.startedAt ?? restarting.startedAt;
    if (startedAt === restarting.startedAt) return wait(`${restarting.name} is restarting`);
  }
  const out = boards.find(({ told }) => told !== null && !told.isInService);
  if (out !== undefined) {
    return { type: "refused", why: `${out.name} is out of service: undrain it first` };
  }
  const lack = boards.map(lackOf).find((found) => found !== null);
  if (lack !== undefined && lack !== null) return wait(lack);
  if (restarting !== null) return { type: "through", name: restarting.name };
  const [name] = left;
  if (name === undefined) return { type: "done" };
  const told = boards.find((board) => board.name === name)?.told;
  if (told == null) return wait(`${name} does not answer`);
  const { verdict, sentence } = told.impact;
  if (verdict === "loses") return { type: "refused", why: sentence };
  if (verdict === "unknown") return wait(sentence);
  return { type: "restart", name, startedAt: told.startedAt };
}
