/**
 * A button that opens a dialog: what will happen, what is asked, the API call, then the deed. When
 * something can be lost, the name has to be typed first; the deed's button is never focused first.
 */

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import type { ApiRequest } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { notify } from "../shell/notices.ts";
import { ApiDetails } from "./api-call.tsx";
import { Dialog } from "./dialog.tsx";
import { TextField } from "./fields.tsx";
import { perform, usePerformance } from "./perform.ts";
import { ProblemBox } from "./problem-box.tsx";

interface ActionDialogProperties {
  /** The text of the opening button, and its full name when that is not enough. */
  readonly label: string;
  readonly name?: string;
  readonly kind?: "plain" | "quiet" | "main";
  readonly title: string;
  readonly submit: string;
  readonly isDangerous?: boolean;
  /** Has to be typed before the deed; null: nothing is lost. */
  readonly confirm?: string | null;
  /** Null while the form is not complete. */
  readonly request: ApiRequest | null;
  /** What is said, and done, with the reply. */
  readonly done: (reply: unknown) => string;
  readonly onOpen?: () => void;
  /** The request was refused: the form may ask for more then. */
  readonly onProblem?: (problem: ProblemDocument) => void;
  readonly children: ComponentChildren;
}

/** Button and dialog. */
export function ActionDialog(properties: ActionDialogProperties) {
  const { label, name = label, kind = "plain", onOpen } = properties;
  const [isOpen, setOpen] = useState(false);
  const open = (): void => {
    onOpen?.();
    setOpen(true);
  };
  return (
    <>
      <button type="button" class={`button ${kind}`} aria-label={name} onClick={open}>
        {label}
      </button>
      {isOpen && <OpenDialog {...properties} onClose={() => setOpen(false)} />}
    </>
  );
}

type OpenProperties = ActionDialogProperties & { readonly onClose: () => void };

function OpenDialog({
  title,
  submit,
  isDangerous = false,
  confirm = null,
  request,
  done,
  onProblem,
  onClose,
  children,
}: OpenProperties) {
  const titleId = useId();
  const [typed, setTyped] = useState("");
  const { isBusy, problem, run } = usePerformance(onProblem);
  const isReady = request !== null && !isBusy && (confirm === null || typed === confirm);
  const act = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (!isReady) {
      return;
    }
    const isDone = await run(async () => notify(done(await perform(request))));
    if (isDone) {
      onClose();
    }
  };
  return (
    <Dialog title={title} titleId={titleId} onClose={onClose}>
      <form onSubmit={(event) => void act(event)}>
        <div class="dialog-body">
          {children}
          {confirm !== null && (
            <TextField
              label={t("confirm.type", { name: confirm })}
              value={typed}
              onValue={setTyped}
              isCode
            />
          )}
          {problem !== null && <ProblemBox problem={problem} />}
          {request !== null && <ApiDetails request={request} />}
        </div>
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            {t("common.cancel")}
          </button>
          <button
            type="submit"
            class={`button ${isDangerous ? "danger" : "main"}`}
            disabled={!isReady}
          >
            {isBusy ? t("action.busy") : submit}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
