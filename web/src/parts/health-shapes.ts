/**
 * The icons of the eight words of health: each has an outline of its own, so that none depends on
 * its colour. Paths in a 16 × 16 box; `mark` is cut out of `body`.
 */

import type { HealthWord } from "../../../src/api/schemas/array.ts";

/** One icon. */
export interface HealthShape {
  readonly body: string;
  readonly mark: string;
  /** Colour for the page's icon, which style sheets do not reach. */
  readonly colour: string;
}

const CIRCLE = "M8 .75a7.25 7.25 0 1 1 0 14.5a7.25 7.25 0 0 1 0-14.5z";

/** The icons by word. */
export const HEALTH_SHAPES: Readonly<Record<HealthWord, HealthShape>> = {
  optimal: { body: CIRCLE, mark: "M4.75 8.25l2.25 2.25l4.25-4.75", colour: "#1a7f4b" },
  building: {
    body: "M2.5 1h11a1.5 1.5 0 0 1 1.5 1.5v11a1.5 1.5 0 0 1-1.5 1.5h-11a1.5 1.5 0 0 1-1.5-1.5v-11a1.5 1.5 0 0 1 1.5-1.5z",
    mark: "M4.5 11.5v-1.75M8 11.5v-4.25M11.5 11.5v-7",
    colour: "#2563c9",
  },
  resyncing: {
    body: "M5.25 3.5h5.5a4.5 4.5 0 0 1 0 9h-5.5a4.5 4.5 0 0 1 0-9z",
    mark: "M3.5 6.5h7.25M8.75 4.75l2 1.75M12.5 9.5h-7.25M7.25 11.25l-2-1.75",
    colour: "#0b7285",
  },
  degraded: {
    body: "M8 .9c.5 0 1 .3 1.3.8l6.2 11.2c.6 1.05-.1 2.35-1.3 2.35h-12.4c-1.2 0-1.9-1.3-1.3-2.35l6.2-11.2c.3-.5.8-.8 1.3-.8z",
    mark: "M8 5.5v4M8 12v.25",
    colour: "#b06a00",
  },
  recovering: {
    body: "M8 .75l6.5 2.25v5c0 3.5-2.7 6-6.5 7.25c-3.8-1.25-6.5-3.75-6.5-7.25v-5z",
    mark: "M8 11.25v-6.5M5.25 7.25l2.75-2.75l2.75 2.75",
    colour: "#7446c4",
  },
  failed: {
    body: "M5 .75h6l4.25 4.25v6l-4.25 4.25h-6l-4.25-4.25v-6z",
    mark: "M5.25 5.25l5.5 5.5M10.75 5.25l-5.5 5.5",
    colour: "#c0262d",
  },
  inactive: { body: CIRCLE, mark: "M6.25 5.25v5.5M9.75 5.25v5.5", colour: "#6b665e" },
  unknown: {
    body: "M8 .5l7.5 7.5l-7.5 7.5l-7.5-7.5z",
    mark: "M6.25 6.5c0-2.25 3.5-2.25 3.5 0c0 1.25-1.75 1.25-1.75 2.5M8 11.25v.1",
    colour: "#6b665e",
  },
};

/** The icon of a word as a data: address, for the page's icon. */
export function faviconOf(health: HealthWord): string {
  const { body, mark, colour } = HEALTH_SHAPES[health];
  const stroke =
    'fill="none" stroke="#fff" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="${colour}" d="${body}"/><path ${stroke} d="${mark}"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
