/** Creates a mirror: choose devices, see what would be made, make it. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ArrayPlanResource } from "../../../src/api/schemas/array-order.ts";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { isName } from "../board/name.ts";
import { freeName, proposedDevices, sharingOf } from "../board/new-array.ts";
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
  /** All boards of the cluster can run it; else this one alone. */
  readonly isShared: boolean;
}

const bodyOf = (board: Board, form: FormState) => ({
  name: form.name,
  level: "raid1" as const,
  device_ids: form.devices,
  ...(form.copies === 0 || form.copies === form.devices.length
    ? {}
    : { raid_devices: form.copies }),
  ...(form.isForced ? { force: true } : {}),
  ...sharingOf(board, form.isShared),
});

const proposal = (board: Board, isShared: boolean) => ({
  devices: proposedDevices(board, isShared),
  copies: 0,
  isForced: false,
  isShared,
});

interface SharingProperties {
  readonly cluster: string;
  readonly isShared: boolean;
  readonly onShared: (isShared: boolean) => void;
}

/** Who is to use the array: asked of a board in a cluster. */
function SharingField({ cluster, isShared, onShared }: SharingProperties) {
  return (
    <SelectField
      label={t("create.sharing")}
      value={isShared ? "shared" : "alone"}
      onValue={(value) => onShared(value === "shared")}
      options={[
        { value: "shared", label: t("create.sharing.shared", { cluster }) },
        { value: "alone", label: t("create.sharing.alone") },
      ]}
      hint={t(isShared ? "create.sharing.shared-why" : "create.sharing.alone-why")}
    />
  );
}

interface CreateProperties {
  readonly board: Board;
  readonly form: FormState;
  readonly plan: ArrayPlanResource | null;
  readonly problem: ProblemDocument | null;
}

function Create({ board, form, plan, problem: planProblem }: CreateProperties) {
  const [typed, setTyped] = useState("");
  const { isBusy, problem, run } = usePerformance();
  const request = requests.createArray(bodyOf(board, form));
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
  const { cluster } = board.system;
  const [form, setForm] = useState<FormState>(() => ({
    name: freeName(board),
    ...proposal(board, cluster !== null),
  }));
  const isComplete = form.devices.length >= 2 && isName(form.name);
  const { plan, problem } = usePlan(isComplete ? bodyOf(board, form) : null);
  const choose = (devices: readonly string[]): void => {
    const isForced = devices.some((id) => board.devices.get(id)?.status.state === "foreign");
    setForm({ ...form, devices, copies: 0, isForced });
  };
  const { isShared } = form;
  const count = form.devices.length;
  return (
    <>
      <PageHead title={t("create.title")} />
      <div class="columns">
        <div class="column-main">
          <Section title={t("create.devices")} actions={<CreateDevice kind="plain" />}>
            <p class="faint">{t(isShared ? "create.devices-why-shared" : "create.devices-why")}</p>
            <DevicePicker
              board={board}
              isShared={isShared}
              chosen={form.devices}
              onChosen={choose}
            />
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
            {cluster !== null && (
              <SharingField
                cluster={cluster}
                isShared={isShared}
                onShared={(next) => setForm({ ...form, ...proposal(board, next) })}
              />
            )}
            {count > 2 && (
              <SelectField
                label={t("create.copies")}
                value={String(form.copies === 0 ? count : form.copies)}
                onValue={(value) => setForm({ ...form, copies: Number(value) })}
                options={copyOptions(count)}
              />
            )}
            <PlanPreview plan={plan} isAsked={isComplete} isRefused={problem !== null} />
            <Create board={board} form={form} plan={plan} problem={problem} />
          </Section>
        </div>
      </div>
    </>
  );
}
