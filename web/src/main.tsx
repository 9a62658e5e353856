/** Starts the panel. */

import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./shell/app.tsx";
import { follow, unfollow } from "./shell/board-store.ts";
import { startClock } from "./shell/clock.ts";
import { startDocumentStatus } from "./shell/document-status.ts";
import { startRouting } from "./shell/route.ts";
import { session, startSession } from "./shell/session.ts";
import { startTheme } from "./shell/theme.ts";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/controls.css";
import "./styles/content.css";
import "./styles/tables.css";

const root = document.getElementById("panel");
if (root !== null) {
  startTheme();
  startRouting();
  startClock();
  startDocumentStatus();
  startSession();
  effect(() => {
    const current = session.value;
    if (current === null) {
      unfollow();
    } else {
      follow(current);
    }
  });
  render(<App />, root);
}
