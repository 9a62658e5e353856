/** Arrays that devices hold and that the board has not run yet: found, not started. */

import { useEffect, useState } from "preact/hooks";
import type { ArrayCandidateResource } from "../../../src/api/schemas/array-candidate.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { perform } from "../parts/perform.ts";
import { Section } from "../parts/section.tsx";

/** What the list depends on: it is read anew when a device looks different. */
const traceOf = (board: Board): string =>
  [...board.devices.values()]
    .map(({ id, status }) => `${id} ${status.state} ${status.superblock?.array_id ?? ""}`)
    .join("\n");

/** The list; nothing when there is nothing to start. */
export function FoundArrays({ board }: { board: Board }) {
  const [candidates, setCandidates] = useState<readonly ArrayCandidateResource[]>([]);
  const trace = `${traceOf(board)}\n${board.arrays.size}`;
  useEffect(() => {
    let isWanted = true;
    perform<{ items: ArrayCandidateResource[] }>({
      method: "GET",
      path: "/api/v1/arrays/candidates",
    }).then(
      ({ items }) => {
        if (isWanted) {
          setCandidates(items.filter((candidate) => !candidate.registered));
        }
      },
      () => undefined,
    );
    return () => {
      isWanted = false;
    };
  }, [trace]);
  if (candidates.length === 0) {
    return null;
  }
  return (
    <Section title={t("overview.found")}>
      <ul class="line-list">
        {candidates.map(({ id, name, level, raid_devices, members, refusal }) => (
          <li key={id}>
            <span>
              {t("overview.found-what", {
                name: name || id,
                level,
                count: members.length,
                total: raid_devices,
              })}
            </span>
            {refusal === null ? (
              <ActionButton
                label={t("action.assemble")}
                request={requests.assembleArray(id)}
                done={t("done.assemble", { array: name || id })}
              />
            ) : (
              <span class="faint">
                {refusal.message}: {refusal.correction}
              </span>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}
