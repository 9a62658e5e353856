/** The members of an array, the devices that could come back, and the verbs on them. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { MemberResource } from "../../../src/api/schemas/member.ts";
import { isRunning, memberName, sortedMembers, staleDevices } from "../board/array-facts.ts";
import type { Board } from "../board/board.ts";
import { formatBytes, formatCount } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { Badge, memberTone } from "../parts/badge.tsx";
import { BoardText } from "../parts/board-text.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { TimeAgo } from "../parts/quantities.tsx";
import { Section } from "../parts/section.tsx";
import { AddMember, ReAddMember } from "./add-member.tsx";
import { MemberActions } from "./member-actions.tsx";

function States({ member, array }: { member: MemberResource; array: ArrayResource }) {
  const { states, recovery_offset, stalled_since, fault_reason } = member;
  return (
    <div class="states">
      {states.map((state) => (
        <Badge
          key={state}
          word={state}
          tone={isRunning(array) ? memberTone(state) : "faint"}
          explain={t(`member.state.${state}`)}
        />
      ))}
      {stalled_since !== null && (
        <span class="warn">
          {t("member.stalled")} (<TimeAgo time={stalled_since} />)
        </span>
      )}
      {recovery_offset !== null && (
        <span class="faint">
          {t("member.rebuilt", {
            done: formatBytes(recovery_offset),
            size: formatBytes(array.config.size),
          })}
        </span>
      )}
      {fault_reason !== null && (
        <span class="faint">
          <BoardText text={fault_reason} />
        </span>
      )}
    </div>
  );
}

/** A faulty member has lost its raid slot, and is no spare either. */
function slotText({ slot, states }: MemberResource): string {
  if (slot !== null) {
    return String(slot);
  }
  return states.includes("spare") ? t("member.spare") : t("common.none");
}

function Device({ member, board }: { member: MemberResource; board: Board }) {
  const name = memberName(member);
  const label = board.devices.get(member.device_id ?? "")?.config.label ?? null;
  if (name === null) {
    return <span class="faint">{t("member.empty")}</span>;
  }
  return (
    <span class="device-cell" title={member.path ?? ""}>
      <span class="device-name">{name}</span>
      {label !== null && <span class="faint">{label}</span>}
    </span>
  );
}

const columnsOf = (array: ArrayResource, board: Board): readonly Column<MemberResource>[] => [
  {
    key: "slot",
    title: t("member.slot"),
    kind: "lead",
    cell: (member) => <span class="number">{slotText(member)}</span>,
  },
  {
    key: "device",
    title: t("member.device"),
    cell: (member) => <Device member={member} board={board} />,
  },
  {
    key: "states",
    title: t("member.states"),
    cell: (member) => <States member={member} array={array} />,
  },
  {
    key: "errors",
    title: t("member.errors"),
    kind: "number",
    cell: (member) => formatCount(member.errors_corrected),
  },
  {
    key: "actions",
    title: t("common.actions"),
    kind: "actions",
    cell: (member) => <MemberActions array={array} member={member} />,
  },
];

function FormerMembers({ array, board }: { array: ArrayResource; board: Board }) {
  const stale = staleDevices(array, board.devices.values());
  if (stale.length === 0 || !isRunning(array)) {
    return null;
  }
  return (
    <div class="former" data-part="former-members">
      <h3>{t("member.readdable")}</h3>
      <p class="faint">{t("member.readdable-why")}</p>
      <ul class="line-list">
        {stale.map((device) => (
          <li key={device.id} data-device={device.id}>
            <span class="device-name">{device.name}</span>
            <ReAddMember array={array} device={device.id} />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The section. */
export function MemberSection({ array, board }: { array: ArrayResource; board: Board }) {
  return (
    <Section
      title={t("array.members")}
      actions={isRunning(array) ? <AddMember array={array} board={board} /> : undefined}
    >
      <DataTable
        label={t("array.members")}
        columns={columnsOf(array, board)}
        rows={sortedMembers(array)}
        rowKey={(member) => `${member.slot ?? "spare"} ${member.path ?? ""}`}
      />
      <FormerMembers array={array} board={board} />
    </Section>
  );
}
