/** Tokens that let one newcomer into the cluster: made, shown once, taken back. */

import { useId, useState } from "preact/hooks";
import type { ClusterResource, NewJoinTokenResource } from "../../../src/api/schemas/cluster.ts";
import { requests } from "../api/api-request.ts";
import { formatClock } from "../format/duration.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { CommandBlock } from "../parts/command-block.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { perform } from "../parts/perform.ts";
import { Section } from "../parts/section.tsx";
import { useRefreshed } from "../parts/use-refreshed.ts";

type Newcomer = "board" | "witness";

interface TokenProperties {
  readonly newcomer: Newcomer;
  readonly cluster: ClusterResource;
}

interface MadeProperties extends TokenProperties {
  readonly made: NewJoinTokenResource;
  readonly onClose: () => void;
}

function MadeToken({ newcomer, cluster, made, onClose }: MadeProperties) {
  const titleId = useId();
  return (
    <Dialog title={t("token.made")} titleId={titleId} onClose={onClose}>
      <div class="dialog-body" data-part="token">
        <CommandBlock text={made.command} title={t(`token.type-${newcomer}`)} />
        <p>{t("token.ends", { time: formatClock(Date.parse(made.expires_at)) })}</p>
        <p>
          {t("token.fingerprint")} <code class="breakable">{cluster.fingerprint ?? ""}</code>
        </p>
      </div>
    </Dialog>
  );
}

/** A button, a question, and the token with what to type where. */
export function MakeToken({ newcomer, cluster }: TokenProperties) {
  const [made, setMade] = useState<NewJoinTokenResource | null>(null);
  const done = (reply: unknown): string => {
    setMade(reply as NewJoinTokenResource);
    return t("token.done");
  };
  return (
    <>
      <ActionDialog
        label={newcomer === "board" ? t("token.board") : t("witnesses.add")}
        title={t(`token.${newcomer}-title`)}
        submit={t("token.make")}
        request={requests.createJoinToken(newcomer)}
        done={done}
      >
        {newcomer === "witness" && <p>{t("token.witness-what")}</p>}
        <p>{t("token.what")}</p>
      </ActionDialog>
      {made !== null && (
        <MadeToken
          newcomer={newcomer}
          cluster={cluster}
          made={made}
          onClose={() => setMade(null)}
        />
      )}
    </>
  );
}

interface TokenAnswer {
  readonly id: string;
  readonly role: Newcomer;
  readonly replaces: string | null;
  readonly expires_at: string;
  readonly used_at: string | null;
}

const REFRESH_MS = 4000;

const purposeOf = ({ role, replaces, expires_at }: TokenAnswer): string => {
  const time = formatClock(Date.parse(expires_at));
  return replaces === null
    ? t(`token.for-${role}`, { time })
    : t("token.for-replacement", { board: replaces, time });
};

/** Tokens that still let somebody in; nothing when there are none. */
export function OpenTokens() {
  const { value } = useRefreshed("tokens", REFRESH_MS, async () => {
    const path = "/api/v1/join-tokens";
    return (await perform<{ items: TokenAnswer[] }>({ method: "GET", path })).items;
  });
  const open = (value ?? []).filter(({ used_at }) => used_at === null);
  if (open.length === 0) {
    return null;
  }
  return (
    <Section title={t("token.open")}>
      <ul class="line-list">
        {open.map((token) => (
          <li key={token.id}>
            <span>
              <code>{token.id}</code> {purposeOf(token)}
            </span>
            <ActionButton
              label={t("token.take-back")}
              name={t("token.take-back-of", { token: token.id })}
              request={requests.deleteJoinToken(token.id)}
              done={t("token.taken-back")}
            />
          </li>
        ))}
      </ul>
    </Section>
  );
}
