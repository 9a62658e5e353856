/** The bar on top: where one is, whether it is live, and the way out. */

import { t } from "../messages/translate.ts";
import { Link } from "../parts/link.tsx";
import { board } from "./board-store.ts";
import { LiveMark } from "./live-mark.tsx";
import { route } from "./route.ts";
import { signOut } from "./session.ts";
import { nextTheme, theme } from "./theme.ts";

const PAGES = [
  { to: "/", page: "overview" },
  { to: "/devices", page: "devices" },
  { to: "/exports", page: "exports" },
  { to: "/boards", page: "boards" },
  { to: "/activity", page: "activity" },
] as const;

const THEME_PATHS = {
  auto: "M8 1.5a6.5 6.5 0 0 1 0 13z M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z",
  light:
    "M8 5a3 3 0 1 1 0 6a3 3 0 0 1 0-6z M8 1v1.5 M8 13.5v1.5 M1 8h1.5 M13.5 8h1.5 M3 3l1 1 M12 12l1 1 M13 3l-1 1 M4 12l-1 1",
  dark: "M13.5 9.5a6 6 0 1 1-7-7a5 5 0 0 0 7 7z",
} as const;

function ThemeButton() {
  const label = t("shell.theme", { theme: t(`shell.theme.${theme.value}`) });
  return (
    <button
      type="button"
      class="button quiet icon-only"
      aria-label={label}
      title={label}
      onClick={nextTheme}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path class={`stroke theme-${theme.value}`} d={THEME_PATHS[theme.value]} />
      </svg>
    </button>
  );
}

/** Arrays and their creation belong to the overview. */
const currencyOf = (page: string): "page" | "section" | undefined => {
  const shown = route.value.page;
  if (page === shown) {
    return "page";
  }
  return page === "overview" && shown.includes("array") ? "section" : undefined;
};

/** The header. */
export function AppHeader() {
  return (
    <header class="app-header">
      <Link to="/" class="brand">
        <img src="/icon.svg" alt="" width="22" height="22" />
        <span class="brand-name">{t("product.name")}</span>
        <span class="brand-node">{board.value?.system.node ?? ""}</span>
      </Link>
      <nav aria-label={t("shell.navigation")}>
        {PAGES.map(({ to, page }) => (
          <Link key={to} to={to} current={currencyOf(page)}>
            {t(`page.${page}`)}
          </Link>
        ))}
      </nav>
      <div class="header-end">
        <LiveMark />
        <ThemeButton />
        <button type="button" class="button quiet" onClick={() => signOut()}>
          {t("shell.sign-out")}
        </button>
      </div>
    </header>
  );
}
