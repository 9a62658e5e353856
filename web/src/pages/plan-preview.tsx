/** What a new array would be: the board's own answer to a dry run. */

import { useEffect, useState } from "preact/hooks";
import type { ArrayPlanResource } from "../../../src/api/schemas/array-order.ts";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import { requests } from "../api/api-request.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { perform, problemOf } from "../parts/perform.ts";
import { Fact } from "./array-sections.tsx";

const TYPING_MS = 200;

interface Preview {
  readonly plan: ArrayPlanResource | null;
  readonly problem: ProblemDocument | null;
}

const NOTHING: Preview = { plan: null, problem: null };

/** Asks for the plan of `body` whenever it changed; null asks nothing. */
export function usePlan(body: object | null): Preview {
  const [preview, setPreview] = useState<Preview>(NOTHING);
  const text = body === null ? null : JSON.stringify(body);
  useEffect(() => {
    setPreview(NOTHING);
    if (text === null) {
      return;
    }
    let isWanted = true;
    const ask = async (): Promise<Preview> => {
      try {
        const plan = await perform<ArrayPlanResource>(requests.planArray(JSON.parse(text)));
        return { plan, problem: null };
      } catch (error) {
        return { plan: null, problem: problemOf(error) };
      }
    };
    const timer = window.setTimeout(async () => {
      const answer = await ask();
      if (isWanted) {
        setPreview(answer);
      }
    }, TYPING_MS);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [text]);
  return preview;
}

interface PlanProperties {
  readonly plan: ArrayPlanResource | null;
  /** There is enough to ask the board for a plan. */
  readonly isAsked: boolean;
  /** It has told why there is none. */
  readonly isRefused: boolean;
}

/** The plan in words. */
export function PlanPreview({ plan, isAsked, isRefused }: PlanProperties) {
  if (plan === null) {
    if (isRefused) return null;
    return <p class="faint">{t(isAsked ? "create.preview-asked" : "create.preview-wait")}</p>;
  }
  const count = plan.survives.devices;
  return (
    <div data-part="plan">
      <dl class="facts">
        <Fact name={t("array.level")}>{plan.level}</Fact>
        <Fact name={t("create.usable")}>{formatBytes(plan.size)}</Fact>
        {plan.devices.map(({ device_id, role }) => (
          <Fact key={device_id} name={role}>
            <span class="device-name">{device_id}</span>
          </Fact>
        ))}
      </dl>
      <p>{count > 0 ? t("array.survives", { count }) : t("array.survives-none")}</p>
      <p class="faint">
        {plan.initial_sync ? t("create.preview-sync") : t("create.preview-no-sync")}
      </p>
    </div>
  );
}
