/**
 * What a cluster keeps of its boards and witnesses, in etcd under /satsuma-life/CLUSTER/: beside
 * the keys of the arrays, so that nobody who looks at those is woken by these.
 *
 * | key             | value                                         | lease |
 * |-----------------|-----------------------------------------------|-------|
 * | b/ID            | a board or witness: who, where, certificate   | none  |
 * | n/NAME          | the id that has the name                      | none  |
 * | hb/ID           | that it runs, and what it can do              | own   |
 * | refused/SERIAL  | whose certificate it was                      | none  |
 * | refused         | the list of them, signed (DER, base64)        | none  |
 * | coordinator     | the id that takes the next step for etcd      | own   |
 */
import type { KeyValue } from "../cluster/store/cluster-store.ts";
import type { Role } from "./join-token.ts";
import { isBoardName } from "./life-names.ts";

/** A board or witness. */
export interface LifeRecord {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Serial number of its certificate. */
  readonly serial: string;
  readonly host: string;
  /** HOST:PORT of its cluster port; empty for a witness. */
  readonly address: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
  readonly isLeaving: boolean;
}

/** What it tells of itself while it runs. */
export interface LifePulse {
  readonly canVote: boolean;
  /** Why it cannot, or what is not as good as it should be; empty otherwise. */
  readonly remark: string;
  /** etcd had data here and has lost it: the member has to be replaced. */
  readonly hasLostData: boolean;
  /** It has heard that it is to leave: whoever takes it out does so with its knowledge. */
  readonly isLeaving: boolean;
  readonly version: string;
  readonly etcdVersion: string;
}

export interface RefusedCertificate {
  readonly serial: string;
  readonly name: string;
}

/** All of it, as listed. */
export interface LifeView {
  readonly records: readonly LifeRecord[];
  readonly pulses: ReadonlyMap<string, LifePulse>;
  /** When each pulse was written, by etcd's count. */
  readonly beats: ReadonlyMap<string, string>;
  readonly refused: readonly RefusedCertificate[];
  /** DER, base64; null before the first one. */
  readonly refusedList: string | null;
}

export class LifeKeys {
  /** Ends in `/`. */
  readonly prefix: string;

  constructor(cluster: string) {
    this.prefix = `/satsuma-life/${encodeURIComponent(cluster)}/`;
  }

  record(id: string): string {
    return `${this.prefix}b/${id}`;
  }

  name(name: string): string {
    return `${this.prefix}n/${name}`;
  }

  pulse(id: string): string {
    return `${this.prefix}hb/${id}`;
  }

  refused(serial: string): string {
    return `${this.prefix}refused/${serial}`;
  }

  get refusedList(): string {
    return `${this.prefix}refused`;
  }

  get coordinator(): string {
    return `${this.prefix}coordinator`;
  }
}

export const encodeRecord = (record: LifeRecord): string => JSON.stringify(record);

export const encodePulse = (pulse: LifePulse): string => JSON.stringify(pulse);

/** Values that anybody may have written: what is odd is left out. */
export const viewOf = (keys: LifeKeys, found: readonly KeyValue[]): LifeView => {
  const under = (start: string) =>
    found.flatMap(({ key, value }) =>
      key.startsWith(keys.prefix + start)
        ? [{ name: key.slice(keys.prefix.length + start.length), value }]
        : [],
    );
  const records = under("b/").flatMap(({ name, value }) => decodeRecord(name, value) ?? []);
  const pulses = under("hb/").flatMap(({ name, value }) => {
    const pulse = decodePulse(value);
    return pulse === null ? [] : [[name, pulse] as const];
  });
  const beats = found.flatMap(({ key, modRevision }) =>
    key.startsWith(`${keys.prefix}hb/`)
      ? [[key.slice(keys.prefix.length + 3), String(modRevision)] as const]
      : [],
  );
  return {
    records: records.sort((a, b) => (a.name < b.name ? -1 : 1)),
    pulses: new Map(pulses),
    beats: new Map(beats),
    refused: under("refused/").map(({ name, value }) => ({ serial: name, name: value })),
    refusedList: found.find(({ key }) => key === keys.refusedList)?.value ?? null,
  };
};

const parse = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};

const decodeRecord = (id: string, text: string): LifeRecord | null => {
  const { name, role, serial, host, address, peerUrl, clientUrl, isLeaving } = parse(text);
  const texts = [name, serial, host, address, peerUrl, clientUrl];
  if (!texts.every((one) => typeof one === "string" && one.length <= 256)) return null;
  if ((role !== "board" && role !== "witness") || !isBoardName(String(name))) return null;
  const rest = { role, serial, host, address, peerUrl, clientUrl, isLeaving: isLeaving === true };
  return { id, name, ...rest } as LifeRecord;
};

const decodePulse = (text: string): LifePulse | null => {
  const { canVote, remark, hasLostData, isLeaving, version, etcdVersion } = parse(text);
  if (![remark, version, etcdVersion].every((one) => typeof one === "string")) return null;
  const flags = {
    canVote: canVote === true,
    hasLostData: hasLostData === true,
    isLeaving: isLeaving === true,
  };
  return { ...flags, remark, version, etcdVersion } as LifePulse;
};
