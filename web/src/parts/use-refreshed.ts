/** What no event tells is asked for again and again, while the page is looked at. */

import { useEffect, useState } from "preact/hooks";
import { liveness } from "../shell/board-store.ts";

/** `value`: the last answer, null before the first one. `isOld`: the last question had none. */
export interface Refreshed<Value> {
  readonly value: Value | null;
  readonly isOld: boolean;
}

/** Reads every `everyMs`, one question at a time; anew when `key` changes. */
export function useRefreshed<Value>(
  key: string,
  everyMs: number,
  read: () => Promise<Value>,
): Refreshed<Value> {
  const [shown, setShown] = useState<Refreshed<Value>>({ value: null, isOld: false });
  useEffect(() => {
    let isWanted = true;
    let isAsking = false;
    const refresh = async (): Promise<void> => {
      const isLooked = document.visibilityState === "visible";
      if (isAsking || !isLooked || liveness.peek().state !== "live") return;
      isAsking = true;
      // What cannot be read now is read the next time; the live mark tells of lost connections.
      const found = await read().catch(() => null);
      isAsking = false;
      if (!isWanted) return;
      setShown(({ value }) => ({ value: found ?? value, isOld: found === null }));
    };
    void refresh();
    const timer = window.setInterval(() => void refresh(), everyMs);
    return () => {
      isWanted = false;
      clearInterval(timer);
    };
  }, [key]);
  return shown;
}
