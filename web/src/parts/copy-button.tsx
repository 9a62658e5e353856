/** Copies a text; works without the clipboard permission of secure pages too. */

import { useState } from "preact/hooks";
import { t } from "../messages/translate.ts";

const SHOWN_MS = 2000;

const copyBySelection = (text: string): boolean => {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "copy-source";
  // A modal dialog makes everything outside of it inert.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  // Boards are often reached over plain HTTP, where navigator.clipboard does not exist.
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
};

const copy = async (text: string): Promise<boolean> => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
};

/** The button; `label` says what is copied. */
export function CopyButton({ text, label }: { text: string; label?: string }) {
  const [state, setState] = useState<"copy" | "copied" | "copy-failed">("copy");
  const run = async (): Promise<void> => {
    setState((await copy(text)) ? "copied" : "copy-failed");
    window.setTimeout(() => setState("copy"), SHOWN_MS);
  };
  const shown = state === "copy" && label !== undefined ? label : t(`copy.${state}`);
  return (
    <button type="button" class="button quiet small" onClick={() => void run()}>
      <span aria-live="polite">{shown}</span>
    </button>
  );
}
