/** Asks for the API token. */

import { useState } from "preact/hooks";
import { t } from "../messages/translate.ts";
import { TextField } from "../parts/fields.tsx";
import { usePerformance } from "../parts/perform.ts";
import { ProblemBox } from "../parts/problem-box.tsx";
import { isRestoring, signIn, signOutReason } from "../shell/session.ts";

/** The page. */
export function SignInPage() {
  const [token, setToken] = useState("");
  const { isBusy, problem, run } = usePerformance();
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    await run(async () => await signIn(token.trim()));
  };
  if (isRestoring.value) {
    return (
      <main class="sign-in" id="content">
        <p>{t("sign-in.busy")}</p>
      </main>
    );
  }
  return (
    <main class="sign-in" id="content">
      <form class="panel" onSubmit={(event) => void submit(event)}>
        <h1>
          <img src="/icon.svg" alt="" width="28" height="28" /> {t("product.name")}
        </h1>
        <p>{t("sign-in.lead")}</p>
        {signOutReason.value !== null && <p class="warn">{signOutReason.value}</p>}
        <TextField
          label={t("sign-in.token")}
          value={token}
          onValue={setToken}
          hint={t("sign-in.where")}
          isSecret
          isCode
        />
        {problem !== null && <ProblemBox problem={problem} />}
        <div class="actions">
          <button type="submit" class="button main" disabled={isBusy || token.trim() === ""}>
            {isBusy ? t("sign-in.busy") : t("sign-in.submit")}
          </button>
          <span class="faint">{t("sign-in.kept")}</span>
        </div>
      </form>
    </main>
  );
}
