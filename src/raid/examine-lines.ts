/**
 * The look of mdadm's reports: right-aligned labels, blank lines between groups, C's time format.
 */

/** One line of a report: a label and its value, a line as it is, or a blank line. */
export type ReportLine =
  | { readonly label: string; readonly value: string }
  | { readonly text: string };

/** Width of the labels of `--examine` and of `--examine-bitmap`. */
export const EXAMINE_LABEL_WIDTH = 15;
export const BITMAP_LABEL_WIDTH = 16;

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const MONTHS = [
  "Jan",
  "Feb",
  "Mar",
  "Apr",
  "May",
  "Jun",
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
] as const;

/** The lines as text, ending in a newline. */
export function renderReport(lines: readonly ReportLine[], labelWidth: number): string {
  return lines
    .map((line) =>
      "text" in line ? `${line.text}\n` : `${line.label.padStart(labelWidth)} : ${line.value}\n`,
    )
    .join("");
}

/** `Sun Nov 22 15:48:05 2026`: C's ctime in the time zone of the process. */
export function formatCtime(seconds: number): string {
  const time = new Date(seconds * 1000);
  if (Number.isNaN(time.getTime())) return "-unknown-";
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  const day = String(time.getDate()).padStart(2);
  return `${DAYS[time.getDay()]} ${MONTHS[time.getMonth()]} ${day} ${clock} ${time.getFullYear()}`;
}

/** mdadm's names of levels. Source: mdadm maps.c pers. */
export function levelName(level: number): string {
  const names = new Map([
    [-1, "linear"],
    [0, "raid0"],
    [1, "raid1"],
    [4, "raid4"],
    [5, "raid5"],
    [6, "raid6"],
    [10, "raid10"],
    [-4, "multipath"],
  ]);
  return names.get(level) ?? "-unknown-";
}

/** mdadm's names of raid5 and raid6 layouts, for reports. Source: mdadm maps.c r5layout. */
export function parityLayoutName(layout: number): string {
  const names = ["left-asymmetric", "right-asymmetric", "left-symmetric", "right-symmetric"];
  return names[layout] ?? "-unknown-";
}
