/** Which board sees which disk: a row for each disk, a column for each board that looks. */

import type { PeerReportResource } from "../../../src/api/schemas/peer.ts";
import { type DiskRow, type PathAnswer, visibilityOf } from "../board/cluster-ways.ts";
import { t } from "../messages/translate.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { Section } from "../parts/section.tsx";
import { latencyText, WAY_TONES } from "./board-cells.tsx";

function Cell({ path }: { path: PathAnswer | undefined }) {
  if (path === undefined) {
    return <Badge word={t("way.away")} tone="faint" explain={t("boards.explain.away")} />;
  }
  const { state, latency, last_error } = path;
  return (
    <span class="states" data-way={state}>
      <Badge
        word={t(`way.${state}`)}
        tone={WAY_TONES[state]}
        {...(last_error === null ? {} : { explain: last_error })}
      />
      {latency !== null && state === "up" && (
        <span class="number faint">{latencyText(latency)}</span>
      )}
    </span>
  );
}

/** For whom this board's own exports work, or why for nobody. */
function Exporter({ exporter }: { exporter: PeerReportResource["exporter"] }) {
  if (exporter === null) {
    return null;
  }
  const { open, reason, sessions, fences } = exporter;
  return (
    <p class={`cluster-note ${open ? "faint" : "warn"}`} data-exports={open ? "open" : "closed"}>
      {open
        ? t("matrix.open", { count: sessions.length })
        : t("matrix.closed", { reason: reason ?? "" })}
      {fences.length > 0 && ` ${t("matrix.fences", { count: fences.length })}`}
    </p>
  );
}

/** The matrix; nothing where no board serves its disks. */
export function VisibilityMatrix({ peers }: { peers: PeerReportResource }) {
  const { boards, disks } = visibilityOf(peers);
  if (disks.length === 0) {
    return null;
  }
  const columns: readonly Column<DiskRow>[] = [
    {
      key: "disk",
      title: t("matrix.disk"),
      kind: "key",
      cell: ({ deviceId }) => <span class="device-name">{deviceId}</span>,
    },
    ...boards.map(
      (board): Column<DiskRow> => ({
        key: `board ${board}`,
        title: board,
        cell: ({ cells }) => <Cell path={cells.get(board)} />,
      }),
    ),
  ];
  return (
    <Section title={t("matrix.title")} lead={t("matrix.lead")}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the keyboard */}
      <section class="scroll" tabIndex={0} aria-label={t("matrix.title")}>
        <DataTable
          label={t("matrix.title")}
          columns={columns}
          rows={disks}
          rowKey={({ owner, disk }) => `${owner}/${disk}`}
        />
      </section>
      <Exporter exporter={peers.exporter} />
    </Section>
  );
}
