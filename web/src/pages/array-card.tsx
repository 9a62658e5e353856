/** An array on the overview. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { t } from "../messages/translate.ts";
import { copiesText } from "../parts/array-text.ts";
import { HealthMark } from "../parts/health-mark.tsx";
import { Link } from "../parts/link.tsx";
import { MemberPills } from "../parts/member-pills.tsx";
import { Bytes } from "../parts/quantities.tsx";
import { SyncBar } from "../parts/sync-bar.tsx";
import { arrayPagePath } from "../shell/page-path.ts";

/** The card; its name leads to the array's page. */
export function ArrayCard({ array }: { array: ArrayResource }) {
  const { config, status, name } = array;
  const names = status.exports.join(", ");
  return (
    <article
      class={`card health-${status.health}`}
      aria-label={name}
      data-array={name}
      data-health={status.health}
    >
      <header class="card-head">
        <h3>
          <Link to={arrayPagePath(array.id)} class="card-link">
            {name}
          </Link>
        </h3>
        <HealthMark health={status.health} />
      </header>
      <p class="card-facts">
        <span>{config.level}</span>
        <Bytes value={config.size} />
        <span>{copiesText(array)}</span>
      </p>
      <MemberPills array={array} />
      {status.sync !== null && <SyncBar array={name} sync={status.sync} />}
      <p class="faint">
        {names === "" ? t("array.card-no-exports") : t("array.card-exports", { names })}
      </p>
    </article>
  );
}
