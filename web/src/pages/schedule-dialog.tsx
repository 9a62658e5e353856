/** Sets and removes the schedule of an array's checks. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { SchedulePutRequest, ScheduleResource } from "../../../src/api/schemas/schedule.ts";
import { requests } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { SelectField, TextField } from "../parts/fields.tsx";

const TIME_OF_DAY = /^([01][0-9]|2[0-3]):[0-5][0-9]$/;

/** What is typed into the dialog. */
interface Draft {
  readonly action: "check" | "repair";
  readonly days: string;
  readonly cron: string;
  readonly start: string;
  readonly end: string;
  readonly zone: string;
}

const draftOf = ({ config }: ScheduleResource): Draft => ({
  action: config?.action ?? "check",
  days: config === null ? "30" : String(config.every_days ?? ""),
  cron: config?.cron ?? "",
  start: config === null ? "01:00" : (config.window?.start ?? ""),
  end: config === null ? "05:00" : (config.window?.end ?? ""),
  zone: config?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
});

/** The request's body, with what the dialog does not show kept; null while it is not complete. */
const bodyOf = (draft: Draft, { config }: ScheduleResource): SchedulePutRequest | null => {
  const days = draft.days.trim() === "" ? null : Number(draft.days);
  const cron = draft.cron.trim() === "" ? null : draft.cron.trim();
  const isDaysFit = days === null || (Number.isInteger(days) && days >= 1 && days <= 366);
  const hasWindow = draft.start !== "" || draft.end !== "";
  const isWindowFit = TIME_OF_DAY.test(draft.start) && TIME_OF_DAY.test(draft.end);
  if ((days === null) === (cron === null) || !isDaysFit || (hasWindow && !isWindowFit)) {
    return null;
  }
  return {
    ...(config ?? {}),
    action: draft.action,
    cron,
    every_days: days,
    window: hasWindow ? { start: draft.start, end: draft.end } : null,
    time_zone: draft.zone,
    enabled: true,
  };
};

/** Button and dialog. */
export function ScheduleDialog({
  array,
  schedule,
}: {
  array: ArrayResource;
  schedule: ScheduleResource;
}) {
  const [draft, setDraft] = useState(draftOf(schedule));
  const set = (change: Partial<Draft>): void => setDraft({ ...draft, ...change });
  const body = bodyOf(draft, schedule);
  const label = schedule.config === null ? t("scrub.set") : t("scrub.change");
  return (
    <ActionDialog
      label={label}
      kind="quiet"
      title={t("schedule.title", { array: array.name })}
      submit={label}
      request={body === null ? null : requests.setSchedule(array.id, body)}
      done={() => t("schedule.done", { array: array.name })}
      onOpen={() => setDraft(draftOf(schedule))}
    >
      <p>{t("schedule.why")}</p>
      <SelectField
        label={t("schedule.action")}
        value={draft.action}
        onValue={(action) => set({ action: action === "repair" ? "repair" : "check" })}
        options={[
          { value: "check", label: t("sync.action.check") },
          { value: "repair", label: t("sync.action.repair") },
        ]}
      />
      <TextField
        label={t("schedule.days")}
        value={draft.days}
        onValue={(days) => set({ days, cron: "" })}
        inputMode="decimal"
      />
      <TextField
        label={t("schedule.cron")}
        value={draft.cron}
        onValue={(cron) => set({ cron, days: "" })}
        isCode
      />
      <TextField
        label={t("schedule.start")}
        value={draft.start}
        onValue={(start) => set({ start })}
        hint={t("schedule.time")}
        isCode
      />
      <TextField
        label={t("schedule.end")}
        value={draft.end}
        onValue={(end) => set({ end })}
        isCode
      />
      <TextField
        label={t("schedule.zone")}
        value={draft.zone}
        onValue={(zone) => set({ zone })}
        isCode
      />
    </ActionDialog>
  );
}

/** The button that removes the schedule. */
export function RemoveSchedule({ array }: { array: ArrayResource }) {
  return (
    <ActionButton
      label={t("scrub.remove")}
      request={requests.removeSchedule(array.id)}
      done={t("schedule.removed", { array: array.name })}
    />
  );
}
