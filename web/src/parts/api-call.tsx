/** What a button or a form sends to the API, as a curl command to learn from. */

import { type ApiRequest, curlOf } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { CommandBlock } from "./command-block.tsx";

/** The command alone. */
export function CurlCommand({ request }: { request: ApiRequest }) {
  return <CommandBlock text={curlOf(request, location.origin)} title={t("api.explain")} />;
}

/** The command folded under "API", for forms and dialogs. */
export function ApiDetails({ request }: { request: ApiRequest }) {
  return (
    <details class="api-details">
      <summary>{t("api.title")}</summary>
      <CurlCommand request={request} />
    </details>
  );
}
