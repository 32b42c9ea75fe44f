/** Filters as the server is asked: for lists, for the stream, for the event next to another. */
import type { Filters } from "../filters/filters";
import { ask } from "../server/ask";
import { serverNow } from "../server/clock";
import type { EventsPage } from "../server/shapes";

/** As a list is asked for: like the stream, without what Tidings says of itself unless it is named. */
export function listed(filters: Filters): URLSearchParams {
  const params = filters.toParams(serverNow());
  if (!params.getAll("type").some((type) => type.startsWith("tidings."))) {
    params.append("not.type", "tidings.*");
  }
  return params;
}

/** As the stream is asked for; a time that ends now never ends there. */
export function followed(filters: Filters): URLSearchParams {
  const params = filters.toParams(serverNow());
  if (filters.range) params.delete("since");
  return params;
}

/** The id of the event that comes next to a position, among those that the filters let through. */
export async function beside(
  filters: Filters,
  position: number,
  older: boolean,
): Promise<string | null> {
  const params = listed(filters);
  // Text is looked for from the newest back only.
  if (!older && params.has("contains")) return null;
  params.set("limit", "1");
  params.set(older ? "before" : "after", String(position));
  if (!older) params.set("order", "asc");
  const { events } = await ask<EventsPage>("events/", { params });
  return events[0]?.id ?? null;
}
