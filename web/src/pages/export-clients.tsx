/** Who is attached to an export. Attaching is not part of the event stream, so it is asked for. */

import type { ExportClientResource, ExportResource } from "../../../src/api/schemas/export.ts";
import { t } from "../messages/translate.ts";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { perform } from "../parts/perform.ts";
import { Bytes, TimeAgo } from "../parts/quantities.tsx";
import { useRefreshed } from "../parts/use-refreshed.ts";

const REFRESH_MS = 2000;

const COLUMNS: readonly Column<ExportClientResource>[] = [
  {
    key: "peer",
    title: t("exports.client"),
    cell: ({ peer, tls }) => (
      <>
        <code>{peer}</code> {tls && <span class="faint">{t("exports.client-tls")}</span>}
      </>
    ),
  },
  {
    key: "connected",
    title: t("exports.connected"),
    cell: ({ connected_at }) => <TimeAgo time={connected_at} />,
  },
  {
    key: "read",
    title: t("exports.read"),
    kind: "number",
    cell: ({ read_bytes }) => <Bytes value={read_bytes} />,
  },
  {
    key: "written",
    title: t("exports.written"),
    kind: "number",
    cell: ({ written_bytes }) => <Bytes value={written_bytes} />,
  },
];

/** The clients, kept up to date while the page is looked at; null before the first answer. */
export function useClients(item: ExportResource): readonly ExportClientResource[] | null {
  const path = item.links["clients"] ?? "";
  return useRefreshed(path, REFRESH_MS, async () => {
    const { items } = await perform<{ items: ExportClientResource[] }>({ method: "GET", path });
    return items;
  }).value;
}

/** The clients as a table. */
export function ClientTable({ clients }: { clients: readonly ExportClientResource[] }) {
  return (
    <DataTable
      label={t("exports.clients", { count: clients.length })}
      columns={COLUMNS}
      rows={clients}
      rowKey={({ id }) => id}
    />
  );
}
