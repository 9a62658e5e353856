/** The commands that attach an export, for each way to reach it and each kind of client. */

import { useEffect, useState } from "preact/hooks";
import type { AttachResource, ExportResource } from "../../../src/api/schemas/export.ts";
import { t } from "../messages/translate.ts";
import { CommandBlock } from "./command-block.tsx";
import { perform } from "./perform.ts";
import { Tabs } from "./tabs.tsx";

/** The commands; read anew when the export's addresses change. */
function useAttach(item: ExportResource): AttachResource | null {
  const [attach, setAttach] = useState<AttachResource | null>(null);
  const path = item.links["attach"] ?? "";
  const trace = JSON.stringify(item.status.uris);
  useEffect(() => {
    let isWanted = true;
    perform<AttachResource>({ method: "GET", path }).then(
      (found) => {
        if (isWanted) {
          setAttach(found);
        }
      },
      () => undefined,
    );
    return () => {
      isWanted = false;
    };
  }, [path, trace]);
  return attach;
}

const firstOf = <Value,>(values: readonly Value[], wanted: Value | null): Value | undefined =>
  values.find((value) => value === wanted) ?? values[0];

/** Choice of address and client, and the command. */
export function AttachCommands({ item }: { item: ExportResource }) {
  const attach = useAttach(item);
  const [wantedTransport, setTransport] = useState<"unix" | "tcp" | null>(null);
  const [wantedTarget, setTarget] = useState<string | null>(null);
  if (attach === null) {
    return null;
  }
  const transports = [...new Set(attach.items.map(({ transport }) => transport))];
  const transport = firstOf(transports, wantedTransport);
  const items = attach.items.filter((candidate) => candidate.transport === transport);
  const chosen = items.find(({ target }) => target === wantedTarget) ?? items[0];
  if (transport === undefined || chosen === undefined) {
    return <p class="faint">{t("attach.none")}</p>;
  }
  return (
    <div class="attach" data-part="attach">
      <div class="attach-choice">
        <Tabs
          label={t("attach.target")}
          value={chosen.target}
          onValue={setTarget}
          options={items.map(({ target }) => ({
            value: target,
            label: t(`attach.target.${target}`),
          }))}
        />
        {transports.length > 1 && (
          <Tabs
            label={t("attach.transport")}
            value={transport}
            onValue={(value) => setTransport(value === "tcp" ? "tcp" : "unix")}
            options={transports.map((value) => ({
              value,
              label: t(`attach.transport.${value}`),
            }))}
          />
        )}
      </div>
      <CommandBlock text={chosen.text} title={chosen.title} />
    </div>
  );
}
