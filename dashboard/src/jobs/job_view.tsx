/** One job: its runs, what failed first, each with the end of its output. */

import { useMemo } from "react";
import { useAnswer, useFreshness } from "../live/fresh";
import { useBeginnings } from "../parts/beginnings";
import { useClock } from "../parts/clock";
import { lasting, Moment } from "../parts/moment";
import { Empty, Failed, Loading } from "../parts/notice";
import { StandingMark } from "../parts/outcome";
import { passes, StateFilter, useStateFilter } from "../parts/states_filter";
import { standing } from "../parts/summaries";
import { to } from "../place/place";
import { byUrgency, type Job, startOf, took } from "./grouping";
import { OutcomesBar } from "./outcomes_bar";
import { Run } from "./run";
import { STARTED } from "./runs";
import { tasksOf } from "./tasks";
import "./job_view.css";

const NO_RUNS: Job["runs"] = [];

export function JobView({ id }: { id: string }) {
  const now = useClock(1000);
  const [state, choose] = useStateFilter();
  const tasks = useAnswer(["tasks", id], (signal) => tasksOf(id, signal));
  useFreshness([["tasks", id], ["run"]], new URLSearchParams({ correlation_id: id }).toString());
  const runs = tasks.data?.runs ?? NO_RUNS;
  const beginnings = useBeginnings([STARTED], runs);
  const inOrder = useMemo(
    () => [...runs].sort((a, b) => a.first_position - b.first_position),
    [runs],
  );
  if (!tasks.data) {
    if (tasks.error) return <Failed error={tasks.error} again={() => void tasks.refetch()} />;
    return <Loading what="the job" />;
  }
  const rows = inOrder
    .map((run) => ({ run, stands: standing(run, now) }))
    .sort((a, b) => byUrgency(a.stands, b.stands));
  const shown = rows.filter(({ stands }) => passes(state, stands));
  return (
    <div className="view">
      <Heading job={{ id, ...tasks.data }} now={now}>
        {rows.length > 1 && <StateFilter value={state} choose={choose} />}
      </Heading>
      {rows.length === 0 && <Empty title="No run belongs to this job" />}
      {rows.length > 0 && shown.length === 0 && <p className="quiet">None in this state.</p>}
      <ul className="runs">
        {shown.map(({ run, stands }, index) => (
          <Run
            key={run.id}
            run={run}
            stands={stands}
            beginning={beginnings.get(run.id)}
            now={run.state === "running" ? now : 0}
            open={index === 0 && (stands === "failed" || rows.length === 1)}
          />
        ))}
      </ul>
    </div>
  );
}

interface HeadingProps {
  job: Job;
  now: number;
  children: React.ReactNode;
}

function Heading({ job, now, children }: HeadingProps) {
  const stands = job.runs.map((run) => standing(run, now));
  const [only] = stands;
  return (
    <div className="top">
      <h1>
        <a href={to("jobs")}>Jobs</a> / {job.id}
      </h1>
      {stands.length === 1 && only !== undefined ? (
        <StandingMark standing={only} />
      ) : (
        <OutcomesBar standings={stands} more={job.more} />
      )}
      {stands.length > 0 && (
        <span>
          <span className="quiet">started </span>
          <Moment at={startOf(job)} />
          <span className="quiet">
            {job.runs.some(({ state }) => state === "running") ? ", running for " : ", took "}
          </span>
          {lasting(took(job, now))}
        </span>
      )}
      {children}
      <a href={to("events", null, new URLSearchParams({ correlation_id: job.id }))}>
        All its events
      </a>
    </div>
  );
}
