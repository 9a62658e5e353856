/**
 * Which part of the program may import which. One row per area; the first row whose `files` matches
 * a path is its row. `may` lists what else of the project it may import, `packages` which npm
 * packages, `node` which built-in modules. Files of one area import each other freely.
 */

export interface ImportRow {
  readonly area: string;
  readonly files: RegExp;
  readonly may: readonly RegExp[];
  readonly packages: readonly RegExp[];
  /** Names without `node:`. */
  readonly node: "all" | "none" | readonly string[];
}

/** Files inside pure areas that may do I/O, by the ends of their names. */
export const EDGE_FILE = /-(driver|device|client)\.ts$|\.worker\.ts$/;

const COMMON = /^src\/common\//;
const CONSTANTS = /^src\/constants(\.ts|\/)/;
const CONFIG = /^src\/config(-[a-z]+)?\.ts$/;
const HAL_PORTS = /^src\/hal\/[^/]+\.ts$/;
const HAL_LINUX = /^src\/hal\/linux\//;
const HAL_RK3588 = /^src\/hal\/rk3588\//;
const HAL_SIM = /^src\/hal\/sim\//;
const HAL_LAYERS = /^src\/hal\/layers\//;
/** The layer that array and I/O workers give a hung member up by. */
const HAL_REVOCABLE = /^src\/hal\/layers\/revocable-device\.ts$/;
const RAID = /^src\/raid\//;
const NBD = /^src\/nbd\//;
const CLUSTER = /^src\/cluster\//;
/** The lock manager: knows nothing of arrays, members or networks. */
const CLUSTER_DLM = /^src\/cluster\/dlm\//;
/** What the boards agree in, and locks kept there; below the rest of the cluster. */
const CLUSTER_STORE = /^src\/cluster\/store\//;
/** md-cluster's messages: over locks, or as records of a store; neither is theirs. */
const CLUSTER_MD = /^src\/cluster\/md\//;
/** What a node tells of its cluster: plain values. */
const CLUSTER_VIEW = /^src\/cluster\/node\/cluster-view\.ts$/;
/** How many nodes a bitmap has room for: the API tells the same limit as the engine. */
const BITMAP_LIMITS = /^src\/raid\/bitmap-superblock\.ts$/;
/** What an array asks of its cluster; the only thing of raid/ that the cluster knows. */
const CLUSTER_PORT = /^src\/raid\/cluster-port\.ts$/;
const STORE = /^src\/store\//;
/** Keeps a second process from a folder; what the store holds is the daemon's alone. */
const FOLDER_LOCK = /^src\/store\/folder-lock\.ts$/;
const PEERS = /^src\/peers\//;
/** Cluster life: certificates, tokens, join, the etcd that the firmware runs. */
const LIFE = /^src\/life\//;
const CONTROL = /^src\/control\//;
const API = /^src\/api\//;
const API_SCHEMAS = /^src\/api\/schemas\//;
const WORKERS = /^src\/workers\//;
const CLI = /^src\/cli\//;
const WEB = /^web\//;
const TOP_OF_SRC = /^src\/[^/]+\.ts$/;
const ANYTHING = /^src\//;

/** What of raid/ and nbd/ the control plane may see: status values, ports, facades, plans. */
const RAID_PUBLIC =
  /^src\/raid\/(.*-status|.*-driver|.*-device|create-plan|create-options|array-change|raid10-layout|uuid)\.ts$/;
const NBD_PUBLIC = /^src\/nbd\/(export-backend|.*-driver)\.ts$/;
const RAID_STATUS = /^src\/raid\/.*-status\.ts$/;
/** The storage engine's interface: declared by control, implemented by workers. */
const ENGINE = /^src\/control\/(engine|peer-boards)\.ts$/;

