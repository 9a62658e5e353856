/**
 * The schema of the settings database, as an ordered list of steps. `PRAGMA user_version` counts
 * the steps applied. A released step is never changed: a new one is appended.
 */

const FIRST_SLICE = `
CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  secret_sha256 BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
  id TEXT PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  label TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE arrays (
  uuid TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  desired_state TEXT NOT NULL CHECK (desired_state IN ('started', 'stopped')),
  read_only INTEGER NOT NULL,
  member_paths TEXT NOT NULL,
  last_status TEXT,
  sync_speed_min INTEGER,
  sync_speed_max INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE exports (
  name TEXT PRIMARY KEY,
  array_uuid TEXT NOT NULL,
  description TEXT NOT NULL,
  read_only INTEGER NOT NULL,
  tls_required INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  type TEXT NOT NULL,
  severity TEXT NOT NULL,
  subject TEXT NOT NULL,
  message TEXT NOT NULL,
  mdadm_event TEXT,
  details TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  subject TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_age ON jobs (created_at, id);

CREATE TABLE stored_replies (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  location TEXT,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;

const SCRUBS_AND_SPARES = `
CREATE TABLE scrub_schedules (
  array_uuid TEXT PRIMARY KEY,
  document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scrubs (
  id INTEGER PRIMARY KEY,
  array_uuid TEXT NOT NULL,
  is_ended INTEGER NOT NULL,
  is_whole_success INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX scrubs_by_array ON scrubs (array_uuid, id);

CREATE TABLE array_spares (
  array_uuid TEXT PRIMARY KEY,
  spare_group TEXT,
  spares_when_whole INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE spare_moves (
  path TEXT PRIMARY KEY,
  from_uuid TEXT NOT NULL,
  to_uuid TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

const LOST_CONTENT = `
ALTER TABLE devices ADD COLUMN lost_content TEXT;
ALTER TABLE devices ADD COLUMN file_identity TEXT;
ALTER TABLE devices ADD COLUMN file_bytes INTEGER;
`;

/** What other boards' disks lost is told by their own board. */
const LOST_MEMBER = `
ALTER TABLE devices ADD COLUMN lost_member TEXT;
UPDATE devices SET lost_content = NULL, file_identity = NULL, file_bytes = NULL
  WHERE path LIKE 'peer:%';
`;

/** One script per version: entry n takes a database from version n to n + 1. */
export const MIGRATIONS: readonly string[] = [
  FIRST_SLICE,
  SCRUBS_AND_SPARES,
  LOST_CONTENT,
  LOST_MEMBER,
];
