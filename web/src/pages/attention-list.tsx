/** What wants a person's attention, worst first, each with what to do about it. */

import type { AttentionResource } from "../../../src/api/schemas/system.ts";
import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { BoardText } from "../parts/board-text.tsx";
import { SeverityIcon } from "../parts/event-list.tsx";
import { Link } from "../parts/link.tsx";
import { arrayPagePath } from "../shell/page-path.ts";

const BOARDS_SUBJECT = /^\/api\/v1\/(cluster|nodes\/[^/]+)$/;
const ARRAY_SUBJECT = /^\/api\/v1\/arrays\/([^/]+)$/;

function Item({ item, board }: { item: AttentionResource; board: Board }) {
  const id = ARRAY_SUBJECT.exec(item.subject)?.[1];
  const array = id === undefined ? undefined : board.arrays.get(decodeURIComponent(id));
  return (
    <li class={`attention severity-${item.severity}`} data-code={item.code}>
      <SeverityIcon severity={item.severity} />
      <div>
        <p>
          <BoardText text={item.message} />
        </p>
        {item.fix !== null && <p class="faint">{item.fix}</p>}
      </div>
      {array !== undefined && (
        <Link to={arrayPagePath(array.id)} class="button">
          {t("action.open", { name: array.name })}
        </Link>
      )}
      {BOARDS_SUBJECT.test(item.subject) && (
        <Link to="/boards" class="button">
          {t("action.open", { name: t("page.boards") })}
        </Link>
      )}
    </li>
  );
}

/** The list; nothing when there is nothing. What goes on by itself needs nobody. */
export function AttentionList({ board }: { board: Board }) {
  const attention = board.system.health.attention.filter(({ severity }) => severity !== "info");
  if (attention.length === 0) {
    return null;
  }
  return (
    <section class="panel" aria-label={t("overview.attention")}>
      <h2 class="visually-hidden">{t("overview.attention")}</h2>
      <ul class="attention-list">
        {attention.map((item) => (
          <Item key={`${item.code} ${item.subject} ${item.message}`} item={item} board={board} />
        ))}
      </ul>
    </section>
  );
}
