/** Durations, ranges of durations and points in time as text. */

interface Rounded {
  readonly amount: number;
  readonly unit: "s" | "min" | "h" | "d";
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Up to 90 s in seconds, up to 60 min in minutes, then with a second unit. */
const round = (seconds: number): Rounded => {
  if (seconds < 1.5 * MINUTE) {
    return { amount: Math.round(seconds), unit: "s" };
  }
  if (seconds < HOUR) {
    return { amount: Math.round(seconds / MINUTE), unit: "min" };
  }
  return seconds < DAY
    ? { amount: Math.round(seconds / MINUTE) * MINUTE, unit: "h" }
    : { amount: Math.round(seconds / HOUR) * HOUR, unit: "d" };
};

const twoUnits = (seconds: number, big: number, small: number, units: [string, string]): string => {
  const whole = Math.floor(seconds / big);
  const rest = Math.round((seconds - whole * big) / small);
  return rest === 0 ? `${whole} ${units[0]}` : `${whole} ${units[0]} ${rest} ${units[1]}`;
};

/** `45 s`, `12 min`, `2 h 30 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const { amount, unit } = round(Math.max(0, seconds));
  switch (unit) {
    case "s":
      return amount < 1 ? "< 1 s" : `${amount} s`;
    case "min":
      return amount === 60 ? "1 h" : `${amount} min`;
    case "h":
      return twoUnits(amount, HOUR, MINUTE, ["h", "min"]);
    case "d":
      return twoUnits(amount, DAY, HOUR, ["d", "h"]);
  }
}

/** A range of durations: `40–55 s`, `3–4 min`, `55 s – 2 min`; one value when both look alike. */
export function formatDurationRange(low: number, high: number): string {
  const from = formatDuration(low);
  const to = formatDuration(high);
  if (from === to) {
    return from;
  }
  const [short, long] = [round(low), round(high)];
  const isOneUnit = short.unit === long.unit && (short.unit === "s" || short.unit === "min");
  return isOneUnit && short.amount >= 1 && to.endsWith(` ${short.unit}`)
    ? `${short.amount}–${to}`
    : `${from} – ${to}`;
}

/** How long before `now` the time was, in one unit: `12 s`, `3 min`, `2 h`, `4 d`. */
export function formatAge(time: number, now: number): string {
  const seconds = Math.max(0, (now - time) / 1000);
  if (seconds < MINUTE) {
    return `${Math.floor(seconds)} s`;
  }
  if (seconds < HOUR) {
    return `${Math.floor(seconds / MINUTE)} min`;
  }
  return seconds < DAY ? `${Math.floor(seconds / HOUR)} h` : `${Math.floor(seconds / DAY)} d`;
}

/** Date and time to the second, in the reader's time zone. */
export function formatTime(time: number): string {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" }).format(
    time,
  );
}

/** The time of day alone: `14:02:05`. */
export function formatClock(time: number): string {
  return new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }).format(time);
}
