/**
 * The events with which what is listed began: they say what was asked for, or what was run.
 *
 * Summaries hold no payload. One question finds the first events of a whole list, because they all
 * stand between its first positions; they never change, so it is asked only as the list grows.
 * Where much that is not listed began between, each is asked for alone.
 */
import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { ask } from "../server/ask";
import type { EventItem, EventsPage, Summary } from "../server/shapes";

const MOST = 1000;
/** So many positions past the first event, what it began may still say what it is for. */
const SOON = 1000;
/** Of what is asked for alone, one of so many first events tells. */
const FIRST = 10;

/**
 * By the ids of what they are about, the first of each that tells; `types` are those they may have.
 *
 * `tells` is the same function each time; `apart` says that the rows began far apart.
 */
export function useBeginnings(
  types: string[],
  rows: Summary[],
  tells: (event: EventItem) => boolean = anything,
  apart = false,
): Map<string, EventItem> {
  const places = rows.map((row) => row.first_position);
  const from = places.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER);
  const to = places.reduce((a, b) => Math.max(a, b), 0);
  const { data } = useQuery({
    queryKey: ["beginnings", types, from, to],
    enabled: rows.length > 0 && !apart,
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
  const each = useQueries({
    queries: (apart ? rows : []).map(({ kind, id }) => ({
      queryKey: ["beginning", types, kind, id],
      staleTime: Number.POSITIVE_INFINITY,
      queryFn: ({ signal }: { signal: AbortSignal }) => firstOf(types, kind, id, signal),
    })),
    combine: (found) => found.flatMap((one) => one.data ?? []),
  });
  return useMemo(() => {
    const found = new Map<string, EventItem>();
    // They come newest first; the first of each is the last to be set.
    for (const event of [...(data ?? []), ...each]) {
      if (tells(event)) found.set(event.aggregate_id, event);
    }
    return found;
  }, [data, each, tells]);
}

/** The first events of one, the newest of them first. */
async function firstOf(
  types: string[],
  kind: string,
  id: string,
  signal: AbortSignal,
): Promise<EventItem[]> {
  const params = new URLSearchParams(types.map((type) => ["type", type]));
  params.set("aggregate_type", kind);
  params.set("aggregate_id", id);
  params.set("order", "asc");
  params.set("limit", String(FIRST));
  return (await ask<EventsPage>("events/", { params, signal })).events.reverse();
}

const anything = () => true;
