/**
 * The events a view shows: what is kept, page by page to the past, and what comes, live.
 *
 * First the newest position is asked for, then pages before it are read and the stream is followed
 * past it: so nothing is missed and nothing comes twice, whoever writes meanwhile. Where the stream
 * has left much out, or the log is another one, it is read anew from the newest back.
 */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { type Filters, RANGES } from "../filters/filters";
import type { Row } from "../live/row";
import { Rows, type Shown } from "../live/rows";
import { useLive } from "../live/session";
import type { Gap } from "../live/stream";
import { useClock } from "../parts/clock";
import { newest } from "../server/newest";
import { followed, listed } from "./asking";
import { type Pages, usePages } from "./pages";

/** How often it is seen what leaves the time up to now (milliseconds). */
const EXPIRE_EVERY = 5_000;

export interface Reading {
  shown: Shown;
  /** What is kept, newest first. */
  kept: Row[];
  /** How many there are in all; none where that is not known. */
  total: number | null;
  /** More came while it was paused than the stream gave. */
  torn: boolean;
  pause: () => void;
  resume: () => void;
  loading: boolean;
  loadingMore: boolean;
  more: boolean;
  loadMore: (asked: boolean) => void;
  /** How many of the newest events were searched through, where that found little. */
  searched: number | null;
  error: Error | null;
  again: () => void;
  gap: Gap | null;
}

/** One reading; other filters are another reading, so whoever uses it has a `key` for them. */
export function useReading(filters: Filters): Reading {
  const text = filters.toString();
  const client = useQueryClient();
  const [{ turn, live }, begin] = useState(() => ({ turn: 0, live: new Rows() }));
  const [gap, setGap] = useState<Gap | null>(null);
  const [torn, tear] = useState(false);
  const shown = useSyncExternalStore(live.subscribe, live.snapshot);
  const head = useHead(text, turn);
  // The time up to now is told once a reading: its pages must agree.
  // eslint-disable-next-line react-hooks/exhaustive-deps -- a turn is another reading
  const [asked, heard] = useMemo(() => [listed(filters), followed(filters).toString()], [turn]);
  // What fell out of the live rows is kept by the server, and read once it is wanted.
  const { floor } = shown;
  const [wanted, want] = useState<number | null>(null);
  const from = head.data === undefined ? undefined : head.data + 1;
  const start = floor === null ? from : wanted === floor ? floor : undefined;
  const pages = usePages(asked, [text, turn], start);
  // How many there were in the beginning; later pages count what came live, too.
  const total = useFirst(pages.total, turn);
  const anew = () => {
    tear(false);
    begin({ turn: turn + 1, live: new Rows() });
  };
  const missed = (found: Gap) => {
    setGap(found.reason === "far" ? null : found);
    // What else was asked of another log is no more true than the list.
    if (found.reason === "ahead") void client.invalidateQueries();
    if (shown.paused && found.reason === "far") tear(true);
    else if (found.reason !== "pruned") anew();
  };
  useLive({
    filters: heard,
    after: filters.isOver ? undefined : head.data,
    took: (events) => live.take(events),
    missed,
  });
  const kept = useExpiring(filters, live, shown.paused, pages.rows);
  return {
    shown,
    kept,
    total: total === null || filters.range ? null : total + shown.taken,
    torn,
    pause: () => live.pause(),
    resume: () => (torn ? anew() : live.resume()),
    ...paging(pages, floor !== null && wanted !== floor, () => want(floor)),
    loading: head.isPending || pages.loading,
    searched: pages.searched === null ? null : (head.data ?? 0) + 1 - pages.searched,
    error: head.error ?? pages.error,
    again: () => (head.error ? void head.refetch() : pages.again()),
    gap,
  };
}

/** The first value there is, of each turn. */
function useFirst<T>(value: T | null, turn: number): T | null {
  const first = useRef<{ turn: number; value: T | null }>({ turn, value: null });
  if (first.current.turn !== turn) first.current = { turn, value: null };
  first.current.value ??= value;
  return first.current.value;
}

/** How it goes on to the past; `isCut` where that begins at another place than it did. */
function paging(pages: Pages, isCut: boolean, begin: () => void) {
  return {
    loadingMore: pages.loadingMore || (pages.loading && pages.rows.length === 0),
    more: isCut || pages.more,
    loadMore: isCut ? begin : pages.load,
  };
}

/** The newest position when the reading began. */
function useHead(text: string, turn: number) {
  return useQuery({
    queryKey: ["head", text, turn],
    queryFn: ({ signal }) => newest(signal),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

/** The rows that are still within the time up to now, if that is what is asked for. */
function useExpiring(filters: Filters, live: Rows, paused: boolean, rows: Row[]): Row[] {
  const seconds = RANGES[filters.range];
  const now = useClock(seconds === undefined ? 0 : 1000);
  const step = Math.floor(now / EXPIRE_EVERY) * EXPIRE_EVERY;
  const since = useRef(Number.NEGATIVE_INFINITY);
  if (seconds !== undefined && !paused) since.current = step - seconds * 1000;
  const before = since.current;
  useEffect(() => live.expire(before), [live, before]);
  return useMemo(
    () => (Number.isFinite(before) ? rows.filter((row) => row.at >= before) : rows),
    [rows, before],
  );
}
