/**
 * Every error code that a request may end in, with its problem type and HTTP status. Codes of the
 * engine that are not listed fall to the row of their area.
 */

/** How a code shows: HTTP status, slug of the problem type, title. */
export interface ProblemKind {
  readonly status: number;
  readonly slug: string;
  readonly title: string;
}

const kind = (status: number, slug: string, title: string): ProblemKind => ({
  status,
  slug,
  title,
});

const NOT_FOUND = kind(404, "not-found", "There is no such thing");
const DEVICE_IN_USE = kind(409, "device-in-use", "The device is in use");
const NOT_CLEAN = kind(409, "device-not-clean", "The device holds something");
const TOO_SMALL = kind(422, "device-too-small", "The device is too small");
const ARRAY_BUSY = kind(409, "array-busy", "Another verb is under way on the array");
const NOT_RUNNING = kind(409, "array-not-running", "The array does not run");
const UNFIT = kind(422, "validation-failed", "The request does not fit the devices");
const UNFIT_NAME = kind(422, "validation-failed", "The request does not fit");
const TOKEN_REFUSED = kind(403, "token-refused", "The join token does not let this machine in");
const NO_MEMBERS = kind(409, "no-members", "No member of the array is there");
const NOT_ONE_ARRAY = kind(409, "not-one-array", "The devices are not of one array");
const ON_CLUSTERED = kind(422, "unsupported-on-clustered", "A clustered array cannot be like that");
const LEVEL = kind(422, "level-unsupported", "The raid level is not supported");
const OVERLOADED = kind(503, "overloaded", "The board is too busy");
const NO_SPACE = kind(507, "no-space", "There is no space left");
const KEY_DAMAGED = kind(409, "store-key-damaged", "A key of the cluster store is damaged");
const STORE_UNFIT = kind(409, "store-unfit", "The cluster store cannot be used");
const STORE_FAILED = kind(500, "store-failed", "The settings database failed");

