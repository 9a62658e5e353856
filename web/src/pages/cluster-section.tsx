/** The nodes that run a clustered array, and what this one waits for. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { formatBytes } from "../format/quantity.ts";
import { sentence } from "../format/sentence.ts";
import { t } from "../messages/translate.ts";
import { BoardText } from "../parts/board-text.tsx";
import { Section } from "../parts/section.tsx";
import { Fact } from "./array-sections.tsx";

/** Nothing of an array that only this board runs. */
export function ClusterSection({ array }: { array: ArrayResource }) {
  const { cluster } = array.status;
  if (cluster === null) {
    return null;
  }
  const { slot, nodes, resync, remote, awaited } = cluster;
  const { bitmap, home_cluster } = array.config;
  return (
    <Section title={t("cluster.title")}>
      <dl class="facts" data-slot={slot} data-nodes={nodes.length}>
        <Fact name={t("cluster.name")}>{home_cluster ?? ""}</Fact>
        <Fact name={t("cluster.slot")} hint={t("cluster.slot-why")}>
          {t("cluster.slot-of", { slot, total: bitmap.nodes })}
        </Fact>
        <Fact name={t("cluster.nodes")}>
          <ul>
            {nodes.map(({ node, slot: other }) => (
              <li key={other}>
                {t(other === slot ? "cluster.this-node" : "cluster.node", { node, slot: other })}
              </li>
            ))}
          </ul>
        </Fact>
        {resync !== null && (
          <Fact name={t("cluster.resync")}>
            <code>{resync}</code>
            <p class="faint">{t(`cluster.${resync}`)}</p>
          </Fact>
        )}
        {remote.map((range) => (
          <Fact key={range.slot} name={t("cluster.remote", { slot: range.slot })}>
            {t("cluster.range", { from: formatBytes(range.from), to: formatBytes(range.to) })}
          </Fact>
        ))}
      </dl>
      <p
        class={awaited === null ? "cluster-note faint" : "cluster-note"}
        data-awaited={awaited !== null}
      >
        {awaited === null ? t("cluster.nothing") : <BoardText text={sentence(awaited)} />}
      </p>
      {!cluster.balances_reads && <p class="cluster-note faint">{t("cluster.first-copy")}</p>}
    </Section>
  );
}