const WEB_SERVER = [/^fastify$/, /^@fastify\//, /^typebox(\/|$)/, /^prom-client$/, /^pino$/];
const PANEL = [/^preact(\/|$)/, /^@preact\//, /^vite$/];

export const IMPORT_TABLE: readonly ImportRow[] = [
  { area: "common", files: COMMON, may: [], packages: [], node: "none" },
  { area: "constants", files: CONSTANTS, may: [COMMON], packages: [], node: "none" },
  {
    area: "config",
    files: CONFIG,
    may: [COMMON, CONSTANTS],
    packages: [/^smol-toml$/],
    node: "all",
  },
  { area: "hal ports", files: HAL_PORTS, may: [COMMON], packages: [], node: "none" },
  {
    area: "hal/linux",
    files: HAL_LINUX,
    may: [COMMON, CONSTANTS, HAL_PORTS],
    packages: [/^koffi$/],
    node: "all",
  },
  {
    area: "hal/rk3588",
    files: HAL_RK3588,
    may: [COMMON, CONSTANTS, HAL_PORTS, HAL_LINUX],
    packages: [/^onoff$/, /^serialport$/],
    node: "all",
  },
  {
    area: "hal/sim",
    files: HAL_SIM,
    may: [COMMON, CONSTANTS, HAL_PORTS],
    packages: [],
    node: "none",
  },
  {
    area: "hal/layers",
    files: HAL_LAYERS,
    may: [COMMON, CONSTANTS, HAL_PORTS],
    packages: [],
    node: "none",
  },
  {
    area: "raid",
    files: RAID,
    may: [COMMON, CONSTANTS, HAL_PORTS, HAL_REVOCABLE],
    packages: [],
    node: ["worker_threads"],
  },
  { area: "nbd", files: NBD, may: [COMMON, CONSTANTS, HAL_PORTS], packages: [], node: "all" },
  { area: "cluster/dlm", files: CLUSTER_DLM, may: [COMMON], packages: [], node: "none" },
  {
    area: "cluster/store",
    files: CLUSTER_STORE,
    may: [CLUSTER_DLM, COMMON],
    packages: [],
    node: ["http", "https", "tls"],
  },
  {
    area: "cluster/md",
    files: CLUSTER_MD,
    may: [CLUSTER_DLM, COMMON],
    packages: [],
    node: "none",
  },
  {
    area: "cluster",
    files: CLUSTER,
    may: [CLUSTER_DLM, CLUSTER_STORE, CLUSTER_MD, COMMON, CONSTANTS, HAL_PORTS, CLUSTER_PORT],
    packages: [],
    node: "all",
  },
  /** Disks that boards serve to each other: both ends. */
  {
    area: "peers",
    files: PEERS,
    may: [COMMON, CONSTANTS, HAL_PORTS, NBD, CLUSTER_STORE],
    packages: [],
    node: "all",
  },
  {
    area: "life",
    files: LIFE,
    may: [COMMON, CONSTANTS, HAL_PORTS, HAL_LINUX, CLUSTER_STORE],
    packages: [/^@peculiar\/x509$/, /^reflect-metadata$/, /^multicast-dns$/],
    node: "all",
  },
  {
    area: "store",
    files: STORE,
    may: [COMMON],
    packages: [/^better-sqlite3$/],
    node: "all",
  },
  {
    area: "control",
    files: CONTROL,
    may: [COMMON, CONSTANTS, HAL_PORTS, RAID_PUBLIC, NBD_PUBLIC, STORE, CLUSTER_VIEW, LIFE],
    packages: [/^croner$/],
    node: "all",
  },
  {
    area: "api",
    files: API,
    may: [COMMON, CONTROL, RAID_STATUS, BITMAP_LIMITS, CLUSTER_VIEW],
    packages: WEB_SERVER,
    node: "all",
  },
  {
    area: "workers",
    files: WORKERS,
    may: [
      COMMON,
      CONSTANTS,
      HAL_PORTS,
      HAL_LINUX,
      HAL_SIM,
      HAL_LAYERS,
      RAID,
      NBD,
      CLUSTER,
      PEERS,
      ENGINE,
    ],
    packages: [],
    node: "all",
  },
  {
    area: "cli",
    files: CLI,
    may: [
      COMMON,
      CONSTANTS,
      CONFIG,
      HAL_PORTS,
      HAL_LINUX,
      RAID,
      LIFE,
      CONTROL,
      API_SCHEMAS,
      FOLDER_LOCK,
    ],
    packages: [/^commander$/],
    node: "all",
  },
  { area: "web", files: WEB, may: [API_SCHEMAS], packages: PANEL, node: "all" },
  { area: "top of src", files: TOP_OF_SRC, may: [ANYTHING], packages: [/./], node: "all" },
];

/** Pure areas: decisions only. Their edge files are named by EDGE_FILE. */
export const PURE_FILES = /^src\/(common|raid|nbd|cluster|peers)\//;
