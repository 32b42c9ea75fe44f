/** Pages of summaries: workflows, agents, runs; newest first. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { ask } from "../server/ask";
import { serverNow } from "../server/clock";
import type { State, Summary } from "../server/shapes";
import type { Standing } from "./outcome";

const PAGE = 100;

/** What runs and has said nothing for so long counts as stuck (milliseconds). */
const SILENCE = 15 * 60_000;
/** A run says nothing between its start and its end, unless it was told to end and lives on. */
const SILENCE_OF_RUN = 24 * 60 * 60_000;

/** What is stuck becomes so without any event, so it is asked for again after so long. */
const AGAIN = 60_000;

type Answer = { next: string | null } & Record<string, Summary[]>;

/**
 * `name` is what the answer calls the list; `chosen` the standing of those wanted, empty for all.
 *
 * The server chooses among all there are, the newest first.
 */
export function useSummaries(
  path: string,
  name: string,
  params: Record<string, string> = {},
  chosen = "",
) {
  const query = useInfiniteQuery({
    queryKey: ["summaries", path, params, chosen],
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => {
      const standing = asFilter(chosen, serverNow());
      const asked = new URLSearchParams({ limit: String(PAGE), ...params, ...standing });
      if (pageParam) asked.set("before", pageParam);
      const answer = await ask<Answer>(path, { params: asked, signal });
      return { rows: answer[name] ?? [], next: before(answer.next) };
    },
    getNextPageParam: (last) => last.next,
    placeholderData: (kept) => kept,
    refetchInterval: chosen === "stuck" ? AGAIN : false,
  });
  return { ...query, rows: query.data?.pages.flatMap((each) => each.rows) ?? [] };
}

function before(next: string | null): string | null {
  return next === null ? null : new URL(next, window.location.href).searchParams.get("before");
}

/** How the server is asked for a standing; `running` has what is stuck as well. */
export function asFilter(chosen: string, now: number): Record<string, string> {
  if (chosen === "") return {};
  if (chosen !== "stuck") return { state: chosen };
  return { state: "running", quiet_since: new Date(now - SILENCE).toISOString() };
}

interface Standable {
  state: State;
  last_event_at: string | null;
  kind?: string;
  last_type?: string;
}

/** How something stands now: as its events say, or stuck where none came for long. */
export function standing(of: Standable, now: number): Standing {
  if (of.state !== "running" || of.last_event_at === null) return of.state;
  const quiet = of.kind === "run" && of.last_type !== "run.signaled" ? SILENCE_OF_RUN : SILENCE;
  return now - Date.parse(of.last_event_at) > quiet ? "stuck" : "running";
}

/** How long it has taken, or is taking, in seconds. */
export function duration(
  summary: { state: State; started_at: string | null; last_event_at: string | null },
  now: number,
): number {
  const start = Date.parse(summary.started_at ?? "");
  const end = summary.state === "running" ? now : Date.parse(summary.last_event_at ?? "");
  return Math.max(0, (end - start) / 1000);
}
