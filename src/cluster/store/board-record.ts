/**
 * The value of boards/b/NAME: who a board is, where its member exports are, which disks they serve.
 * It is read from a key that anybody may have written, so decoding accepts nothing odd.
 */
import { CodedError } from "../../common/errors.ts";

/** A disk that the board serves to its peers. */
export interface BoardDisk {
  /** The device's id on its board. */
  readonly id: string;
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  /** Why it holds less than was written to it: nobody may take it for in sync. */
  readonly lostContent?: string;
}

/** What a board tells of itself; another value whenever something of it changes. */
export interface BoardRecord {
  readonly name: string;
  /** Another one for each start of the board. */
  readonly boot: string;
  /** HOST:PORT of its member exports. */
  readonly address: string;
  /** URL of its API, or "". */
  readonly api: string;
  readonly version: string;
  readonly disks: readonly BoardDisk[];
  /** Names of the boards whose member exports it reaches now, sorted. */
  readonly reaches: readonly string[];
}

const TEXT_MAX = 256;
const DISKS_MAX = 256;
const BOARDS_MAX = 64;
const DISK_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Errors: CLUSTER_BAD_RECORD. */
export const decodeBoard = (text: string): BoardRecord => {
  let fields: Readonly<Record<string, unknown>> = {};
  try {
    fields = JSON.parse(text) ?? {};
  } catch {
    throw bad();
  }
  const { name, boot, address, api, version, disks, reaches } = fields;
  const texts = [name, boot, address, api, version];
  if (!texts.every(isText) || !Array.isArray(disks) || !Array.isArray(reaches)) throw bad();
  if (disks.length > DISKS_MAX || !disks.every(isDisk)) throw bad();
  if (reaches.length > BOARDS_MAX || !reaches.every(isText)) throw bad();
  return { name, boot, address, api, version, disks: disks.map(plainDisk), reaches } as BoardRecord;
};

/** The key's value. */
export const encodeBoard = (record: BoardRecord): string => {
  const { name, boot, address, api, version, disks, reaches } = record;
  return JSON.stringify({
    name,
    boot,
    address,
    api,
    version,
    disks: disks.map(plainDisk),
    reaches,
  });
};

const bad = (): CodedError =>
  new CodedError("CLUSTER_BAD_RECORD", "this is no board of a cluster", {
    remedy: "see “A damaged key” in docs/clustered-arrays.md",
    details: { what: "board" },
  });

const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length <= TEXT_MAX;

const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

const isDisk = (value: unknown): value is BoardDisk => {
  if (typeof value !== "object" || value === null) return false;
  const { id, kind, sizeBytes, logicalBlockSize, lostContent } = value as Partial<BoardDisk>;
  const isKind = kind === "file" || kind === "block";
  return (
    typeof id === "string" &&
    DISK_ID.test(id) &&
    isKind &&
    isSize(sizeBytes) &&
    isSize(logicalBlockSize) &&
    (lostContent === undefined || isText(lostContent))
  );
};

/** What others are told of a disk, and nothing else. */
export const plainDisk = ({
  id,
  kind,
  sizeBytes,
  logicalBlockSize,
  lostContent,
}: BoardDisk): BoardDisk => {
  const disk = { id, kind, sizeBytes, logicalBlockSize };
  return lostContent === undefined ? disk : { ...disk, lostContent };
};
