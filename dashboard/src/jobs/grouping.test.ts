// @vitest-environment jsdom
import { expect, it } from "vitest";
import type { Summary } from "../server/shapes";
import { byUrgency, grouped, startOf, took } from "./grouping";

const run = (id: string, correlation: string | null, started: string, last: string) =>
  ({
    id,
    correlation_id: correlation,
    started_at: started,
    last_event_at: last,
    state: "done",
  }) as Summary;

it("makes one job of an array, from its first start to its last event", () => {
  const jobs = grouped([
    run("4711_1", "slurm:a:4711", "2026-01-01T00:02Z", "2026-01-01T00:09Z"),
    run("other", null, "2026-01-01T00:01Z", "2026-01-01T00:01Z"),
    run("4711_0", "slurm:a:4711", "2026-01-01T00:00Z", "2026-01-01T00:03Z"),
  ]);
  expect(jobs.map((job) => [job.id, job.runs.length, took(job, 0)])).toEqual([
    ["slurm:a:4711", 2, 540],
    ["other", 1, 0],
  ]);
  expect(jobs.map(startOf)).toEqual(
    ["2026-01-01T00:00Z", "2026-01-01T00:01Z"].map((at) => Date.parse(at)),
  );
});

it("puts first what failed", () => {
  expect([...(["done", "running", "failed", "stuck"] as const)].sort(byUrgency)).toEqual([
    "failed",
    "stuck",
    "running",
    "done",
  ]);
});
