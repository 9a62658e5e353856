/** Health as icon, word and colour together; the same eight words on every page. */

import type { HealthWord } from "../../../src/api/schemas/array.ts";
import { t } from "../messages/translate.ts";
import { HEALTH_SHAPES } from "./health-shapes.ts";

/** The icon alone; the word must stand beside it. */
export function HealthIcon({ health, size = 16 }: { health: HealthWord; size?: number }) {
  const { body, mark } = HEALTH_SHAPES[health];
  return (
    <svg
      class={`health-icon health-${health}`}
      viewBox="0 0 16 16"
      width={size}
      height={size}
      aria-hidden="true"
    >
      <path class="health-body" d={body} />
      <path class="health-cut" d={mark} />
    </svg>
  );
}

/** Icon and word. */
export function HealthMark({ health, size = 16 }: { health: HealthWord; size?: number }) {
  return (
    <span class={`health-mark health-${health}`} data-health={health}>
      <HealthIcon health={health} size={size} />
      <span>{t(`health.${health}`)}</span>
    </span>
  );
}
