/** How a board that is alone comes into a cluster: it makes one, or joins by a token. */

import { useState } from "preact/hooks";
import { requests } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { TextField } from "../parts/fields.tsx";

/** Makes a cluster of this board alone. */
export function CreateCluster() {
  const [name, setName] = useState("");
  const cluster = name.trim();
  return (
    <ActionDialog
      label={t("cluster-create.button")}
      kind="main"
      title={t("cluster-create.title")}
      submit={t("cluster-create.button")}
      request={cluster === "" ? null : requests.createCluster(cluster)}
      done={() => t("cluster-create.done", { cluster })}
      onOpen={() => setName("")}
    >
      <p>{t("cluster-create.what")}</p>
      <TextField label={t("cluster-create.name")} value={name} onValue={setName} isCode />
    </ActionDialog>
  );
}

/** Joins the cluster of the board that made the token. */
export function JoinCluster() {
  const [typed, setTyped] = useState("");
  const token = typed.trim();
  return (
    <ActionDialog
      label={t("cluster-join.button")}
      title={t("cluster-join.title")}
      submit={t("cluster-join.button")}
      request={token === "" ? null : requests.joinCluster(token)}
      done={() => t("cluster-join.done")}
      onOpen={() => setTyped("")}
    >
      <p>{t("cluster-join.what")}</p>
      <TextField label={t("cluster-join.token")} value={typed} onValue={setTyped} isCode />
    </ActionDialog>
  );
}
