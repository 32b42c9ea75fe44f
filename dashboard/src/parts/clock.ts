/** One ticking clock for all that shows how long ago something was. */
import { useSyncExternalStore } from "react";
import { serverNow } from "../server/clock";

const listeners = new Set<() => void>();
let now = serverNow();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = serverNow();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

const still = (): (() => void) => () => undefined;

/** While nobody listens the clock stands; who looks first sets it. */
function look(): number {
  if (timer === undefined && Math.abs(serverNow() - now) >= 1000) now = serverNow();
  return now;
}

/** The time now, in milliseconds since 1970; with 0 it does not tick. */
export function useClock(every: number): number {
  return useSyncExternalStore(every > 0 ? subscribe : still, look);
}
