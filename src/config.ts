/**
 * The daemon's configuration: defaults, then the TOML file, then flags; checked once, frozen.
 * Also what the command line takes from the environment: no other file reads it.
 *
 * Everything binds to loopback unless the file or a flag says otherwise.
 */

import { readFileSync } from "node:fs";
import { availableParallelism, homedir, hostname } from "node:os";
import path from "node:path";
import { parse as parseToml } from "smol-toml";
import { CodedError } from "./common/errors.ts";
import type { LogLevel } from "./common/log.ts";
import { type ClusterConfig, parseCluster } from "./config-cluster.ts";
import { type LifeConfig, parseLife } from "./config-life.ts";
import { type Address, invalid, parseAddress, parseName, type Values } from "./config-values.ts";

/** Files of a certificate for NBD over TLS. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthority: string | null;
}

/** The daemon's configuration; paths are absolute. */
export interface Config {
  readonly dataDirectory: string;
  readonly nodeName: string;
  readonly isLabMode: boolean;
  readonly http: Address;
  readonly nbdTcp: Address | null;
  readonly nbdSocketPath: string | null;
  readonly nbdTls: TlsFiles | null;
  readonly ioWorkers: number;
  readonly devicesDirectory: string;
  readonly devicePaths: readonly string[];
  /** Milliseconds that a member may owe an answer before it is failed; null: no limit. */
  readonly answerLimitMs: number | null;
  /** Members are used past the page cache where they can be. */
  readonly isDirect: boolean;
  /** Null: the board is in no cluster. */
  readonly cluster: ClusterConfig | null;
  readonly life: LifeConfig;
  /** How long a start waits for members that should be there, milliseconds. */
  readonly startWaitMs: number;
  /** Limits of sync actions, of every array that has none of its own; bytes per second. */
  readonly syncSpeed: { readonly min: number; readonly max: number };
  /** Part of the link to other boards that sync actions may use. */
  readonly linkShare: number;
  readonly logLevel: LogLevel;
}

/** Flags of `serve`, as text; absent ones leave the file's or the default value. */
export interface ConfigFlags {
  readonly config?: string;
  readonly data?: string;
  readonly http?: string;
  readonly nbd?: string;
  readonly nbdSocket?: string;
  readonly name?: string;
  readonly lab?: boolean;
  readonly workers?: string;
  readonly cluster?: string;
  readonly etcd?: string;
  readonly node?: string;
}

/** Where the API listens unless told otherwise. */
export const HTTP_DEFAULT: Address = { host: "127.0.0.1", port: 8090 };
/** Where NBD listens unless told otherwise. Source: IANA service name nbd, port 10809. */
export const NBD_DEFAULT: Address = { host: "127.0.0.1", port: 10809 };
/** Longest path of a unix socket in bytes. Source: unix(7), sun_path is 108 with its NUL. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** Source: the lanes of the state that the threads of an array share. */
const WORKERS_MAX = 16;
/** Seconds. Default: as long as the kernel gives a command of a SCSI or NVMe drive. */
const ANSWER_LIMIT = 30;
/** Seconds. Default: as long as mdadm waits (mdadm-last-resort). */
const START_WAIT = 30;
const DEVICE_SECONDS_MAX = 3600;
/**
 * Bytes per second. Beside clients: md's sysctl_speed_limit_min. Source: drivers/md/md.c. Of an
 * idle array as good as none, where md has 200,000 KiB: the slowest member is the limit. Choice:
 * above any member, a number to be shown.
 */
const SYNC_SPEED = { min: 1000 * 1024, max: 16 * 2 ** 30 };
const SYNC_SPEED_LEAST = 1024;
const SYNC_SPEED_MOST = 2 ** 40;
/** Choice: what clients of other boards send has room at any time. */
const LINK_SHARE = 0.7;
const LINK_SHARE_LEAST = 0.05;
const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Every key of the file, with the type it must have. */
const KEYS = {
  data: "string",
  name: "string",
  lab: "boolean",
  "http.listen": "string",
  "nbd.listen": "string",
  "nbd.socket": "string",
  "nbd.workers": "number",
  "nbd.tls_certificate": "string",
  "nbd.tls_key": "string",
  "nbd.tls_client_authority": "string",
  "devices.directory": "string",
  "devices.paths": "strings",
  "devices.answer_limit": "number",
  "devices.direct": "boolean",
  "cluster.name": "string",
  "cluster.node": "string",
  "cluster.etcd": "strings",
  "cluster.member_listen": "string",
  "cluster.member_advertise": "string",
  "cluster.tls_authority": "string",
  "cluster.tls_certificate": "string",
  "cluster.tls_key": "string",
  "cluster.host": "string",
  "cluster.discovery": "boolean",
  "cluster.fsync_limit": "number",
  "devices.start_wait": "number",
  "sync.speed_min": "number",
  "sync.speed_max": "number",
  "sync.link_share": "number",
  "log.level": "string",
} as const;

