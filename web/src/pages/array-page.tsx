/** One array: health and why, members, sync, bitmap, exports, and what can be done with it. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { isRunning } from "../board/array-facts.ts";
import type { Board } from "../board/board.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { copiesText } from "../parts/array-text.ts";
import { BoardText } from "../parts/board-text.tsx";
import { EventList } from "../parts/event-list.tsx";
import { HealthIcon } from "../parts/health-mark.tsx";
import { TimeAgo } from "../parts/quantities.tsx";
import { PageHead, Section } from "../parts/section.tsx";
import { ArrayActions } from "./array-actions.tsx";
import { ArrayFacts, BitmapFacts } from "./array-sections.tsx";
import { ClusterSection } from "./cluster-section.tsx";
import { CreateExport } from "./create-export.tsx";
import { ExportCard } from "./export-card.tsx";
import { MemberSection } from "./member-section.tsx";
import { ScrubSection } from "./scrub-section.tsx";
import { SyncSection } from "./sync-section.tsx";

const EVENTS_SHOWN = 8;

function survivalText({ status }: ArrayResource, runs: boolean): string {
  if (!runs) {
    return t("array.survives-inactive");
  }
  const count = status.survives.devices;
  if (count > 0) {
    return t("array.survives", { count });
  }
  return status.in_sync_copies > 0 ? t("array.survives-none") : t("array.survives-failed");
}

function ArrayVerdict({ array }: { array: ArrayResource }) {
  const { health, health_reasons } = array.status;
  return (
    <div class={`verdict health-${health}`} data-health={health}>
      <HealthIcon health={health} size={40} />
      <div>
        <p class="verdict-word">{t(`health.${health}`)}</p>
        <p class="verdict-sentence" data-survives={array.status.survives.devices}>
          {survivalText(array, isRunning(array))}
        </p>
        {health_reasons.length > 0 && (
          <ul class="reasons" aria-label={t("array.why")}>
            {health_reasons.map(({ code, message, since, slot, device_id }) => (
              <li key={`${code} ${slot} ${device_id} ${message}`} data-code={code}>
                <BoardText text={message} />
                {since !== null && (
                  <span class="faint">
                    {" "}
                    (<TimeAgo time={since} />)
                  </span>
                )}
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}

function ArrayExports({ array, board }: { array: ArrayResource; board: Board }) {
  const found = [...board.exports.values()].filter(({ config }) => config.array_id === array.id);
  return (
    <Section title={t("array.exports")} actions={<CreateExport board={board} array={array} />}>
      {found.length === 0 && <p class="faint">{t("array.no-exports")}</p>}
      {found.map((item) => (
        <ExportCard key={item.id} item={item} isAlone={false} />
      ))}
    </Section>
  );
}

/** The page of the array with this id or name. */
export function ArrayPage({ board, id }: { board: Board; id: string }) {
  const array =
    board.arrays.get(id) ?? [...board.arrays.values()].find((candidate) => candidate.name === id);
  if (array === undefined) {
    return <PageHead title={t("array.unknown", { id })} />;
  }
  const { config } = array;
  const runs = isRunning(array);
  const events = board.events.filter((event) => event.subject.endsWith(`/arrays/${array.id}`));
  const size = formatBytes(config.size);
  return (
    <div data-array={array.name}>
      <PageHead
        title={array.name}
        lead={`${config.level}, ${size}, ${copiesText(array)}`}
        actions={<ArrayActions array={array} />}
      />
      <ArrayVerdict array={array} />
      <div class="columns">
        <div class="column-main">
          {runs && <SyncSection array={array} board={board} />}
          <MemberSection array={array} board={board} />
          <ArrayExports array={array} board={board} />
        </div>
        <div class="column-side">
          <ClusterSection array={array} />
          <ScrubSection array={array} />
          <BitmapFacts array={array} />
          <ArrayFacts array={array} />
          <Section title={t("array.recent")}>
            <EventList events={events.slice(0, EVENTS_SHOWN)} />
          </Section>
        </div>
      </div>
    </div>
  );
}
