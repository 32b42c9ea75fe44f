/** The agents, newest first. */

import { useFreshness } from "../live/fresh";
import { count } from "../parts/amounts";
import { useClock } from "../parts/clock";
import { Listed } from "../parts/listed";
import { lasting, Moment } from "../parts/moment";
import { Empty } from "../parts/notice";
import { StandingMark } from "../parts/outcome";
import { passes, StateFilter, useStateFilter } from "../parts/states_filter";
import { duration, standing, useSummaries } from "../parts/summaries";
import type { Column } from "../parts/table";
import { to } from "../place/place";
import { address } from "../server/address";
import type { Summary } from "../server/shapes";

export function AgentsView() {
  const now = useClock(1000);
  const [state, choose] = useStateFilter();
  const agents = useSummaries("events/agents", "agents", {}, state);
  useFreshness([["summaries", "events/agents"]], "aggregate_type=agent");
  return (
    <div className="view">
      <div className="top">
        <h1>Agents</h1>
        <StateFilter value={state} choose={choose} />
      </div>
      <Listed
        name="agents"
        query={agents}
        chosen={state !== ""}
        rows={agents.rows.filter((each) => passes(state, standing(each, now)))}
        columns={columns(now)}
        id={(row) => row.id}
        stands={(row) => standing(row, now)}
        stuck="still running, and it has said nothing for 15 minutes; it may wait for agents it started."
        none={<None />}
      />
    </div>
  );
}

function columns(now: number): Column<Summary>[] {
  return [
    { name: "State", cell: (row) => <StandingMark standing={standing(row, now)} /> },
    { name: "Agent", cell: (row) => <a href={aboutAgent(row.id)}>{row.id}</a> },
    {
      name: "Workflow",
      cell: (row) =>
        row.correlation_id && (
          <a href={to("workflows", row.correlation_id)}>{row.correlation_id}</a>
        ),
    },
    { name: "Started", cell: (row) => <Moment at={row.started_at} />, minor: true },
    { name: "Took", cell: (row) => lasting(duration(row, now)), number: true, minor: true },
    { name: "Events", cell: (row) => count(row.events), number: true, minor: true },
    { name: "Last event", cell: (row) => row.last_type, minor: true },
  ];
}

function aboutAgent(id: string): string {
  return to("events", null, new URLSearchParams({ aggregate_type: "agent", aggregate_id: id }));
}

function None() {
  const url = address("events/emit/agent").href;
  return (
    <Empty
      title="No agents yet"
      line={`curl -s ${url} -H 'content-type: application/json' -d '{"name": "agent.started", "aggregate_id": "agent-1", "correlation_id": "workflow-1"}'`}
    >
      <p>Paste this into a shell, and watch it appear here.</p>
    </Empty>
  );
}
