/** A sync under way: the bar with percent, speed and time left, and its texts for other places. */

import type { SyncResource } from "../../../src/api/schemas/array.ts";
import { formatDurationRange } from "../format/duration.ts";
import { formatPercent, formatRate } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { Meter } from "./meter.tsx";

/** Time left as a range; in words when it is not known. */
export function etaText(sync: Pick<SyncResource, "eta">): string {
  return sync.eta === null
    ? t("sync.eta-unknown")
    : formatDurationRange(sync.eta.low, sync.eta.high);
}

/** Time left as part of a sentence. */
export function timeLeftText(sync: Pick<SyncResource, "eta">): string {
  return sync.eta === null ? t("sync.left-unknown") : t("sync.left", { eta: etaText(sync) });
}

/** The name of the action, with the word paused when it waits. */
export function actionText(sync: SyncResource): string {
  const action = t(`sync.action.${sync.action}`);
  return sync.sub_state === "running" ? action : `${action} (${t(`sync.${sync.sub_state}`)})`;
}

/** Bar and one line of numbers. */
export function SyncBar({ array, sync }: { array: string; sync: SyncResource }) {
  const action = t(`sync.action.${sync.action}`);
  const percent = formatPercent(sync.percent);
  return (
    <div class="sync-bar" data-action={sync.action} data-percent={sync.percent}>
      <p class="sync-line">
        <span class="sync-action">{actionText(sync)}</span>
        <span class="sync-percent number">{percent}</span>
      </p>
      <Meter
        label={t("sync.bar", { action, array })}
        percent={sync.percent}
        text={percent}
        tone="sync"
      />
      <p class="sync-line faint">
        <span class="number">{formatRate(sync.speed)}</span>
        <span class="number">{timeLeftText(sync)}</span>
      </p>
    </div>
  );
}
