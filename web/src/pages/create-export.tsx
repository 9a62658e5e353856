/** Makes an export. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { requests } from "../api/api-request.ts";
import { sortedArrays } from "../board/array-facts.ts";
import type { Board } from "../board/board.ts";
import { isName } from "../board/name.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { CheckField, SelectField, TextField } from "../parts/fields.tsx";

/** A name for the next export of an array: the array's own, or with a number behind. */
function freeName(board: Board, array: string): string {
  let name = array;
  for (let number = 2; board.exports.has(name); number += 1) {
    name = `${array}-${number}`;
  }
  return name;
}

/** Button and dialog; `array` is given where there is no choice. */
export function CreateExport({ board, array }: { board: Board; array?: ArrayResource }) {
  const arrays = array === undefined ? sortedArrays(board.arrays.values()) : [array];
  const [arrayId, setArrayId] = useState("");
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [isReadOnly, setReadOnly] = useState(false);
  const chosen = arrays.find(({ id }) => id === arrayId) ?? arrays[0];
  if (chosen === undefined) {
    return null;
  }
  const choose = (id: string): void => {
    setArrayId(id);
    setName(freeName(board, board.arrays.get(id)?.name ?? ""));
  };
  return (
    <ActionDialog
      label={t("export.create")}
      title={t("export.create-title")}
      submit={t("export.create")}
      onOpen={() => choose(chosen.id)}
      request={
        isName(name)
          ? requests.createExport({
              name,
              array: chosen.id,
              ...(description === "" ? {} : { description }),
              ...(isReadOnly ? { read_only: true } : {}),
            })
          : null
      }
      done={() => t("done.create-export", { name })}
    >
      {array === undefined && (
        <SelectField
          label={t("export.array")}
          value={chosen.id}
          onValue={choose}
          options={arrays.map((item) => ({ value: item.id, label: item.name }))}
        />
      )}
      <TextField
        label={t("export.name")}
        value={name}
        onValue={setName}
        hint={t("create.name-rule")}
        isRequired
        isCode
      />
      <TextField
        label={`${t("export.description")} (${t("common.optional")})`}
        value={description}
        onValue={setDescription}
      />
      <CheckField isChecked={isReadOnly} onChecked={setReadOnly}>
        {t("export.read-only")}
      </CheckField>
    </ActionDialog>
  );
}