type Key = keyof typeof KEYS;

/** Number of single-character edits between two short words. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The key that was probably meant; null when none is like it. */
const nearestKey = (key: string): string | null => {
  const nearest = Object.keys(KEYS).reduce((best, candidate) =>
    editDistance(key, candidate) < editDistance(key, best) ? candidate : best,
  );
  return editDistance(key, nearest) <= key.length / 2 ? nearest : null;
};

const hasType = (value: unknown, type: (typeof KEYS)[Key]): boolean =>
  type === "strings"
    ? Array.isArray(value) && value.every((item) => typeof item === "string")
    : typeof value === type;

/** The keys of the parsed file in dotted form, each known and of its type. */
const flatten = (table: Record<string, unknown>, prefix = ""): Values => {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(table)) {
    const key = prefix + name;
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value);
    if (
      isTable &&
      prefix === "" &&
      Object.keys(KEYS).some((known) => known.startsWith(`${key}.`))
    ) {
      Object.assign(values, flatten(value as Record<string, unknown>, `${key}.`));
    } else if (!Object.hasOwn(KEYS, key)) {
      const nearest = nearestKey(key);
      const guess = nearest === null ? "" : `did you mean ${nearest}? `;
      throw new CodedError("CONFIG_UNKNOWN_KEY", `there is no key ${key}`, {
        remedy: `${guess}docs/configuration.md lists every key`,
        details: { key, nearest },
      });
    } else if (!hasType(value, KEYS[key as Key])) {
      const type = KEYS[key as Key];
      throw invalid(
        key,
        value,
        `must be ${type === "strings" ? "an array of strings" : `a ${type}`}`,
      );
    } else {
      values[key] = value;
    }
  }
  return values;
};

const readFile = (file: string): Values => {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CodedError("CONFIG_UNREADABLE", `${file} cannot be read`, {
      remedy: "give a readable file with --config",
      cause: error,
    });
  }
  let table: Record<string, unknown>;
  try {
    table = parseToml(text);
  } catch (error) {
    const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n", 1);
    throw new CodedError("CONFIG_SYNTAX", `${file} is no TOML: ${reason}`, {
      remedy: "correct the line named",
      cause: error,
    });
  }
  return flatten(table);
};

const parseWorkers = (value: unknown): number => {
  const workers = typeof value === "string" ? Number(value) : value;
  if (!Number.isInteger(workers) || (workers as number) < 1 || (workers as number) > WORKERS_MAX) {
    throw invalid("nbd.workers", value, `must be a whole number from 1 to ${WORKERS_MAX}`);
  }
  return workers as number;
};

/** Whole seconds; as milliseconds. */
const parseDeviceSeconds = (key: Key, value: unknown): number => {
  const seconds = value as number;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > DEVICE_SECONDS_MAX) {
    const must = `must be a whole number of seconds from 1 to ${DEVICE_SECONDS_MAX}, or 0`;
    throw invalid(key, value, must);
  }
  return seconds * 1000;
};

const deviceTimes = (file: Values) => {
  const seconds = (key: Key, usual: number) => parseDeviceSeconds(key, file[key] ?? usual);
  const answerLimit = seconds("devices.answer_limit", ANSWER_LIMIT);
  return {
    answerLimitMs: answerLimit === 0 ? null : answerLimit,
    startWaitMs: seconds("devices.start_wait", START_WAIT),
  };
};

const parseSyncSpeed = (file: Values): Config["syncSpeed"] => {
  const speed = (key: Key, usual: number): number => {
    const value = (file[key] as number | undefined) ?? usual;
    if (Number.isInteger(value) && value >= SYNC_SPEED_LEAST && value <= SYNC_SPEED_MOST)
      return value;
    throw invalid(key, value, `must be bytes per second from ${SYNC_SPEED_LEAST} to 2^40`);
  };
  const max = speed("sync.speed_max", SYNC_SPEED.max);
  const min = speed("sync.speed_min", Math.min(SYNC_SPEED.min, max));
  if (min > max) throw invalid("sync.speed_min", min, `must be at most sync.speed_max, ${max}`);
  return { min, max };
};

