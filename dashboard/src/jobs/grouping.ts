/** Runs by what they belong to: all tasks of an array are one row. */
import { duration } from "../parts/summaries";
import type { Standing } from "../parts/outcome";
import type { Summary } from "../server/shapes";

export interface Job {
  /** The undertaking, or the run where it belongs to none. */
  id: string;
  runs: Summary[];
  /** Whether it has more runs than are looked at. */
  more: boolean;
}

export function grouped(runs: Summary[]): Job[] {
  const jobs = new Map<string, Job>();
  for (const run of runs) {
    const id = run.correlation_id ?? run.id;
    const job = jobs.get(id);
    if (job === undefined) jobs.set(id, { id, runs: [run], more: false });
    else job.runs.push(run);
  }
  return [...jobs.values()];
}

export function startOf({ runs }: Job): number {
  return runs.reduce((at, run) => Math.min(at, Date.parse(run.started_at)), Infinity);
}

export function lastOf({ runs }: Job): number {
  return runs.reduce((at, run) => Math.max(at, Date.parse(run.last_event_at)), 0);
}

/** From its first start to its last end, or until now (seconds). */
export function took(job: Job, now: number): number {
  const [only] = job.runs;
  if (job.runs.length === 1 && only) return duration(only, now);
  const runs = job.runs.some((run) => run.state === "running");
  return Math.max(0, ((runs ? now : lastOf(job)) - startOf(job)) / 1000);
}

const RANK: Record<Standing, number> = { failed: 0, stuck: 1, running: 2, "": 3, done: 4 };

/** What wants to be looked at comes first. */
export function byUrgency(a: Standing, b: Standing): number {
  return RANK[a] - RANK[b];
}
