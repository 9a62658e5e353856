/** Fail and remove, for one member. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { MemberResource } from "../../../src/api/schemas/member.ts";
import { requests } from "../api/api-request.ts";
import { memberVerbs } from "../board/array-facts.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";

interface VerbProperties {
  readonly array: ArrayResource;
  readonly member: MemberResource;
  readonly device: string;
}

function Fail({ array, member, device }: VerbProperties) {
  const isInSync = member.states.includes("in_sync");
  return (
    <ActionDialog
      label={t("action.fail")}
      name={t("action.fail-of", { device })}
      title={t("fail.title", { device, array: array.name })}
      submit={t("action.fail-of", { device })}
      isDangerous
      confirm={device}
      request={requests.failMember(array.id, device)}
      done={() => t("done.fail", { device })}
    >
      <p>
        {isInSync
          ? t("fail.lost", { count: array.status.in_sync_copies - 1 })
          : t("fail.not-in-sync", { device })}
      </p>
      <p class="faint">{t("fail.checked", { device })}</p>
    </ActionDialog>
  );
}

function Remove({ array, device }: VerbProperties) {
  return (
    <ActionDialog
      label={t("action.remove")}
      name={t("action.remove-of", { device })}
      title={t("remove.title", { device, array: array.name })}
      submit={t("action.remove-of", { device })}
      request={requests.removeMember(array.id, device)}
      done={() => t("done.remove", { device, array: array.name })}
    >
      <p>{t("remove.what")}</p>
    </ActionDialog>
  );
}

/** The buttons that make sense for the member now. */
export function MemberActions({ array, member }: Omit<VerbProperties, "device">) {
  const verbs = memberVerbs(array, member);
  const device = member.device_id;
  if (device === null || !(verbs.fail || verbs.remove)) {
    return null;
  }
  return (
    <span class="actions">
      {verbs.fail && <Fail array={array} member={member} device={device} />}
      {verbs.remove && <Remove array={array} member={member} device={device} />}
    </span>
  );
}
