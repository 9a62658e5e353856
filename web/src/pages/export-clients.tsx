/** Who is attached to an export. Attaching is not part of the event stream, so it is asked for. */

import { useEffect, useState } from "preact/hooks";
import type { ExportClientResource, ExportResource } from "../../../src/api/schemas/export.ts";
import { t } from "../messages/translate.ts";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { perform } from "../parts/perform.ts";
import { Bytes, TimeAgo } from "../parts/quantities.tsx";
import { liveness } from "../shell/board-store.ts";

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
  const [clients, setClients] = useState<readonly ExportClientResource[] | null>(null);
  const path = item.links["clients"] ?? "";
  useEffect(() => {
    let isWanted = true;
    const read = async (): Promise<void> => {
      const { items } = await perform<{ items: ExportClientResource[] }>({ method: "GET", path });
      if (isWanted) {
        setClients(items);
      }
    };
    const refresh = (): void => {
      if (document.visibilityState === "visible" && liveness.peek().state === "live") {
        // What cannot be read now is read the next time; the live mark tells of lost connections.
        void read().catch(() => undefined);
      }
    };
    refresh();
    const timer = window.setInterval(refresh, REFRESH_MS);
    return () => {
      isWanted = false;
      clearInterval(timer);
    };
  }, [path]);
  return clients;
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
