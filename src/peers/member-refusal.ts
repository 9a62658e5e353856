/**
 * Why an exporter does not let a peer use a disk, as it travels in the message of an NBD error
 * reply: `word: sentence`. Each is final for the device that asked; what may yet become possible
 * is waited for, not refused.
 */

export type RefusalWord =
  /** The session in which it asks is over: the others go on without it. */
  | "fenced"
  /** The exporter lives another life: what was not flushed may be lost. */
  | "restarted"
  /** There is no such disk any more. */
  | "no-disk"
  /** Another session uses the disk, and both cannot. */
  | "busy"
  /** The same thread has opened the disk anew since. */
  | "superseded"
  /** The certificate is not that of the session's board. */
  | "stranger";

const WORDS: readonly RefusalWord[] = [
  "fenced",
  "restarted",
  "no-disk",
  "busy",
  "superseded",
  "stranger",
];

/** The message of the reply. */
export const refusalText = (word: RefusalWord, sentence: string): string => `${word}: ${sentence}`;

/** Null: another server's message, or that of another refusal. */
export const refusalWord = (message: string): RefusalWord | null => {
  const end = message.indexOf(": ");
  return WORDS.find((word) => word === message.slice(0, Math.max(0, end))) ?? null;
};
