/**
 * What is kept, page by page to the past.
 *
 * The server searches for a second at most, so a page may hold little and end early. It is then
 * asked to go on, but not for ever: after some such pages a person is asked first.
 */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { type Row, rowOf } from "../live/row";
import { ask, Away } from "../server/ask";
import type { EventsPage } from "../server/shapes";

const PAGE = 200;
/** So many searches that found little are gone on with unasked. */
const UNASKED = 10;
/** Enough to fill a screen. */
const ENOUGH = 60;
const AGAIN_AFTER = 5_000;

interface Page {
  rows: Row[];
  /** Ahead of which position the next page is; null at the end. */
  before: number | null;
  /** How many match in all; none where that is not known. */
  total: number | null;
  /** Whether it is as long as it may be, or the last. */
  complete: boolean;
}

export interface Pages {
  /** Newest first. */
  rows: Row[];
  total: number | null;
  loading: boolean;
  loadingMore: boolean;
  more: boolean;
  /** Up to which position a search has come that found little so far; null where it need not say. */
  searched: number | null;
  /** Go on; `asked` by a person, or because the reader comes near the end. */
  load: (asked: boolean) => void;
  error: Error | null;
  again: () => void;
}

/**
 * Pages of what `params` let through, from ahead of `start` back; nothing while that is undefined.
 *
 * @param name - what tells these pages from others, beside `start`.
 */
export function usePages(
  params: URLSearchParams,
  name: (string | number)[],
  start: number | undefined,
): Pages {
  const left = useRef(UNASKED);
  const query = useInfiniteQuery({
    queryKey: ["events", ...name, start],
    enabled: start !== undefined,
    initialPageParam: start ?? 0,
    queryFn: ({ pageParam, signal }) => read(params, pageParam, signal),
    getNextPageParam: (last) => last.before,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    // The first page only: all of them would be asked for anew.
    refetchInterval: ({ state }) =>
      state.data === undefined && state.error instanceof Away ? AGAIN_AFTER : false,
  });
  const { data, hasNextPage, isFetching, fetchNextPage, error } = query;
  const rows = useMemo(() => data?.pages.flatMap((each) => each.rows) ?? [], [data]);
  const last = data?.pages[data.pages.length - 1];
  const load = (asked: boolean) => {
    if (!hasNextPage || isFetching) return;
    if (asked || last?.complete) left.current = UNASKED;
    if (left.current <= 0 || (error !== null && !asked)) return;
    left.current -= 1;
    void fetchNextPage();
  };
  const latest = useRef(load);
  latest.current = load;
  const isPoor = rows.length < ENOUGH && last?.complete === false;
  useEffect(() => {
    if (isPoor && !isFetching) latest.current(false);
  }, [isPoor, isFetching]);
  return {
    rows,
    total: data?.pages[0]?.total ?? null,
    loading: query.isLoading,
    loadingMore: query.isFetchingNextPage,
    more: hasNextPage,
    searched: last && !last.complete ? last.before : null,
    load,
    error,
    again: () => void (data === undefined ? query.refetch() : fetchNextPage()),
  };
}

async function read(asked: URLSearchParams, before: number, signal: AbortSignal): Promise<Page> {
  const params = new URLSearchParams(asked);
  params.set("limit", String(PAGE));
  params.set("before", String(before));
  const answer = await ask<EventsPage>("events/", { params, signal });
  const next = answer.next === null ? null : new URL(answer.next, window.location.href);
  const then = next?.searchParams.get("before") ?? null;
  return {
    rows: answer.events.map(rowOf),
    before: then === null ? null : Number(then),
    total: answer.total,
    complete: answer.complete,
  };
}
