/** Creates a mirror: choose devices, see what would be made, make it. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ArrayPlanResource } from "../../../src/api/schemas/array-order.ts";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { isName } from "../board/name.ts";
import { t } from "../messages/translate.ts";
import { ApiDetails } from "../parts/api-call.tsx";
import { SelectField, TextField } from "../parts/fields.tsx";
import { perform, usePerformance } from "../parts/perform.ts";
import { ProblemBox } from "../parts/problem-box.tsx";
import { PageHead, Section } from "../parts/section.tsx";
import { applyResource } from "../shell/board-store.ts";
import { notify } from "../shell/notices.ts";
import { arrayPagePath } from "../shell/page-path.ts";
import { navigate } from "../shell/route.ts";
import { CreateDevice } from "./create-device.tsx";
import { DevicePicker } from "./device-picker.tsx";
import { PlanPreview, usePlan } from "./plan-preview.tsx";

/** The two largest free devices of equal size: what most people want. */
function proposedDevices(board: Board): readonly string[] {
  const free = [...board.devices.values()]
    .filter(({ status }) => status.state === "free")
    .sort((a, b) => b.status.size - a.status.size || a.id.localeCompare(b.id));
  const first = free.findIndex(({ status }, at) => status.size === free[at + 1]?.status.size);
  return first === -1 ? [] : free.slice(first, first + 2).map(({ id }) => id);
}

function freeName(board: Board): string {
  const taken = new Set([...board.arrays.values()].map(({ name }) => name));
  let number = 0;
  while (taken.has(`md${number}`)) {
    number += 1;
  }
  return `md${number}`;
}

const copyOptions = (chosen: number) =>
  Array.from({ length: Math.max(0, chosen - 1) }, (_, index) => chosen - index).map((copies) => ({
    value: String(copies),
    label:
      copies === chosen
        ? t("create.copies-all", { count: copies })
        : t("create.copies-spares", { copies, count: chosen - copies }),
  }));

interface FormState {
  readonly name: string;
  readonly devices: readonly string[];
  /** Raid slots; 0: one per device. */
  readonly copies: number;
  readonly isForced: boolean;
}

const bodyOf = (form: FormState) => ({
  name: form.name,
  level: "raid1" as const,
  device_ids: form.devices,
  ...(form.copies === 0 || form.copies === form.devices.length
    ? {}
    : { raid_devices: form.copies }),
  ...(form.isForced ? { force: true } : {}),
});

interface CreateProperties {
  readonly form: FormState;
  readonly plan: ArrayPlanResource | null;
  readonly problem: ProblemDocument | null;
}

function Create({ form, plan, problem: planProblem }: CreateProperties) {
  const [typed, setTyped] = useState("");
  const { isBusy, problem, run } = usePerformance();
  const request = requests.createArray(bodyOf(form));
  const isReady = plan !== null && !isBusy && (!form.isForced || typed === form.name);
  const create = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    await run(async () => {
      const reply = await perform<ArrayResource | { readonly kind: string }>(request);
      notify(t("done.create", { array: form.name }));
      if ("status" in reply) {
        applyResource("array", reply);
        navigate(arrayPagePath(reply.id));
      } else {
        navigate("/");
      }
    });
  };
  const shown = problem ?? planProblem;
  return (
    <form class="create-foot" onSubmit={(event) => void create(event)}>
      {shown !== null && <ProblemBox problem={shown} />}
      {form.isForced && (
        <TextField
          label={t("confirm.type", { name: form.name })}
          value={typed}
          onValue={setTyped}
          isCode
        />
      )}
      <div class="actions">
        <button
          type="submit"
          class={`button ${form.isForced ? "danger" : "main"}`}
          disabled={!isReady}
        >
          {isBusy ? t("create.busy") : t("create.submit", { name: form.name })}
        </button>
      </div>
      {plan !== null && <ApiDetails request={request} />}
    </form>
  );
}

/** The page. */
export function CreateArrayPage({ board }: { board: Board }) {
  const [form, setForm] = useState<FormState>(() => ({
    name: freeName(board),
    devices: proposedDevices(board),
    copies: 0,
    isForced: false,
  }));
  const isComplete = form.devices.length >= 2 && isName(form.name);
  const { plan, problem } = usePlan(isComplete ? bodyOf(form) : null);
  const choose = (devices: readonly string[]): void => {
    const isForced = devices.some((id) => board.devices.get(id)?.status.state === "foreign");
    setForm({ ...form, devices, copies: 0, isForced });
  };
  const count = form.devices.length;
  return (
    <>
      <PageHead title={t("create.title")} />
      <div class="columns">
        <div class="column-main">
          <Section title={t("create.devices")} actions={<CreateDevice kind="plain" />}>
            <p class="faint">{t("create.devices-why")}</p>
            <DevicePicker board={board} chosen={form.devices} onChosen={choose} />
          </Section>
        </div>
        <div class="column-side">
          <Section title={t("create.preview")}>
            <TextField
              label={t("create.name")}
              value={form.name}
              onValue={(name) => setForm({ ...form, name })}
              hint={t("create.name-rule")}
              isCode
            />
            {count > 2 && (
              <SelectField
                label={t("create.copies")}
                value={String(form.copies === 0 ? count : form.copies)}
                onValue={(value) => setForm({ ...form, copies: Number(value) })}
                options={copyOptions(count)}
              />
            )}
            <PlanPreview plan={plan} />
            <Create form={form} plan={plan} problem={problem} />
          </Section>
        </div>
      </div>
    </>
  );
}
