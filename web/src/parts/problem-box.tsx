/** A problem of the API: what is wrong and what to do first, the rest folded. */

import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import { sentence } from "../format/sentence.ts";
import { t } from "../messages/translate.ts";
import { CopyButton } from "./copy-button.tsx";

/** The problem. */
export function ProblemBox({ problem }: { problem: ProblemDocument }) {
  const { title, correction, detail, errors = [] } = problem;
  return (
    <div class="problem" role="alert">
      <p class="problem-title">{title}</p>
      {correction !== undefined && <p>{sentence(correction)}</p>}
      {errors.length > 0 && (
        <ul>
          {errors.map(({ pointer, detail: what }) => (
            <li key={pointer}>{t("problem.field", { pointer, detail: what })}</li>
          ))}
        </ul>
      )}
      <details>
        <summary>{t("problem.details")}</summary>
        <p>{sentence(detail)}</p>
        <pre>{JSON.stringify(problem, null, 2)}</pre>
        <CopyButton text={JSON.stringify(problem, null, 2)} label={t("problem.copy")} />
      </details>
    </div>
  );
}
