/** The jobs: what `tidings run` ran, newest first; an array of tasks is one row. */

import { useQueries } from "@tanstack/react-query";
import { useEffect } from "react";
import { useFreshness } from "../live/fresh";
import { useBeginnings } from "../parts/beginnings";
import { useClock } from "../parts/clock";
import { Listed } from "../parts/listed";
import { lasting, Moment } from "../parts/moment";
import { Empty } from "../parts/notice";
import { type Standing, StandingMark } from "../parts/outcome";
import { passes, StateFilter, useStateFilter } from "../parts/states_filter";
import { standing, useSummaries } from "../parts/summaries";
import type { Column } from "../parts/table";
import { to } from "../place/place";
import type { EventItem, Summary } from "../server/shapes";
import { byUrgency, grouped, type Job, lastOf, startOf, took } from "./grouping";
import { OutcomesBar } from "./outcomes_bar";
import { commandOf, STARTED } from "./runs";
import { tasksOf } from "./tasks";

/** So many jobs fill a page. One array may take several pages of runs, so those are read ahead. */
const ENOUGH = 10;
const MOST_AHEAD = 5;
const PAGE = "200";

export function JobsView() {
  const now = useClock(1000);
  const [state, choose] = useStateFilter();
  const runs = useSummaries("events/aggregates/run", "aggregates", { limit: PAGE });
  useFreshness([["summaries", "events/aggregates/run"]], "aggregate_type=run", {
    all: ["tasks"],
    of: ({ correlation_id }) => (correlation_id === null ? null : ["tasks", correlation_id]),
  });
  const jobs = useWholeJobs(grouped(runs.rows));
  useReadAhead(runs, jobs.length);
  const beginnings = useBeginnings([STARTED], runs.rows);
  const stands = (job: Job) => standingOf(job, now);
  return (
    <div className="view">
      <div className="top">
        <h1>Jobs</h1>
        <StateFilter value={state} choose={choose} />
      </div>
      <Listed
        name="jobs"
        query={runs}
        rows={jobs.filter((job) => passes(state, stands(job)))}
        columns={columns(now, beginnings)}
        id={(job) => job.id}
        stands={stands}
        stuck="still running, and nothing was heard of it for a day, or for 15 minutes after it was told to end."
        none={<None />}
      />
    </div>
  );
}

/** Of jobs with several runs all runs, whichever pages they stand on. */
function useWholeJobs(jobs: Job[]): Job[] {
  const whole = useQueries({
    queries: jobs
      .filter((job) => job.runs.length > 1)
      .map(({ id }) => ({
        queryKey: ["tasks", id],
        queryFn: async ({ signal }: { signal: AbortSignal }) => ({
          id,
          ...(await tasksOf(id, signal)),
        }),
      })),
    combine: (found) => found.map(({ data }) => data).filter((each) => each !== undefined),
  });
  const byId = new Map(whole.map((job) => [job.id, job]));
  return jobs.map((job) => byId.get(job.id) ?? job);
}

function useReadAhead(runs: ReturnType<typeof useSummaries>, jobs: number): void {
  const { hasNextPage, isFetching, fetchNextPage, data } = runs;
  const pages = data?.pages.length ?? 0;
  const wanted = hasNextPage && !isFetching && jobs < ENOUGH && pages < MOST_AHEAD;
  useEffect(() => {
    if (wanted) void fetchNextPage();
  }, [wanted, fetchNextPage]);
}

/** A job stands as the run that most wants to be looked at. */
function standingOf({ runs }: Job, now: number): Standing {
  return runs.map((run) => standing(run, now)).sort(byUrgency)[0] ?? "";
}

function columns(now: number, beginnings: Map<string, EventItem>): Column<Job>[] {
  return [
    {
      name: "Job",
      cell: (job) => <Name job={job} beginnings={beginnings} />,
    },
    { name: "Outcome", cell: (job) => <Outcomes job={job} now={now} /> },
    { name: "Project", cell: (job) => job.runs[0]?.project, minor: true },
    { name: "Started", cell: (job) => <Moment at={startOf(job)} />, minor: true },
    { name: "Took", cell: (job) => lasting(took(job, now)), number: true },
    { name: "Last event", cell: (job) => <Moment at={lastOf(job)} />, minor: true },
  ];
}

/** What was run, where that is known; an id alone says little. */
function Name({ job, beginnings }: { job: Job; beginnings: Map<string, EventItem> }) {
  const [only] = job.runs;
  const beginning = beginnings.get((only as Summary).id);
  const command = beginning && job.runs.length === 1 ? commandOf(beginning) : "";
  return (
    <a href={to("jobs", job.id)} title={job.id} className={command ? "mono" : undefined}>
      {command || job.id}
    </a>
  );
}

function Outcomes({ job, now }: { job: Job; now: number }) {
  const stands = job.runs.map((run) => standing(run, now));
  const [only] = stands;
  if (stands.length === 1 && only !== undefined) return <StandingMark standing={only} />;
  return <OutcomesBar standings={stands} more={job.more} />;
}

function None() {
  return (
    <Empty title="No jobs yet" line="tidings run -- python fit.py">
      <p>Put this in front of what a job runs, on your machine, in Slurm or in CI.</p>
    </Empty>
  );
}