const parseLinkShare = (file: Values): number => {
  const value = (file["sync.link_share"] as number | undefined) ?? LINK_SHARE;
  if (value >= LINK_SHARE_LEAST && value <= 1) return value;
  throw invalid("sync.link_share", value, `must be a number from ${LINK_SHARE_LEAST} to 1`);
};

const parseSocket = (value: string): string | null => {
  if (value === "") {
    return null;
  }
  const socket = path.resolve(value);
  const bytes = Buffer.byteLength(socket);
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw invalid("nbd.socket", socket, `has ${bytes} bytes, at most ${SOCKET_PATH_BYTES_MAX} fit`);
  }
  return socket;
};

const parseTls = (values: Values): TlsFiles | null => {
  const certificate = values["nbd.tls_certificate"];
  const key = values["nbd.tls_key"];
  const authority = values["nbd.tls_client_authority"];
  if (certificate === undefined && key === undefined && authority === undefined) {
    return null;
  }
  if (certificate === undefined || key === undefined) {
    throw invalid("nbd.tls_certificate", certificate ?? null, "and nbd.tls_key belong together");
  }
  return {
    certificate: path.resolve(String(certificate)),
    key: path.resolve(String(key)),
    clientAuthority: authority === undefined ? null : path.resolve(String(authority)),
  };
};

const defaultName = (): string =>
  hostname()
    .replace(/[^A-Za-z0-9.-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 63) || "satsuma";

/** Defaults, file and flags as one checked configuration. Errors: CONFIG_*. */
export function loadConfig(flags: ConfigFlags): Config {
  const file = flags.config === undefined ? {} : readFile(flags.config);
  const text = (key: Key, flag: string | undefined): string | undefined =>
    flag ?? (file[key] as string | undefined);

  const chosen = text("data", flags.data);
  if (chosen === undefined || chosen === "") {
    throw new CodedError("CONFIG_DATA_MISSING", "no data directory is given", {
      remedy: "give one with --data DIR",
    });
  }
  const dataDirectory = path.resolve(chosen);
  const level = text("log.level", undefined) ?? "info";
  if (!LOG_LEVELS.includes(level as LogLevel)) {
    throw invalid("log.level", level, `must be one of ${LOG_LEVELS.join(", ")}`);
  }
  const listen = text("http.listen", flags.http);
  const http =
    listen === undefined ? HTTP_DEFAULT : parseAddress("http.listen", listen, HTTP_DEFAULT.host);
  const nbd = text("nbd.listen", flags.nbd);
  const socket = text("nbd.socket", flags.nbdSocket) ?? path.join(dataDirectory, "nbd.sock");
  const cores = Math.min(4, availableParallelism());
  const nodeName = parseName(text("name", flags.name) ?? defaultName());
  const devices = text("devices.directory", undefined) ?? path.join(dataDirectory, "disks");
  const cluster = parseCluster(file, flags, nodeName);
  const isDirect = (file["devices.direct"] as boolean | undefined) ?? false;
  return Object.freeze({
    dataDirectory,
    nodeName,
    isLabMode: flags.lab ?? (file["lab"] as boolean | undefined) ?? false,
    http,
    nbdTcp:
      nbd === undefined
        ? NBD_DEFAULT
        : nbd === ""
          ? null
          : parseAddress("nbd.listen", nbd, NBD_DEFAULT.host),
    nbdSocketPath: parseSocket(socket),
    nbdTls: parseTls(file),
    ioWorkers: parseWorkers(flags.workers ?? file["nbd.workers"] ?? cores),
    devicesDirectory: path.resolve(devices),
    devicePaths: Object.freeze(
      ((file["devices.paths"] as string[] | undefined) ?? []).map((item) => path.resolve(item)),
    ),
    ...deviceTimes(file),
    syncSpeed: parseSyncSpeed(file),
    linkShare: parseLinkShare(file),
    // Peers read and write a disk through the page cache, so its own board does as well.
    isDirect: isDirect && cluster?.exporter == null,
    cluster,
    life: parseLife(file, http),
    logLevel: level as LogLevel,
  });
}

/** What the online verbs take from the environment; empty variables count as absent. */
export function clientEnvironment(): {
  readonly api: string | null;
  readonly token: string | null;
} {
  return {
    api: process.env["SATSUMA_API"] || null,
    token: process.env["SATSUMA_TOKEN"] || null,
  };
}

/** Where `demo` keeps its board unless told otherwise. Source: XDG Base Directory Specification. */
export function demoDirectory(): string {
  const state = process.env["XDG_STATE_HOME"];
  const base =
    state !== undefined && path.isAbsolute(state) ? state : path.join(homedir(), ".local", "state");
  return path.join(base, "satsuma", "demo");
}
