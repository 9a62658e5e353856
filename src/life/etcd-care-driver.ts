/**
 * What etcd needs from time to time: space given back, a full one emptied, a copy a day. The
 * history that it keeps, an hour, it compacts by itself.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import type { Logger } from "../common/log.ts";
import { makeFolder } from "../hal/linux/make-folder.ts";
import type { EtcdAdmin } from "./etcd-admin-client.ts";
import type { EtcdSight, SeenMember } from "./etcd-watch-driver.ts";

/** Unused space worth a defragmentation: so many bytes, and more than half of the file. Choice. */
const WASTE_BYTES = 64 * 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
const SNAPSHOTS_KEPT = 3;
/** A copy that failed is not tried again at once. */
const RETRY_MS = 10 * 60 * 1000;

export class EtcdCare {
  readonly #admin: EtcdAdmin;
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #now: () => number;
  #nextCopyAt = 0;

  /** `now`: wall clock, for the names and ages of copies. */
  constructor(admin: EtcdAdmin, folder: string, logger: Logger, now: () => number) {
    this.#admin = admin;
    this.#folder = path.join(folder, "snapshots");
    this.#logger = logger;
    this.#now = now;
  }

  /**
   * etcd refuses writes because a file reached its limit: history is forgotten, the files are made
   * smaller, followers first, and the alarm is taken back. Errors: LIFE_ETCD_*.
   */
  async makeRoom({ members, alarms }: EtcdSight, quotaBytes: number): Promise<void> {
    const endpoints = members.flatMap(({ clientUrls }) => clientUrls);
    const revision = Math.max(0, ...members.map(({ status }) => status?.revision ?? 0));
    try {
      if (revision > 0) await this.#admin.compact(endpoints, revision);
    } catch (error) {
      // Compacted by another board meanwhile; what counts is the size afterwards.
      this.#logger.warn({ error }, "etcd-not-compacted");
    }
    for (const member of followersFirst(members)) await this.#defragment(member);
    const sizes = await Promise.all(
      members.flatMap(({ clientUrls: [url] }) => (url === undefined ? [] : [this.#sizeOf(url)])),
    );
    if (Math.max(...sizes) > 0.8 * quotaBytes) return;
    for (const alarm of alarms)
      if (alarm.alarm === "NOSPACE") await this.#admin.disarm(endpoints, alarm);
  }

  /** Makes the first file that is worth it smaller, one member with each call, the leader last. */
  async defragmentOne({ members }: EtcdSight): Promise<void> {
    if (members.some(({ status }) => status === null)) return;
    const [member] = followersFirst(members).filter(({ status }) => {
      const waste = (status?.databaseBytes ?? 0) - (status?.usedBytes ?? 0);
      return waste > WASTE_BYTES && 2 * waste > (status?.databaseBytes ?? 0);
    });
    if (member !== undefined) await this.#defragment(member);
  }

  /** Keeps a copy of each day, the last few of them. Never rejects. */
  async keepCopy(endpoint: string): Promise<void> {
    const now = this.#now();
    if (performance.now() < this.#nextCopyAt) return;
    this.#nextCopyAt = performance.now() + RETRY_MS;
    try {
      makeFolder(this.#folder);
      const copies = this.#copies();
      const youngest = copies.at(-1);
      const age = youngest === undefined ? DAY_MS : now - statSync(youngest).mtimeMs;
      // A clock that went back: a copy of the future is no reason to make none.
      if (age >= 0 && age < DAY_MS) return;
      const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
      await this.#copy(endpoint, path.join(this.#folder, `etcd-${stamp}.db`));
      for (const old of this.#copies().slice(0, -SNAPSHOTS_KEPT)) rmSync(old, { force: true });
    } catch (error) {
      this.#logger.warn({ error }, "etcd-not-copied");
    }
  }

  /** Files of the copies, the oldest first. */
  #copies(): readonly string[] {
    if (!existsSync(this.#folder)) return [];
    const names = readdirSync(this.#folder).filter((name) => /^etcd-.*\.db$/.test(name));
    const files = names.map((name) => path.join(this.#folder, name));
    return files.sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
  }

  async #copy(endpoint: string, file: string): Promise<void> {
    const part = `${file}.part`;
    const handle = openSync(part, "w", 0o600);
    try {
      await this.#admin.snapshot(endpoint, (piece) => {
        for (let at = 0; at < piece.length; ) at += writeSync(handle, piece, at);
      });
      fsyncSync(handle);
      renameSync(part, file);
    } finally {
      closeSync(handle);
      rmSync(part, { force: true });
    }
  }

  async #defragment({ clientUrls: [endpoint] }: SeenMember): Promise<void> {
    if (endpoint !== undefined) await this.#admin.defragment(endpoint);
  }

  async #sizeOf(endpoint: string): Promise<number> {
    return (await this.#admin.status(endpoint)).databaseBytes;
  }
}

const followersFirst = (members: readonly SeenMember[]): readonly SeenMember[] => {
  const isElected = ({ id, status }: SeenMember): number => Number(status?.electedId === id);
  return members
    .filter(({ status }) => status !== null)
    .sort((a, b) => isElected(a) - isElected(b));
};
