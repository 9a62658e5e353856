/** Machines that only vote. */

import { type ClusterAnswers, witnesses } from "../board/cluster-view.ts";
import { t } from "../messages/translate.ts";
import { Badge } from "../parts/badge.tsx";
import { Section } from "../parts/section.tsx";
import { Evict } from "./board-actions.tsx";
import { Vote } from "./board-cells.tsx";
import { MakeToken } from "./join-tokens.tsx";

const WORDS = {
  online: "up",
  silent: "silent",
  unknown: "unknown",
  offline: "away",
  leaving: "leaving",
} as const;

/** The list, and the way to another one. */
export function WitnessSection({ answers }: { answers: ClusterAnswers }) {
  const found = witnesses(answers);
  return (
    <Section
      title={t("witnesses.title")}
      lead={t("witnesses.why")}
      actions={<MakeToken newcomer="witness" cluster={answers.cluster} />}
    >
      {found.length === 0 && <p class="faint">{t("witnesses.none")}</p>}
      <ul class="line-list">
        {found.map((member) => (
          <li key={member.id} data-witness={member.name}>
            <div class="states">
              <span class="device-name">{member.name}</span>
              <Badge
                word={t(`boards.state.${WORDS[member.state]}`)}
                tone={member.state === "online" ? "good" : "bad"}
              />
              <Vote row={{ member, answers: member.answers }} />
            </div>
            <Evict name={member.name} isAway={member.state === "offline"} />
          </li>
        ))}
      </ul>
    </Section>
  );
}
