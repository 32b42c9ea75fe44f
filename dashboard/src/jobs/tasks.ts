/** The runs of one job, all of them as far as they can be counted. */
import { ask } from "../server/ask";
import type { Summary } from "../server/shapes";

/** So many tasks of an array are looked at, the newest ones; Slurm's own limit is 1,000, too. */
const MOST = 1000;

export interface Tasks {
  runs: Summary[];
  /** Whether there are more, which are not counted. */
  more: boolean;
}

export async function tasksOf(id: string, signal: AbortSignal): Promise<Tasks> {
  const tasks = await runs({ correlation_id: id }, signal);
  // What belongs to nothing larger is a job of its own.
  return tasks.runs.length > 0 ? tasks : await runs({ aggregate_id: id }, signal);
}

async function runs(which: Record<string, string>, signal: AbortSignal): Promise<Tasks> {
  const params = new URLSearchParams({ ...which, limit: String(MOST) });
  const answer = await ask<{ aggregates: Summary[]; next: string | null }>(
    "events/aggregates/run",
    { params, signal },
  );
  return { runs: answer.aggregates, more: answer.next !== null };
}
