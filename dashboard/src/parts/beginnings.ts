/**
 * The events with which what is listed began: they say what was asked for, or what was run.
 *
 * Summaries hold no payload. One question finds the first events of a whole list, because they all
 * stand between its first positions; they never change, so it is asked only as the list grows.
 */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { ask } from "../server/ask";
import type { EventItem, EventsPage, Summary } from "../server/shapes";

const MOST = 1000;
/** So many positions past the first event, what it began may still say what it is for. */
const SOON = 1000;

/**
 * By the ids of what they are about, the first of each that tells; `types` are those they may have.
 *
 * `tells` is the same function each time.
 */
export function useBeginnings(
  types: string[],
  rows: Summary[],
  tells: (event: EventItem) => boolean = anything,
): Map<string, EventItem> {
  const places = rows.map((row) => row.first_position);
  const from = places.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER);
  const to = places.reduce((a, b) => Math.max(a, b), 0);
  const { data } = useQuery({
    queryKey: ["beginnings", types, from, to],
    enabled: rows.length > 0,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const params = new URLSearchParams(types.map((type) => ["type", type]));
      params.set("after", String(from - 1));
      params.set("before", String(to + SOON));
      params.set("limit", String(MOST));
      return (await ask<EventsPage>("events/", { params, signal })).events;
    },
  });
  return useMemo(() => {
    const found = new Map<string, EventItem>();
    // They come newest first; the first of each is the last to be set.
    for (const event of data ?? []) if (tells(event)) found.set(event.aggregate_id, event);
    return found;
  }, [data, tells]);
}

const anything = () => true;
