/** What the votes allow, in plain words; on top of the page, because all boards stop with them. */

import type { HealthWord } from "../../../src/api/schemas/array.ts";
import { type ClusterAnswers, isManaged, type Votes, votesOf } from "../board/cluster-view.ts";
import { sentence } from "../format/sentence.ts";
import { t } from "../messages/translate.ts";
import { HealthIcon } from "../parts/health-mark.tsx";
import { MakeToken } from "./join-tokens.tsx";

const HEALTH: Readonly<Record<Votes["state"], HealthWord>> = {
  quorate: "optimal",
  "at-risk": "degraded",
  lost: "failed",
  unknown: "unknown",
};

const summary = ({ state, voters, answering, spare }: Votes): string => {
  switch (state) {
    case "quorate":
      return t("votes.spare", { count: spare, answering, voters });
    case "at-risk":
      return t("votes.no-spare", { count: voters, answering });
    case "lost":
      return t("votes.no-majority", { count: voters, answering });
    case "unknown":
      return t("votes.not-known");
  }
};

/** What the API adds: why, and what is under way. */
const remarksOf = (answers: ClusterAnswers, votes: Votes | null): readonly string[] => {
  const { cluster, nodes } = answers;
  const quorum = nodes.find(({ here }) => here)?.status?.quorum ?? null;
  const problem = quorum?.problem ?? null;
  const silent = (quorum?.voters ?? []).filter(({ healthy }) => !healthy);
  return [
    ...(votes === null ? [] : cluster.sentences.map(sentence)),
    ...(problem === null ? [] : [sentence(problem)]),
    ...(cluster.next_step === null ? [] : [t("votes.next", { step: cluster.next_step })]),
    ...(isManaged(answers)
      ? []
      : [...silent.map(({ name }) => t("votes.silent", { name })), t("votes.configured")]),
  ];
};

interface VerdictProperties {
  readonly answers: ClusterAnswers;
  readonly lacksWitness: boolean;
}

/** The notice; of two boards without a witness it says what they cannot do, and the remedy. */
export function VotesVerdict({ answers, lacksWitness }: VerdictProperties) {
  const votes = votesOf(answers);
  const health = votes === null ? "inactive" : HEALTH[votes.state];
  const isCalm = lacksWitness && votes?.state === "at-risk";
  return (
    <section
      class={`verdict health-${health}`}
      data-votes={votes?.state ?? "none"}
      aria-label={t("boards.vote")}
    >
      <HealthIcon health={health} size={40} />
      <div>
        {votes !== null && (
          <p class="verdict-word">{isCalm ? t("votes.two-boards") : t(`votes.${votes.state}`)}</p>
        )}
        <p class="verdict-sentence">{votes === null ? t("votes.one-board") : summary(votes)}</p>
        <ul class="reasons">
          {remarksOf(answers, votes).map((remark) => (
            <li key={remark}>{remark}</li>
          ))}
        </ul>
        {answers.cluster.warnings.length > 0 && (
          <ul class="reasons faint" aria-label={t("votes.notes")}>
            {answers.cluster.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        )}
        {lacksWitness && (
          <div class="actions verdict-actions">
            <MakeToken newcomer="witness" cluster={answers.cluster} />
          </div>
        )}
      </div>
    </section>
  );
}
