/**
 * The name `mdadm --monitor` gives to an event, for people and scripts that know those names.
 *
 * Source: mdadm.8, "MONITOR MODE"; RebuildNN counts in steps of 20 percent by default.
 */

const NAMES: Readonly<Record<string, string>> = {
  "array.created": "NewArray",
  "array.started": "NewArray",
  "array.stopped": "DeviceDisappeared",
  "array.degraded": "DegradedArray",
  "array.broken": "DeviceDisappeared",
  "sync.started": "RebuildStarted",
  "sync.finished": "RebuildFinished",
  "member.failed": "Fail",
  "spare.failed": "FailSpare",
  "spare.active": "SpareActive",
  "spare.moved": "MoveSpare",
  "spare.missing": "SparesMissing",
};

/** mdadm's name of an event of `type`, or null; `percent` belongs to `sync.progress`. */
export function mdadmEventName(type: string, percent: number | null = null): string | null {
  if (type === "sync.progress" && percent !== null) {
    return `Rebuild${percent}`;
  }
  return NAMES[type] ?? null;
}
