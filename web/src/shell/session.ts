/** Who is signed in: the API token of this browser tab, and the client that sends it. */

import { signal } from "@preact/signals";
import { ApiClient, ApiProblem } from "../api/api-client.ts";
import { t } from "../messages/translate.ts";

/** A token that the board accepted. */
export interface Session {
  readonly token: string;
  readonly client: ApiClient;
}

const KEY = "satsuma-token";

/** The session; null: signed out. */
export const session = signal<Session | null>(null);

/** Why the reader was signed out without asking for it; null: not so. */
export const signOutReason = signal<string | null>(null);

/** True while a token that was kept or came with the address is being tried. */
export const isRestoring = signal(false);

const clientFor = (token: string): ApiClient =>
  new ApiClient(token, {
    title: t("problem.no-answer"),
    detail: t("problem.no-answer-detail"),
    correction: t("problem.no-answer-correction"),
  });

/** Tries the token at the board and keeps it. Errors: ApiProblem. */
export async function signIn(token: string): Promise<void> {
  const client = clientFor(token);
  await client.send({ method: "GET", path: "/api/v1/system" });
  sessionStorage.setItem(KEY, token);
  signOutReason.value = null;
  session.value = { token, client };
}

/** Forgets the token. */
export function signOut(reason: string | null = null): void {
  sessionStorage.removeItem(KEY);
  signOutReason.value = reason;
  session.value = null;
}

/** True for the answer to a token that is not valid any more. */
export function isUnauthenticated(error: unknown): boolean {
  return error instanceof ApiProblem && error.document.status === 401;
}

/** Takes `#token=…` out of the address bar; null when it is not there. */
function takeTokenFromAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) {
    return null;
  }
  history.replaceState(history.state, "", location.pathname + location.search);
  return token;
}

async function restore(token: string): Promise<void> {
  isRestoring.value = true;
  try {
    await signIn(token);
  } catch (error) {
    if (isUnauthenticated(error)) {
      signOut(t("sign-in.expired"));
    } else {
      // The board may be starting: the live connection keeps trying.
      sessionStorage.setItem(KEY, token);
      session.value = { token, client: clientFor(token) };
    }
  } finally {
    isRestoring.value = false;
  }
}

/** Signs in with the token of the address or the one kept in this tab; follows the address. */
export function startSession(): void {
  const token = takeTokenFromAddress() ?? sessionStorage.getItem(KEY);
  if (token !== null) {
    void restore(token);
  }
  window.addEventListener("hashchange", () => {
    const next = takeTokenFromAddress();
    if (next !== null) {
      void restore(next);
    }
  });
}
