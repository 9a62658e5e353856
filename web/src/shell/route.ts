/** Which page is shown, by the path of the address; the browser's history works. */

import { computed, signal } from "@preact/signals";
import { routeOf } from "./page-path.ts";

const path = signal("/");

/** The page shown now. */
export const route = computed(() => routeOf(path.value));

/** Shows another page without loading anything. */
export function navigate(to: string): void {
  if (to !== location.pathname) {
    history.pushState(null, "", to);
  }
  path.value = to;
  window.scrollTo(0, 0);
}

/** Takes the page from the address, and follows the browser's back and forward. */
export function startRouting(): void {
  path.value = location.pathname;
  window.addEventListener("popstate", () => {
    path.value = location.pathname;
  });
}
