/** One workflow: what it was asked for, who took part when, who started whom, and what happened. */

import { useMemo, useState } from "react";
import { useAnswer, useFreshness } from "../live/fresh";
import { useClock } from "../parts/clock";
import { count } from "../parts/amounts";
import { lasting, Moment } from "../parts/moment";
import { Empty, Failed, Loading } from "../parts/notice";
import { StandingMark } from "../parts/outcome";
import { promptOf } from "../parts/payloads";
import { duration, standing } from "../parts/summaries";
import { to } from "../place/place";
import { ask, Refused } from "../server/ask";
import type { EventItem, EventsPage, Tree, TreeNode } from "../server/shapes";
import { AgentTree } from "./agent_tree";
import { Failures } from "./failures";
import { heardOf } from "./life";
import { Timeline } from "./timeline";
import "./workflow_view.css";

/** So many events are marked in the timeline; the rest is in the list. */
const MOST = 1000;

export function WorkflowView({ id }: { id: string }) {
  const path = `events/workflows/${encodeURIComponent(id)}`;
  const now = useClock(1000);
  const [shape, setShape] = useState<"timeline" | "tree">("timeline");
  const tree = useAnswer(["tree", id], (signal) => ask<Tree>(`${path}/tree`, { signal }));
  const events = useAnswer(["events-of", id], (signal) => {
    const params = new URLSearchParams({ correlation_id: id, limit: String(MOST), order: "asc" });
    return ask<EventsPage>("events/", { params, signal });
  });
  const filters = new URLSearchParams({ correlation_id: id }).toString();
  useFreshness(
    [
      ["tree", id],
      ["events-of", id],
    ],
    filters,
  );
  const nodes = useMemo(() => heardOf(tree.data?.nodes ?? []), [tree.data]);
  const [root] = nodes;
  if (!tree.data || !root) {
    if (tree.error instanceof Refused && tree.error.status === 404) return <Unknown />;
    if (tree.error) return <Failed error={tree.error} again={() => void tree.refetch()} />;
    return <Loading what="the workflow" />;
  }
  const marked = events.data?.events ?? [];
  return (
    <div className="view workflow">
      <Heading id={id} root={root} now={now} />
      <Prompt events={marked} />
      <Failures nodes={nodes} events={marked} />
      <div className="top">
        <fieldset className="segments">
          <legend className="unseen">Show as</legend>
          {(["timeline", "tree"] as const).map((each) => (
            <button
              key={each}
              type="button"
              className="small"
              aria-pressed={shape === each}
              onClick={() => setShape(each)}
            >
              {each === "timeline" ? "Timeline" : "Tree"}
            </button>
          ))}
        </fieldset>
        <a href={to("events", null, filters)}>
          All its events{events.data?.total ? ` (${count(events.data.total)})` : ""}
        </a>
        {tree.data.truncated && (
          <span className="quiet">Only its first 1,000 agents are shown</span>
        )}
        {events.data?.next != null && (
          <span className="quiet">Only its first {count(MOST)} events are marked</span>
        )}
      </div>
      {shape === "timeline" ? (
        <Timeline nodes={nodes} events={marked} now={now} />
      ) : (
        <AgentTree nodes={nodes} now={now} />
      )}
    </div>
  );
}

function Unknown() {
  return (
    <Empty title="No event speaks of this workflow">
      <p>
        <a href={to("workflows")}>All workflows</a>
      </p>
    </Empty>
  );
}

function Heading({ id, root, now }: { id: string; root: TreeNode; now: number }) {
  const stands = standing(root, now);
  return (
    <div className="top">
      <h1>
        <a href={to("workflows")}>Workflows</a> / {id}
      </h1>
      <StandingMark standing={stands} />
      {stands === "stuck" && (
        <span>
          <span className="quiet">last heard of </span>
          <Moment at={root.last_event_at} />
        </span>
      )}
      <span>
        <span className="quiet">started </span>
        <Moment at={root.started_at} />
      </span>
      <span>
        <span className="quiet">{root.state === "running" ? "running for " : "took "}</span>
        {lasting(duration(root, now))}
      </span>
    </div>
  );
}

/** What somebody asked for, if an event of the workflow says. */
function Prompt({ events }: { events: EventItem[] }) {
  const first = events.find((event) => promptOf(event) !== "");
  if (first === undefined) return null;
  return (
    <blockquote className="prompt">
      <span className="quiet">Asked for: </span>
      {promptOf(first)} <a href={to("events", first.id)}>{first.type}</a>
    </blockquote>
  );
}
