/** What can be done with a board: out of service and back on itself, evict from any other one. */

import { useState } from "preact/hooks";
import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import { requests } from "../api/api-request.ts";
import type { BoardRow } from "../board/cluster-view.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { CheckField } from "../parts/fields.tsx";
import { ImpactAnswer } from "./impact-section.tsx";

interface DrainProperties {
  readonly board: string;
  readonly mode: "drain" | "maintenance";
  readonly impact: ImpactResource | undefined;
}

function Drain({ board, mode, impact }: DrainProperties) {
  const [isForced, setForced] = useState(false);
  const [isRefused, setRefused] = useState(false);
  const open = (): void => {
    setForced(false);
    setRefused(false);
  };
  return (
    <ActionDialog
      label={t(`drain.button.${mode}`)}
      name={t(`drain.name.${mode}`, { board })}
      title={t(`drain.title.${mode}`, { board })}
      submit={t(`drain.name.${mode}`, { board })}
      isDangerous
      confirm={board}
      request={requests.drainNode(board, mode, isForced)}
      done={() => t("drain.done", { board })}
      onOpen={open}
      onProblem={({ code }) => setRefused(code === "CONTROL_DRAIN_REFUSED")}
    >
      <p>{t(`drain.what.${mode}`)}</p>
      {impact !== undefined && <ImpactAnswer impact={impact} isOpen />}
      {isRefused && (
        <CheckField isChecked={isForced} onChecked={setForced}>
          {t("drain.force")}
        </CheckField>
      )}
    </ActionDialog>
  );
}

interface EvictProperties {
  readonly name: string;
  readonly isAway: boolean;
  readonly impact?: ImpactResource | undefined;
}

/** What an administrator may insist on. */
const FORCED_CODES: ReadonlySet<string> = new Set([
  "LIFE_BOARD_SILENT",
  "CONTROL_DEPARTURE_REFUSED",
]);

/** Takes a board or a witness out of the cluster. */
export function Evict({ name: board, isAway, impact }: EvictProperties) {
  const [isForced, setForced] = useState(false);
  const [mayForce, setMayForce] = useState(false);
  return (
    <ActionDialog
      label={t("evict.button")}
      kind="quiet"
      name={t("evict.name", { board })}
      title={t("evict.title", { board })}
      submit={t("evict.name", { board })}
      isDangerous
      confirm={board}
      request={requests.evictNode(board, isForced)}
      done={() => t("evict.done", { board })}
      onOpen={() => setForced(false)}
      onProblem={({ code }) => setMayForce(FORCED_CODES.has(code))}
    >
      <p>{impact === undefined ? t("evict.witness") : t("evict.what")}</p>
      {impact !== undefined && <ImpactAnswer impact={impact} isOpen />}
      {(isAway || mayForce) && (
        <CheckField isChecked={isForced} onChecked={setForced}>
          {t("evict.force")}
        </CheckField>
      )}
    </ActionDialog>
  );
}

interface ActionsProperties {
  readonly row: BoardRow;
  readonly impacts: readonly ImpactResource[];
  readonly isManaged: boolean;
  /** No other board could take its load. */
  readonly isOnly: boolean;
}

/** The buttons. */
export function BoardActions({ row, impacts, isManaged, isOnly }: ActionsProperties) {
  const { name, status, panel, state } = row;
  const impact = impacts.find(({ subject }) => subject.kind === "board" && subject.name === name);
  if (status === null) {
    return (
      <div class="actions">
        {panel !== null && (
          <a
            class="button"
            href={panel}
            aria-label={t("boards.panel-of", { board: name })}
            title={t("boards.panel-why")}
          >
            {t("boards.panel")}
          </a>
        )}
        {isManaged && !row.isHere && (
          <Evict name={name} isAway={state === "away"} impact={impact} />
        )}
      </div>
    );
  }
  if (status.state === "in-service") {
    return isOnly ? null : (
      <div class="actions">
        <Drain board={name} mode="drain" impact={impact} />
        <Drain board={name} mode="maintenance" impact={impact} />
      </div>
    );
  }
  return (
    <ActionButton
      label={t("undrain.button")}
      name={t("undrain.name", { board: name })}
      hint={t("undrain.why")}
      request={requests.undrainNode(name)}
      done={t("undrain.done", { board: name })}
    />
  );
}
