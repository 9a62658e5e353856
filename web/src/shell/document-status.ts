/** The page's title and icon: they tell the worst health, in a tab in the background too. */

import { effect } from "@preact/signals";
import type { HealthWord } from "../../../src/api/schemas/array.ts";
import { t } from "../messages/translate.ts";
import { faviconOf } from "../parts/health-shapes.ts";
import { board, liveness } from "./board-store.ts";
import { route } from "./route.ts";

const pageName = (): string => {
  const current = route.value;
  switch (current.page) {
    case "array":
      return board.value?.arrays.get(current.id)?.name ?? current.id;
    case "create-array":
      return t("create.title");
    case "devices":
      return t("page.devices");
    case "exports":
      return t("page.exports");
    case "boards":
      return t("page.boards");
    case "activity":
      return t("page.activity");
    case "overview":
    case "not-found":
      return t("page.overview");
  }
};

/** What the title begins with: the health, unless it may be out of date. */
const verdict = (): { readonly word: string; readonly health: HealthWord } | null => {
  const health = board.value?.system.health.state;
  if (health === undefined) {
    return null;
  }
  return liveness.value.state === "lost"
    ? { word: t("shell.stale"), health: "unknown" }
    : { word: t(`health.${health}`), health };
};

/** Keeps title and icon in step. */
export function startDocumentStatus(): void {
  effect(() => {
    const now = verdict();
    const node = board.value?.system.node;
    document.title =
      now === null || node === undefined
        ? t("product.name")
        : `${now.word} · ${t("shell.title", { page: pageName(), node })}`;
    const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (icon !== null) {
      icon.href = now === null ? "/icon.svg" : faviconOf(now.health);
    }
  });
}
