/** "What if it stops now?", of every board and every disk, as the board that is asked judges. */

import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import { t } from "../messages/translate.ts";
import { Badge } from "../parts/badge.tsx";
import { BoardText } from "../parts/board-text.tsx";
import { Section } from "../parts/section.tsx";

const TONES = { safe: "good", degrades: "warning", loses: "bad", unknown: "warning" } as const;

/** One answer: a word, a sentence, and what it is made of. */
export function ImpactAnswer({ impact, isOpen }: { impact: ImpactResource; isOpen?: boolean }) {
  const { verdict, sentence, reasons } = impact;
  const list = (
    <ul class="impact-reasons">
      {reasons.map((reason) => (
        <li key={reason}>
          <BoardText text={reason} />
        </li>
      ))}
    </ul>
  );
  return (
    <div class="impact" data-verdict={verdict}>
      <Badge word={t(`impact.${verdict}`)} tone={TONES[verdict]} />
      <div>
        <p>{sentence}</p>
        {reasons.length > 0 && isOpen === true && list}
        {reasons.length > 0 && isOpen !== true && (
          <details>
            <summary>{t("impact.why")}</summary>
            {list}
          </details>
        )}
      </div>
    </div>
  );
}

function Answers({ impacts }: { impacts: readonly ImpactResource[] }) {
  return (
    <ul class="impact-list">
      {impacts.map((impact) => (
        <li key={impact.subject.name} data-subject={impact.subject.name}>
          <ImpactAnswer impact={impact} />
        </li>
      ))}
    </ul>
  );
}

/** Every board. */
export function BoardImpacts({ impacts }: { impacts: readonly ImpactResource[] }) {
  return (
    <Section title={t("impact.boards")}>
      <Answers impacts={impacts.filter(({ subject }) => subject.kind === "board")} />
    </Section>
  );
}

/** Every disk that something depends on; the others in one line. */
export function DeviceImpacts({ impacts }: { impacts: readonly ImpactResource[] }) {
  const devices = impacts.filter(({ subject }) => subject.kind === "device");
  const isHarmless = ({ verdict, arrays }: ImpactResource): boolean =>
    verdict === "safe" && arrays.length === 0;
  if (devices.length === 0) {
    return null;
  }
  const harmless = devices.filter(isHarmless).map(({ subject }) => subject.name);
  return (
    <Section title={t("impact.devices")}>
      <Answers impacts={devices.filter((impact) => !isHarmless(impact))} />
      {harmless.length > 0 && (
        <p class="faint impact-rest">{t("impact.harmless", { devices: harmless.join(", ") })}</p>
      )}
    </Section>
  );
}
