/** Assembly in few words: candidates from rows of overrides, verdicts as one word per member. */
import type {
  AssemblyCandidate,
  AssemblyStart,
  AssemblyVerdict,
} from "../../src/raid/assembly-types.ts";
import { probeMember } from "../../src/raid/probe.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";
import { candidate, roles, SparseMember, sampleSuperblock } from "./md-samples.ts";

export const FAULTY = 0xfffe;
export const SPARE = 0xffff;
/** feature_map of a member under recovery, with a bitmap. */
export const RECOVERING = 0x3;
export const OTHER_UUID = new Uint8Array(16).fill(0x42);

/** Device number and overrides: `[1, { events: 18 }]`. */
export type Row = readonly [number, Partial<Superblock>];

/** One candidate per row, `/dev/d0` on. */
export function candidates(...rows: readonly Row[]): readonly AssemblyCandidate[] {
  return rows.map(([devNumber, rest], index) =>
    candidate(sampleSuperblock({ devNumber, ...rest }), { path: `/dev/d${index}` }),
  );
}

/** The verdict, if it is to start. */
export function started(verdict: AssemblyVerdict): AssemblyStart {
  if (verdict.verdict === "start") return verdict;
  throw new Error(`refused: ${verdict.code} ${verdict.message}`);
}

/** `in-sync 0`, `spare`, `non-fresh` …: one word per candidate. */
export function words(verdict: AssemblyVerdict): readonly string[] {
  return verdict.members.map(({ placement, reason }) =>
    "raidSlot" in placement ? `${reason} ${placement.raidSlot}` : reason,
  );
}

/** A raid10 member of four, n2, chunk 512 KiB. */
export const TEN = {
  level: 10,
  layout: 0x102,
  chunkSize: 1024,
  raidDisks: 4,
  size: 126976,
  devRoles: roles(0, 1, 2, 3),
} as const;

/** A member that holds these bytes at `at`, and nothing else. */
export function blank(path: string, bytes: Uint8Array | null, at = 4096): AssemblyCandidate {
  const member = new SparseMember(131072 * 512);
  if (bytes !== null) member.write(at, bytes);
  return { path, probe: probeMember(member.read, member.sizeBytes), bitmap: null };
}
