/**
 * How many events happened when, by outcome; drag over a part to look at that time.
 *
 * Loaded after the list, asked anew when events have come, and not oftener than every two seconds.
 */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Filters } from "../filters/filters";
import { ask, Refused } from "../server/ask";
import { serverNow } from "../server/clock";
import type { Histogram } from "../server/shapes";
import { listed } from "./asking";
import { type Drawing, draw } from "./volume_chart";
import { inWords } from "./volume_words";
import "./volume.css";

const PAUSE = 2000;
const LEAST = 5 * 60_000;

interface Props {
  filters: Filters;
  change: (next: Filters) => void;
  /** Grows when events have come. */
  moved: number;
  /** When the oldest event of the list happened, in milliseconds since 1970; none in an empty one. */
  oldest: number | null;
}

export function Volume({ filters, change, moved, oldest }: Props) {
  const tick = useThrottled(moved, PAUSE);
  const uncountable = filters.list.some(
    ({ name }) => name === "contains" || name.startsWith("payload."),
  );
  const { data, error } = useQuery({
    queryKey: ["histogram", filters.toString(), tick, oldest],
    enabled: !uncountable && oldest !== null,
    placeholderData: keepPreviousData,
    gcTime: 0,
    queryFn: ({ signal }) =>
      ask<Histogram>("events/histogram", { params: asked(filters, oldest ?? 0), signal }),
  });
  if (uncountable) return <p className="quiet">Volume is not counted for what payloads say.</p>;
  if (error && !data) {
    const words = error instanceof Refused ? error.message : "The volume could not be loaded.";
    return <p className="quiet">{words}</p>;
  }
  return <Chart data={data} filters={filters} change={change} />;
}

/** The time that the list shows, in step with it; at least some minutes. */
function asked(filters: Filters, oldest: number): URLSearchParams {
  const params = listed(filters);
  const end = Date.parse(params.get("until") ?? "") || serverNow();
  if (!params.has("since")) {
    params.set("since", new Date(Math.min(oldest, end - LEAST)).toISOString());
  }
  return params;
}

function Chart({
  data,
  filters,
  change,
}: { data: Histogram | undefined } & Omit<Props, "moved" | "oldest">) {
  const place = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const latest = useRef({ filters, change });
  latest.current = { filters, change };
  useEffect(() => {
    if (place.current === null) return;
    const made = draw(place.current, (since, until) => {
      const now = latest.current;
      now.change(now.filters.with("since", iso(since)).with("until", iso(until)));
    });
    drawing.current = made;
    return () => made.destroy();
  }, []);
  useEffect(() => {
    if (data) drawing.current?.show(data);
  }, [data]);
  const zoomed = filters.list.some(({ name }) => name === "since" || name === "until");
  return (
    <figure className="volume">
      <div ref={place} className="chart" aria-hidden="true" />
      <figcaption>
        <span>{data ? inWords(data) : "Counting …"}</span>
        {zoomed && (
          <button type="button" className="small" onClick={() => change(filters.with("range", ""))}>
            Reset time
          </button>
        )}
      </figcaption>
    </figure>
  );
}

function iso(seconds: number): string {
  return new Date(Math.round(seconds * 1000)).toISOString();
}

/** A number that follows another one, but changes not oftener than every so many milliseconds. */
function useThrottled(value: number, pause: number): number {
  const [shown, show] = useState(value);
  const changedAt = useRef(0);
  useEffect(() => {
    if (value === shown) return;
    const rest = Math.max(0, changedAt.current + pause - Date.now());
    const timer = setTimeout(() => {
      changedAt.current = Date.now();
      show(value);
    }, rest);
    return () => clearTimeout(timer);
  }, [value, shown, pause]);
  return shown;
}
