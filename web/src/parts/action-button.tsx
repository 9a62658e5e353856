/** A button that changes something at once, joined with one that shows its API call. */

import { useId, useState } from "preact/hooks";
import type { ApiRequest } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { notify, notifyProblem } from "../shell/notices.ts";
import { CurlCommand } from "./api-call.tsx";
import { Dialog } from "./dialog.tsx";
import { perform, problemOf } from "./perform.ts";

interface ActionProperties {
  readonly label: string;
  readonly request: ApiRequest;
  /** Said when it is done. */
  readonly done: string;
  readonly hint?: string;
  /** The name for assistive technology, when the label alone does not say which. */
  readonly name?: string;
}

/** The pair of buttons. */
export function ActionButton({ label, request, done, hint, name = label }: ActionProperties) {
  const [isBusy, setBusy] = useState(false);
  const [isShown, setShown] = useState(false);
  const titleId = useId();
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      await perform(request);
      notify(done);
    } catch (error) {
      notifyProblem(problemOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <span class="split-button">
      <button
        type="button"
        class="button"
        disabled={isBusy}
        onClick={() => void run()}
        aria-label={name}
        {...(hint === undefined ? {} : { title: hint })}
      >
        {label}
      </button>
      <button
        type="button"
        class="button api"
        onClick={() => setShown(true)}
        aria-label={t("api.show", { action: name })}
      >
        {t("api.title")}
      </button>
      {isShown && (
        <Dialog title={label} titleId={titleId} onClose={() => setShown(false)}>
          <CurlCommand request={request} />
        </Dialog>
      )}
    </span>
  );
}
