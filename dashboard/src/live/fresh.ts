/**
 * Answers that stay true: asked again when events came that may change them.
 *
 * Not for every event: at most once a second, and once more after the last one.
 */
import { type QueryKey, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { EventItem } from "../server/shapes";
import { useLive } from "./session";

const PAUSE = 1000;

/** Answers of which each is about a part: an event asks again for its own part only. */
export interface Parts {
  /** What the keys of all of them begin with. */
  all: QueryKey;
  /** The key of the part an event belongs to; none where it belongs to none. */
  of: (event: EventItem) => QueryKey | null;
}

/** Ask again for everything under these keys when events come that match the filters. */
export function useFreshness(keys: QueryKey[], filters = "", parts?: Parts): void {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const touched = useRef(new Map<string, QueryKey>());
  const latest = useRef({ keys, parts });
  latest.current = { keys, parts };
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  const touch = (key: QueryKey) => touched.current.set(JSON.stringify(key), key);
  const refresh = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      const due = [...latest.current.keys, ...touched.current.values()];
      touched.current.clear();
      for (const queryKey of due) void client.invalidateQueries({ queryKey });
    }, PAUSE);
  };
  const took = (events: EventItem[]) => {
    for (const event of events) {
      const key = latest.current.parts?.of(event);
      if (key) touch(key);
    }
    refresh();
  };
  const resumed = () => {
    if (latest.current.parts) touch(latest.current.parts.all);
    refresh();
  };
  useLive({ filters, after: null, took, missed: resumed, resumed });
}

/**
 * An answer; it is shown as it was while it is asked again.
 *
 * `every` says by the newest answer after how many milliseconds that is, where no event would.
 */
export function useAnswer<T>(
  key: QueryKey,
  ask: (signal: AbortSignal) => Promise<T>,
  every?: (data: T | undefined) => number,
) {
  return useQuery<T>({
    queryKey: key,
    queryFn: ({ signal }) => ask(signal),
    placeholderData: (before) => before,
    ...(every ? { refetchInterval: ({ state }) => every(state.data) } : {}),
  });
}
