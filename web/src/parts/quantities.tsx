/** Sizes and times as they stand in a sentence, with the exact value on hover. */

import { formatAge, formatTime } from "../format/duration.ts";
import { formatBytes, formatBytesDecimal } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { now } from "../shell/clock.ts";

const JUST_NOW_MS = 5000;

/** A size in binary units; in decimal units and exactly on hover. */
export function Bytes({ value }: { value: number }) {
  return (
    <span class="number" title={formatBytesDecimal(value)}>
      {formatBytes(value)}
    </span>
  );
}

/** The size of a disk; one that cannot be read has none. */
export function DiskSize({ value }: { value: number }) {
  return value === 0 ? <span>{t("common.none")}</span> : <Bytes value={value} />;
}

/** How long ago a time (RFC 3339) was; the time itself on hover. Null shows a dash. */
export function TimeAgo({ time }: { time: string | null }) {
  if (time === null) {
    return <span>{t("common.none")}</span>;
  }
  const at = Date.parse(time);
  const text =
    now.value - at < JUST_NOW_MS
      ? t("common.now")
      : t("common.ago", { duration: formatAge(at, now.value) });
  return (
    <time class="number" dateTime={time} title={formatTime(at)}>
      {text}
    </time>
  );
}
