/** The boards of the cluster: votes, ways between them, what stops with one, who comes and goes. */

import type { ClusterResource } from "../../../src/api/schemas/cluster.ts";
import type { ImpactResource, NodeResource } from "../../../src/api/schemas/node.ts";
import type { PeerReportResource } from "../../../src/api/schemas/peer.ts";
import {
  boardRows,
  type ClusterAnswers,
  isAlone,
  isManaged,
  lacksWitness,
} from "../board/cluster-view.ts";
import { t } from "../messages/translate.ts";
import { perform } from "../parts/perform.ts";
import { PageHead } from "../parts/section.tsx";
import { useRefreshed } from "../parts/use-refreshed.ts";
import { BoardTable } from "./board-table.tsx";
import { CreateCluster, JoinCluster } from "./cluster-begin.tsx";
import { BoardImpacts, DeviceImpacts } from "./impact-section.tsx";
import { MakeToken, OpenTokens } from "./join-tokens.tsx";
import { VisibilityMatrix } from "./visibility-matrix.tsx";
import { VotesVerdict } from "./votes-verdict.tsx";
import { WitnessSection } from "./witness-section.tsx";

const REFRESH_MS = 2000;
/** Seconds; the board itself waits for etcd no longer than one. */
const PATIENCE = 5;

const read = async <Reply,>(path: string): Promise<Reply> =>
  await perform<Reply>({ method: "GET", path: `/api/v1/${path}`, patience: PATIENCE });

const items = async <Item,>(path: string): Promise<readonly Item[]> =>
  (await read<{ readonly items: readonly Item[] }>(path)).items;

async function readCluster(): Promise<ClusterAnswers> {
  const [cluster, nodes, peers, impacts] = await Promise.all([
    read<ClusterResource>("cluster"),
    items<NodeResource>("nodes"),
    read<PeerReportResource>("peers"),
    items<ImpactResource>("impacts"),
  ]);
  return { cluster, nodes, peers, impacts };
}

function Alone({ cluster }: ClusterAnswers) {
  return (
    <PageHead
      title={t("boards.title")}
      lead={cluster.managed ? t("boards.alone") : t("boards.alone-configured")}
      actions={
        cluster.managed ? (
          <>
            <CreateCluster />
            <JoinCluster />
          </>
        ) : undefined
      }
    />
  );
}

function Boards({ answers, isOld }: { answers: ClusterAnswers; isOld: boolean }) {
  const { cluster, impacts, peers } = answers;
  const rows = boardRows(answers);
  return (
    <>
      <PageHead
        title={t("boards.title")}
        lead={t("boards.lead", { cluster: cluster.name ?? "", board: cluster.board })}
        actions={isManaged(answers) ? <MakeToken newcomer="board" cluster={cluster} /> : undefined}
      />
      {isOld && (
        <p class="warn" role="status">
          {t("boards.old")}
        </p>
      )}
      <VotesVerdict answers={answers} lacksWitness={lacksWitness(answers)} />
      <BoardTable rows={rows} impacts={impacts} isManaged={isManaged(answers)} />
      {/* Nobody may pull a disk because it was safe some time ago. */}
      {!isOld && (
        <div class="halves">
          <BoardImpacts impacts={impacts} />
          <DeviceImpacts impacts={impacts} />
        </div>
      )}
      <VisibilityMatrix peers={peers} />
      {isManaged(answers) && <WitnessSection answers={answers} />}
      {isManaged(answers) && <OpenTokens />}
    </>
  );
}

/** The page. */
export function BoardsPage() {
  const { value, isOld } = useRefreshed("cluster", REFRESH_MS, readCluster);
  if (value === null) {
    return (
      <PageHead title={t("boards.title")} lead={isOld ? t("boards.old") : t("boards.reading")} />
    );
  }
  return isAlone(value) ? <Alone {...value} /> : <Boards answers={value} isOld={isOld} />;
}
