/** The sync of an array: bar, speed, time left, scope, and what the bitmap saved. */

import type { ArrayResource, SyncResource } from "../../../src/api/schemas/array.ts";
import { requests } from "../api/api-request.ts";
import { formatBytes, formatPercent, formatRate } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { Meter } from "../parts/meter.tsx";
import { Bytes, TimeAgo } from "../parts/quantities.tsx";
import { Section } from "../parts/section.tsx";
import { actionText, etaText } from "../parts/sync-bar.tsx";
import { Fact } from "./array-sections.tsx";
import { SpeedLimit } from "./speed-limit.tsx";

function StopSync({ array, sync }: { array: ArrayResource; sync: SyncResource }) {
  const isUserAction = sync.action === "check" || sync.action === "repair";
  return isUserAction ? (
    <ActionButton
      label={t("action.stop-sync", { action: t(`sync.action.${sync.action}`).toLowerCase() })}
      request={requests.setSync(array.id, { action: "idle" })}
      done={t("done.stop-sync", { array: array.name })}
    />
  ) : null;
}

function SyncFacts({ sync }: { sync: SyncResource }) {
  const isCompare = sync.action === "check" || sync.action === "repair";
  return (
    <dl class="facts wide">
      <Fact name={t("sync.speed")}>
        <span class="number">{formatRate(sync.speed)}</span>
      </Fact>
      <Fact name={t("sync.eta")}>
        <span class="number">{etaText(sync)}</span>
      </Fact>
      <Fact name={t("sync.done")}>
        <span class="number">
          {t("sync.done-of", {
            done: formatBytes(sync.completed),
            total: formatBytes(sync.total),
          })}
        </span>
      </Fact>
      <Fact name={isCompare ? t("sync.compared") : t("sync.copied")}>
        <Bytes value={sync.copied} />
      </Fact>
      <Fact name={t("sync.scope")}>{t(`sync.scope.${sync.scope}`)}</Fact>
      {sync.scope === "bitmap" && (
        <Fact name={t("sync.saved")}>
          <Bytes value={sync.skipped_by_bitmap} />
        </Fact>
      )}
      <Fact name={t("sync.reason")}>{t(`sync.reason.${sync.reason}`)}</Fact>
      <Fact name={t("sync.started")}>
        <TimeAgo time={sync.started_at} />
      </Fact>
    </dl>
  );
}

/** The section; says so when nothing runs. */
export function SyncSection({ array }: { array: ArrayResource }) {
  const { sync } = array.status;
  if (sync === null) {
    return (
      <Section
        title={t("sync.title")}
        lead={t("sync.nothing")}
        actions={<SpeedLimit array={array} />}
      />
    );
  }
  const action = t(`sync.action.${sync.action}`);
  const percent = formatPercent(sync.percent);
  return (
    <Section
      title={t("sync.title")}
      actions={
        <>
          <SpeedLimit array={array} />
          <StopSync array={array} sync={sync} />
        </>
      }
    >
      <div class="sync" data-action={sync.action} data-percent={sync.percent}>
        <p class="sync-line">
          <span class="sync-action">{actionText(sync)}</span>
          <span class="sync-percent number">{percent}</span>
        </p>
        <Meter
          label={t("sync.bar", { action, array: array.name })}
          percent={sync.percent}
          text={percent}
          tone="sync"
        />
        <SyncFacts sync={sync} />
      </div>
    </Section>
  );
}
