/** The members of an array as a row of small boxes, one per raid slot, spares behind. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { MemberResource } from "../../../src/api/schemas/member.ts";
import { isRunning, memberName, sortedMembers } from "../board/array-facts.ts";
import { t } from "../messages/translate.ts";

const kindOf = ({ states }: MemberResource): string => {
  const kinds = ["faulty", "missing", "removed", "rebuilding", "in_sync", "spare"] as const;
  return kinds.find((kind) => states.includes(kind)) ?? "unknown";
};

function Pill({ member }: { member: MemberResource }) {
  const device = memberName(member) ?? t("member.empty");
  const states = member.states.join(", ");
  const text =
    member.slot === null
      ? t("member.pill-none", { device, states })
      : t("member.pill", { slot: member.slot, device, states });
  return (
    <li class={`pill pill-${kindOf(member)}`} title={text}>
      <span class="pill-slot" aria-hidden="true">
        {member.slot ?? (states.includes("spare") ? "S" : "×")}
      </span>
      <span class="pill-name">{device}</span>
      <span class="visually-hidden">{text}</span>
    </li>
  );
}

/** The row. */
export function MemberPills({ array }: { array: ArrayResource }) {
  return (
    <ul class={isRunning(array) ? "pills" : "pills pills-off"}>
      {sortedMembers(array).map((member, index) => (
        <Pill key={`${member.slot}-${member.path}-${index}`} member={member} />
      ))}
    </ul>
  );
}