/** The table. Rows of one code each; a test compares it with the sources. */
export const PROBLEM_KINDS: Readonly<Record<string, ProblemKind>> = {
  API_MALFORMED_REQUEST: kind(400, "malformed-request", "The request cannot be read"),
  API_UNAUTHENTICATED: kind(401, "unauthenticated", "A valid token is needed"),
  API_NOT_FOUND: NOT_FOUND,
  API_CURSOR_EXPIRED: kind(410, "cursor-expired", "The cursor is too old"),
  API_TOO_LARGE: kind(413, "too-large", "The body is too large"),
  API_HEADERS_TOO_LARGE: kind(431, "headers-too-large", "The URL or a header is too long"),
  API_REQUEST_TIMEOUT: kind(408, "request-timeout", "The request took too long to arrive"),
  API_UNSUPPORTED_MEDIA_TYPE: kind(415, "unsupported-media-type", "The body must be JSON"),
  API_VALIDATION_FAILED: kind(422, "validation-failed", "The request does not fit its schema"),
  API_IDEMPOTENCY_KEY_REUSED: kind(
    422,
    "idempotency-key-reused",
    "The Idempotency-Key belongs to another request",
  ),
  API_IDEMPOTENCY_IN_PROGRESS: kind(
    409,
    "idempotency-in-progress",
    "The first request with this Idempotency-Key is still under way",
  ),
  API_RATE_LIMITED: kind(429, "rate-limited", "Too many requests"),
  API_STREAMS_FULL: OVERLOADED,
  API_OVERLOADED: OVERLOADED,
  API_NOT_READY: kind(503, "not-ready", "The board is starting or ending"),
  API_INTERNAL: kind(500, "internal", "The daemon has a defect"),

  CONTROL_ARRAY_NOT_FOUND: NOT_FOUND,
  CONTROL_DEVICE_NOT_FOUND: NOT_FOUND,
  CONTROL_EXPORT_NOT_FOUND: NOT_FOUND,
  CONTROL_JOB_NOT_FOUND: NOT_FOUND,
  CONTROL_MEMBER_NOT_FOUND: NOT_FOUND,
  CONTROL_NODE_NOT_FOUND: NOT_FOUND,
  CONTROL_NODE_ELSEWHERE: kind(421, "other-board", "Another board has to be asked"),
  CONTROL_NODE_BUSY: kind(409, "node-busy", "The board is on its way in or out of service"),
  CONTROL_NODE_DRAINED: kind(409, "node-drained", "The board is out of service"),
  CONTROL_NODE_IN_SERVICE: kind(409, "node-in-service", "The board is in service"),
  CONTROL_DRAIN_REFUSED: kind(409, "drain-refused", "The board is needed"),
  CONTROL_RESTART_REFUSED: kind(409, "restart-refused", "The board is needed"),
  CONTROL_UNDRAIN_INCOMPLETE: kind(502, "undrain-incomplete", "Not everything is back"),
  CONTROL_CLUSTER_IN_USE: kind(409, "cluster-in-use", "Arrays of the cluster run here"),
  CONTROL_DEPARTURE_REFUSED: kind(409, "departure-refused", "The board is needed"),
  LIFE_NO_CLUSTER: kind(409, "no-cluster", "The board is in no cluster"),
  LIFE_NO_SUCH_BOARD: NOT_FOUND,
  LIFE_NO_SUCH_TOKEN: NOT_FOUND,
  LIFE_BAD_NAME: UNFIT_NAME,
  LIFE_BAD_TOKEN: UNFIT_NAME,
  LIFE_ISSUER_AWAY: kind(502, "issuer-away", "The board that made the token does not answer"),
  LIFE_TOKEN_REFUSED: TOKEN_REFUSED,
  LIFE_TOKEN_USED: TOKEN_REFUSED,
  LIFE_TOKEN_EXPIRED: TOKEN_REFUSED,
  LIFE_TOKEN_OTHER_PURPOSE: TOKEN_REFUSED,
  LIFE_WRONG_CLUSTER: TOKEN_REFUSED,
  LIFE_ETCD_AWAY: kind(503, "cluster-unavailable", "The cluster cannot be used"),
  LIFE_FILES_UNUSABLE: kind(409, "files-unusable", "The cluster's files cannot be used"),
  CONTROL_NAME_TAKEN: kind(409, "name-taken", "The name is taken"),
  CONTROL_NAME_AMBIGUOUS: kind(409, "name-ambiguous", "The name is not unique"),
  CONTROL_DEVICE_IN_USE: DEVICE_IN_USE,
  CONTROL_PEERS_DISK: UNFIT,
  CONTROL_DEVICE_TWICE: DEVICE_IN_USE,
  CONTROL_DEVICE_NOT_CLEAN: NOT_CLEAN,
  CONTROL_DEVICE_MISSING: kind(409, "device-missing", "The device is not there"),
  CONTROL_DEVICE_UNUSABLE: kind(422, "device-unusable", "The device cannot be used"),
  CONTROL_DEVICE_NOT_GONE: kind(409, "device-not-gone", "The device is not gone"),
  CONTROL_DEVICES_FULL: NO_SPACE,
  CONTROL_EXPORTS_FULL: NO_SPACE,
  CONTROL_ARRAY_BUSY: ARRAY_BUSY,
  CONTROL_ARRAY_NOT_RUNNING: NOT_RUNNING,
  CONTROL_ARRAY_RUNNING: kind(409, "array-running", "The array runs already"),
  CONTROL_ARRAY_EXPORTED: kind(409, "array-exported", "Clients are attached to the array"),
  CONTROL_EXPORT_IN_USE: kind(409, "export-in-use", "Clients are attached to the export"),
  CONTROL_NOT_ONE_ARRAY: NOT_ONE_ARRAY,
  CONTROL_NO_MEMBERS: NO_MEMBERS,
  CLUSTER_BAD_CHANNEL: KEY_DAMAGED,
  CLUSTER_BAD_RECORD: KEY_DAMAGED,
  DLM_BAD_RESOURCE: KEY_DAMAGED,
  CLUSTER_BITMAP_IN_USE: kind(409, "bitmap-in-use", "Other nodes use the array"),
  CLUSTER_DEVICE_NOT_SEEN: kind(409, "device-not-seen", "Another node does not see the device"),
  // Nothing of these passes by itself: who asks again soon gets the same.
  CLUSTER_STORE_REPLACED: kind(409, "store-replaced", "The cluster store is another one"),
  CLUSTER_STORE_BAD_VERSION: STORE_UNFIT,
  CLUSTER_STORE_UNGUARDED: STORE_UNFIT,
  CLUSTER_EXPELLED: kind(503, "expelled", "This board is out of the cluster"),
  CLUSTER_MEMBER_MISSING: kind(409, "member-missing", "A member is missing on this board"),
  CLUSTER_NEWER_COPY_ELSEWHERE: kind(409, "newer-copy-elsewhere", "A newer copy is elsewhere"),
  CLUSTER_NOT_FENCED: kind(503, "not-fenced", "A node that is gone may still write"),
  CLUSTER_NO_SLOT: kind(409, "no-slot", "The array has no node slot left"),
  CONTROL_NO_CLUSTER: kind(409, "no-cluster", "The board is in no cluster"),
  CONTROL_ARRAY_INCOMPLETE: kind(409, "array-incomplete", "A working member is not given"),
  CONTROL_ARRAY_LEFT_CLUSTER: kind(409, "array-left-cluster", "The array is no more clustered"),
  CONTROL_NEWEST_COPY_MISSING: kind(409, "newest-copy-missing", "The newest copy is not there"),
  CONTROL_COPIES_DISAGREE: kind(409, "copies-disagree", "Copies were written apart"),
  CONTROL_MEMBER_RAN_APART: kind(
    409,
    "member-ran-apart",
    "The device holds what no other member does",
  ),
  CONTROL_CONFIRMATION_REQUIRED: kind(428, "confirmation-required", "Confirm by name"),
  CONTROL_SPEED_ORDER: kind(422, "validation-failed", "The speed limits contradict each other"),
  CONTROL_JOB_NOT_CANCELABLE: kind(409, "job-not-cancelable", "The job cannot be cancelled"),
  CONTROL_JOB_NOT_PAUSABLE: kind(409, "job-not-pausable", "The job cannot be paused"),
  CONTROL_JOB_NOT_PAUSED: kind(409, "job-not-paused", "The job is not paused"),
  CONTROL_SCHEDULE_INVALID: kind(422, "validation-failed", "The schedule cannot be kept"),
  CONTROL_RANGE_INVALID: kind(422, "validation-failed", "The range is not in the array"),
  CONTROL_NOTHING_TO_COMPARE: kind(409, "nothing-to-compare", "Only one copy is in sync"),
  CONTROL_SPARE_GROUP_INVALID: kind(422, "validation-failed", "The spare group has a bad name"),
  CONTROL_JOB_INTERRUPTED: kind(500, "job-interrupted", "The job was cut short"),
  CONTROL_JOBS_FULL: OVERLOADED,
  CONTROL_INTERNAL: kind(500, "internal", "The daemon has a defect"),

  RAID_LAST_IN_SYNC_MEMBER: kind(
    409,
    "last-in-sync-member",
    "It is the last member that holds the content",
  ),
  RAID_MEMBER_NOT_FAULTY: kind(409, "member-not-faulty", "The member is in use"),
  RAID_RE_ADD_REFUSED: kind(409, "re-add-refused", "The member cannot be taken back"),
  RAID_DEVICE_TOO_SMALL: TOO_SMALL,
  RAID_MEMBER_TOO_SMALL: TOO_SMALL,
  RAID_DEVICE_IN_USE: DEVICE_IN_USE,
  RAID_DUPLICATE_MEMBER: DEVICE_IN_USE,
  RAID_ALREADY_A_MEMBER: DEVICE_IN_USE,
  RAID_DEVICE_NOT_CLEAN: NOT_CLEAN,
  RAID_NOT_A_MEMBER: NOT_FOUND,
  RAID_SYNC_IN_PROGRESS: kind(409, "sync-in-progress", "Another sync action runs"),
  RAID_ARRAY_CHANGING: ARRAY_BUSY,
  RAID_MEMBER_BUSY: ARRAY_BUSY,
  RAID_ARRAY_STOPPING: NOT_RUNNING,
  ENGINE_ARRAY_NOT_RUNNING: NOT_RUNNING,
  RAID_ARRAY_BROKEN: kind(409, "array-failed", "The array has no in-sync member"),
  RAID_MEMBER_IO_ERROR: kind(502, "device-io-error", "The device failed"),
  RAID_BAD_NAME: UNFIT,
  RAID_BAD_MEMBER_COUNT: UNFIT,
  RAID_BAD_BITMAP_CHUNK: UNFIT,
  RAID_BAD_RANGE: UNFIT,
  RAID_BAD_LAYOUT: kind(422, "layout-unsupported", "The layout does not fit the array"),
  RAID_BAD_CLUSTER: ON_CLUSTERED,
  RAID_UNSUPPORTED_ON_CLUSTERED: ON_CLUSTERED,
  RAID_FLAG_UNSUPPORTED: kind(422, "flag-unsupported", "The level has no such flag"),
  RAID_SECTOR_SIZE_MISMATCH: kind(422, "sector-size-mismatch", "The logical sectors differ"),
  RAID_NOT_ENOUGH_MEMBERS: kind(409, "not-enough-members", "Too few members are there"),
  RAID_NOT_A_SPARE: kind(409, "not-a-spare", "The device is no spare of the array"),
  RAID_MEMBER_NOT_IN_SYNC: kind(409, "member-not-in-sync", "The member is not in sync"),
  RAID_MEMBER_FAULTY: kind(409, "member-faulty", "The member is faulty"),
  RAID_READ_ONLY: kind(409, "array-read-only", "The array is read-only"),
  RAID_NO_MEMBERS: NO_MEMBERS,
  RAID_MIXED_ARRAYS: NOT_ONE_ARRAY,
  RAID_CLUSTERED_ARRAY: kind(409, "array-clustered", "The array belongs to a cluster"),
  RAID_BITMAP_UNUSABLE: kind(409, "bitmap-unusable", "The bitmap cannot be used"),
  RAID_RESHAPE_ACTIVE: kind(409, "reshape-active", "The array is being reshaped"),
  RAID_UNSUPPORTED_METADATA: kind(422, "metadata-unsupported", "The metadata is not supported"),
  RAID_UNSUPPORTED_FEATURE: kind(422, "feature-unsupported", "The array uses an unknown feature"),
  RAID_NO_METADATA_ROOM: UNFIT,
  RAID_SHRINK_REFUSED: kind(409, "shrink-refused", "The array cannot become smaller"),
  RAID_SLOTS_IN_USE: kind(409, "slots-in-use", "Members hold the raid slots"),
  RAID_BAD_BLOCKS_RECORDED: kind(409, "bad-blocks-recorded", "The list has entries"),
  RAID_CHANGE_UNSUPPORTED: kind(409, "change-unsupported", "The array cannot be changed so"),
  RAID_STALE_MEMBER: kind(409, "stale-member", "The device missed updates of the array"),
  RAID_MEMBER_MISSING: kind(409, "member-missing", "A member of the array is not there"),
  RAID_CHANGE_INCOMPLETE: kind(502, "change-incomplete", "The change stopped on the way"),
  RAID_UNSUPPORTED_LEVEL: LEVEL,
  HAL_LAB_MODE_OFF: kind(403, "lab-mode-off", "Lab mode is off"),
  HAL_DEVICE_CLAIMED: kind(409, "device-claimed", "Something else uses the device"),
  HAL_OPEN_FAILED: kind(409, "device-not-openable", "The device cannot be opened"),
  HAL_FILE_EXISTS: kind(409, "name-taken", "The name is taken"),
  HAL_NO_SPACE: NO_SPACE,
  HAL_NOT_WRITABLE: kind(409, "not-writable", "The place cannot be written"),

  STORE_FULL: NO_SPACE,
  STORE_IN_USE: STORE_FAILED,
  STORE_CORRUPT: STORE_FAILED,
  STORE_VERSION_NEWER: STORE_FAILED,
  STORE_NOT_WRITABLE: STORE_FAILED,
  STORE_IO_ERROR: STORE_FAILED,
};

const AREAS: readonly (readonly [prefix: string, kind: ProblemKind])[] = [
  ["RAID_", kind(409, "array-refused", "The array refused")],
  ["ENGINE_", kind(409, "array-refused", "The engine refused")],
  ["NBD_", kind(409, "export-refused", "The NBD server refused")],
  ["DLM_", kind(409, "locks-refused", "The lock manager refused")],
  ["LIFE_", kind(409, "cluster-refused", "The cluster cannot be changed so")],
  ["CLUSTER_", kind(503, "cluster-unavailable", "The cluster cannot be used")],
  ["HAL_", kind(502, "device-io-error", "The device failed")],
  ["CONFIG_", kind(409, "configuration", "The configuration does not allow it")],
];

const DEFECT = kind(500, "internal", "The daemon has a defect");

/** How `code` shows. */
export function problemKind(code: string): ProblemKind {
  return PROBLEM_KINDS[code] ?? AREAS.find(([prefix]) => code.startsWith(prefix))?.[1] ?? DEFECT;
}
