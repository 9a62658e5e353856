/** The whole panel: sign-in, or the header and one page. */

import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { ActivityPage } from "../pages/activity-page.tsx";
import { ArrayPage } from "../pages/array-page.tsx";
import { BoardsPage } from "../pages/boards-page.tsx";
import { CreateArrayPage } from "../pages/create-array-page.tsx";
import { DevicesPage } from "../pages/devices-page.tsx";
import { ExportsPage } from "../pages/exports-page.tsx";
import { OverviewPage } from "../pages/overview-page.tsx";
import { SignInPage } from "../pages/sign-in-page.tsx";
import { PageHead } from "../parts/section.tsx";
import { Announcer } from "./announcer.tsx";
import { AppHeader } from "./app-header.tsx";
import { board, liveness } from "./board-store.ts";
import { NoticeList } from "./notice-list.tsx";
import { route } from "./route.ts";
import { session } from "./session.ts";

function Page({ board }: { board: Board }) {
  const shown = route.value;
  switch (shown.page) {
    case "overview":
      return <OverviewPage board={board} />;
    case "array":
      return <ArrayPage key={shown.id} board={board} id={shown.id} />;
    case "create-array":
      return <CreateArrayPage board={board} />;
    case "devices":
      return <DevicesPage board={board} />;
    case "exports":
      return <ExportsPage board={board} />;
    case "boards":
      return <BoardsPage />;
    case "activity":
      return <ActivityPage board={board} />;
    case "not-found":
      return (
        <PageHead
          title={t("shell.not-found")}
          lead={t("shell.not-found-why", { path: shown.path })}
        />
      );
  }
}

/** The panel. */
export function App() {
  if (session.value === null) {
    return <SignInPage />;
  }
  const isStale = liveness.value.state === "lost";
  return (
    <>
      <a class="skip-link" href="#content">
        {t("shell.skip")}
      </a>
      <AppHeader />
      <main id="content" tabIndex={-1} class={isStale ? "stale" : ""}>
        {board.value === null ? (
          <p class="loading">{t("shell.loading")}</p>
        ) : (
          <Page board={board.value} />
        )}
      </main>
      <NoticeList />
      <Announcer />
    </>
  );
}
