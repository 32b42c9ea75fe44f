/** Up to where the log reaches, for whoever asks. */
import { ask } from "./ask";
import type { EventsPage } from "./shapes";

/** The newest position there is; 0 where there is no event. */
export async function newest(signal: AbortSignal): Promise<number> {
  const params = new URLSearchParams({ limit: "1" });
  const { events } = await ask<EventsPage>("events/", { params, signal });
  return events[0]?.position ?? 0;
}
