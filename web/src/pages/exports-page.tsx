/** Every export, how to attach it, and who is attached. */

import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { Empty, PageHead } from "../parts/section.tsx";
import { CreateExport } from "./create-export.tsx";
import { ExportCard } from "./export-card.tsx";

/** The page. */
export function ExportsPage({ board }: { board: Board }) {
  const items = [...board.exports.values()].sort((a, b) => a.name.localeCompare(b.name));
  const hasArrays = board.arrays.size > 0;
  return (
    <>
      <PageHead
        title={t("exports.title")}
        lead={t("exports.lead")}
        actions={items.length > 0 && hasArrays ? <CreateExport board={board} /> : undefined}
      />
      {items.length === 0 ? (
        <Empty
          title={t("exports.none")}
          why={hasArrays ? t("exports.none-why") : t("exports.no-arrays")}
          actions={hasArrays ? <CreateExport board={board} /> : undefined}
        />
      ) : (
        items.map((item) => (
          <section key={item.id} class="panel" aria-label={item.name}>
            <ExportCard item={item} isAlone />
          </section>
        ))
      )}
    </>
  );
}
