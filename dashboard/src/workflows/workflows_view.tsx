/** The workflows, newest first: how each stands, what was asked for, how long it took, who took part. */

import { useQueries } from "@tanstack/react-query";
import { useAnswer, useFreshness } from "../live/fresh";
import { useBeginnings } from "../parts/beginnings";
import { useClock } from "../parts/clock";
import { Listed } from "../parts/listed";
import { lasting, Moment } from "../parts/moment";
import { Empty } from "../parts/notice";
import { StandingMark } from "../parts/outcome";
import { promptOf } from "../parts/payloads";
import { passes, StateFilter, useStateFilter } from "../parts/states_filter";
import { duration, standing, useSummaries } from "../parts/summaries";
import type { Column } from "../parts/table";
import { to } from "../place/place";
import { address } from "../server/address";
import { ask } from "../server/ask";
import type { EventItem, Summary } from "../server/shapes";

interface Row extends Summary {
  /** What somebody asked for, where an event says. */
  asked: string;
}

const BEGINNINGS = ["workflow.started", "workflow.prompted"];

const asks = (event: EventItem) => promptOf(event) !== "";

export function WorkflowsView() {
  const now = useClock(1000);
  const [state, choose] = useStateFilter();
  const workflows = useSummaries("events/workflows", "workflows", {}, state);
  useFreshness([["summaries", "events/workflows"]], "", { all: ["of-workflow"], of: ofWorkflow });
  const rows = useRows(workflows.rows, state !== "" && !workflows.isPlaceholderData);
  return (
    <div className="view">
      <div className="top">
        <h1>Workflows</h1>
        <StateFilter value={state} choose={choose} />
      </div>
      <Listed
        name="workflows"
        query={workflows}
        chosen={state !== ""}
        rows={rows.filter((each) => passes(state, standing(each, now)))}
        columns={columns(now)}
        id={(row) => row.id}
        stands={(row) => standing(row, now)}
        stuck="still running, and neither it nor its agents have said anything for 15 minutes."
        none={<None />}
      />
    </div>
  );
}

function ofWorkflow({ correlation_id }: EventItem) {
  return correlation_id === null ? null : ["of-workflow", correlation_id];
}

/**
 * What runs is as new as what belongs to it: a workflow itself says nothing while its agents work.
 * Those that were chosen may have begun far apart.
 */
function useRows(workflows: Summary[], chosen: boolean): Row[] {
  const beginnings = useBeginnings(BEGINNINGS, workflows, asks, chosen);
  const lives = useQueries({
    queries: workflows
      .filter(({ state }) => state === "running")
      .map(({ id }) => ({
        queryKey: ["of-workflow", id, "life"],
        queryFn: ({ signal }: { signal: AbortSignal }) => lifeOf(id, signal),
      })),
    combine: (found) => found.map(({ data }) => data).filter((each) => each != null),
  });
  const byId = new Map(lives.map((life) => [life.id, life]));
  return workflows.map((workflow) => {
    const beginning = beginnings.get(workflow.id);
    const asked = beginning ? promptOf(beginning) : "";
    const { last_type, last_event_at } = byId.get(workflow.id) ?? workflow;
    return { ...workflow, asked, last_type, last_event_at };
  });
}

async function lifeOf(id: string, signal: AbortSignal): Promise<Summary | null> {
  const params = new URLSearchParams({ aggregate_id: id, limit: "1" });
  const path = "events/aggregates/correlation";
  const { aggregates } = await ask<{ aggregates: Summary[] }>(path, { params, signal });
  return aggregates[0] ?? null;
}

function columns(now: number): Column<Row>[] {
  return [
    { name: "State", cell: (row) => <StandingMark standing={standing(row, now)} /> },
    {
      name: "Workflow",
      cell: (row) => <a href={to("workflows", row.id)}>{row.id}</a>,
    },
    { name: "Asked for", cell: (row) => <span className="clipped">{row.asked}</span>, minor: true },
    { name: "Project", cell: (row) => row.project, minor: true },
    { name: "Started", cell: (row) => <Moment at={row.started_at} />, minor: true },
    { name: "Took", cell: (row) => lasting(duration(row, now)), number: true },
    { name: "Agents", cell: (row) => <Agents id={row.id} />, number: true, minor: true },
    { name: "Last event", cell: (row) => <Last row={row} />, minor: true },
  ];
}

function Last({ row }: { row: Summary }) {
  return (
    <>
      {row.last_type}
      <br />
      <span className="quiet">
        <Moment at={row.last_event_at} />
      </span>
    </>
  );
}

const MOST = 100;

function Agents({ id }: { id: string }) {
  const { data } = useAnswer(["of-workflow", id, "agents"], (signal) =>
    ask<{ agents: unknown[]; next: string | null }>("events/agents", {
      params: new URLSearchParams({ correlation_id: id, limit: String(MOST) }),
      signal,
    }),
  );
  if (!data) return null;
  return data.next === null ? data.agents.length : `${MOST}+`;
}

function None() {
  const url = address("events/emit/workflow").href;
  return (
    <Empty
      title="No workflows yet"
      line={`curl -s ${url} -H 'content-type: application/json' -d '{"name": "workflow.started", "aggregate_id": "workflow-1", "attributes": {"user_prompt": "Try it"}}'`}
    >
      <p>
        Paste this into a shell, and watch it appear here. AI agents say it through MCP or hooks.
      </p>
    </Empty>
  );
}
