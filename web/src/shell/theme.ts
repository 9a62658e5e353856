/** Light or dark: as the system says, or as chosen in this browser. */

import { signal } from "@preact/signals";

/** The choices, in the order the button goes through them. */
export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "satsuma-theme";

/** The choice. */
export const theme = signal<Theme>("auto");

const show = (chosen: Theme): void => {
  theme.value = chosen;
  document.documentElement.dataset["theme"] = chosen;
};

/** Applies the choice kept in this browser. */
export function startTheme(): void {
  const kept = localStorage.getItem(KEY);
  show(THEMES.find((candidate) => candidate === kept) ?? "auto");
}

/** Goes to the next choice and keeps it. */
export function nextTheme(): void {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "auto";
  localStorage.setItem(KEY, next);
  show(next);
}
