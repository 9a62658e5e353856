/**
 * What happened to messages in a simulated run, and the rules it has to keep. The rules know
 * nothing of locks or stores: the same ones judge both protocols.
 *
 * I6: each message is processed once by each member that was one from its publication to its end,
 * in the order of publication, never by its origin. I7: a finished message was processed by all
 * members of that time; one that a survivor has processed is processed by all survivors.
 */

/** A rule that does not hold. */
export class MessageViolation extends Error {}

const violate = (what: string): never => {
  throw new MessageViolation(what);
};

/** Messages are numbers: 100 times the index of the origin, and which one of it. */
export const originOf = (message: number): number => Math.floor(message / 100);

export interface History {
  /** In the order of publication. */
  readonly published: readonly number[];
  /** By node, in its order. */
  readonly processed: readonly (readonly number[])[];
  /** Those whose origin was told. */
  readonly acknowledged: readonly number[];
  /** By node: messages published when it began to count as a receiver; null: it does not. */
  readonly countsFrom: readonly (number | null)[];
  /** Who has the right to send exclusively. */
  readonly holder: number | null;
}

/** The first `counting` of `nodes` count from the beginning. */
export const newHistory = (nodes: number, counting: number): History => ({
  published: [],
  processed: Array.from({ length: nodes }, () => []),
  acknowledged: [],
  countsFrom: Array.from({ length: nodes }, (_, node) => (node < counting ? 0 : null)),
  holder: null,
});

export const notePublished = (history: History, message: number): History =>
  history.published.includes(message)
    ? history
    : { ...history, published: [...history.published, message] };

export const noteCounting = (history: History, node: number): History => ({
  ...history,
  countsFrom: history.countsFrom.with(node, history.published.length),
});

export const noteProcessed = (history: History, node: number, message: number): History => {
  const { published, processed } = history;
  const own = processed[node] ?? [];
  const at = published.indexOf(message);
  if (at < 0) violate(`node ${node} processed ${message}, which nobody sent`);
  if (originOf(message) === node) violate(`node ${node} processed its own message ${message}`);
  if (own.includes(message)) violate(`node ${node} processed message ${message} twice`);
  const last = own.at(-1);
  if (last !== undefined && published.indexOf(last) > at)
    violate(`node ${node} processed ${message} after ${last}, against the order of publication`);
  return { ...history, processed: processed.with(node, [...own, message]) };
};

/** The message counts as processed by all. `canWrite`: by node, whether it still may. */
export const checkFinished = (
  { published, processed, countsFrom }: History,
  message: number,
  canWrite: readonly boolean[],
): void => {
  const at = published.indexOf(message);
  for (const [node, from] of countsFrom.entries()) {
    if (from === null || from > at || canWrite[node] !== true) continue;
    if (originOf(message) !== node && processed[node]?.includes(message) !== true)
      violate(`message ${message} is finished, and node ${node} has not processed it`);
  }
};

export const noteAcknowledged = (history: History, message: number): History => ({
  ...history,
  acknowledged: [...history.acknowledged, message],
});

/** Two that change superblocks at a time lose one another's change. */
export const noteHeld = (history: History, node: number, canWrite: readonly boolean[]): History => {
  const { holder } = history;
  if (holder !== null && holder !== node && canWrite[holder] === true)
    violate(`node ${node} may send exclusively while node ${holder} may`);
  return { ...history, holder: node };
};

export const noteReleased = (history: History, node: number): History =>
  history.holder === node ? { ...history, holder: null } : history;

/** When nothing can happen any more. `isSurvivor`: by node, members from then till now. */
export const checkEnd = (
  { published, processed, countsFrom }: History,
  isSurvivor: readonly boolean[],
): void => {
  for (const [at, message] of published.entries()) {
    const receivers = countsFrom.flatMap((from, node) => {
      const counts = from !== null && from <= at && isSurvivor[node] === true;
      return counts && originOf(message) !== node ? [node] : [];
    });
    const have = receivers.filter((node) => processed[node]?.includes(message) === true);
    if (have.length > 0 && have.length < receivers.length)
      violate(`message ${message} was processed by ${have} but not by all of ${receivers}`);
  }
};
