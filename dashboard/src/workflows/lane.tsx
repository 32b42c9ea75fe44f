/** One line of the timeline: whose it is, a bar from beginning to end, and its events as marks. */

import type { ReactNode } from "react";
import { lasting, local } from "../parts/moment";
import { StandingMark } from "../parts/outcome";
import { duration, standing } from "../parts/summaries";
import { to } from "../place/place";
import type { EventItem, TreeNode } from "../server/shapes";
import { called } from "./life";
import { place, type Window } from "./time_scale";

interface LaneProps {
  node: TreeNode;
  window: Window;
  marks: EventItem[];
  now: number;
}

export function Lane({ node, window, marks, now }: LaneProps) {
  const stands = standing(node, now);
  const took = lasting(duration(node, now));
  const start = Date.parse(node.started_at ?? "");
  const end = node.state === "running" ? now : Date.parse(node.last_event_at ?? "");
  const [from, to] = [Math.max(0, place(start, window)), Math.min(1, place(end, window))];
  return (
    <Line
      className={stands}
      depth={node.depth}
      marks={marks}
      window={window}
      name={
        <>
          <StandingMark standing={stands} />
          <a href={eventsOf(node)} title={node.id}>
            {called(node)}
          </a>
          <span className="took quiet">{took}</span>
        </>
      }
    >
      {to >= from && (
        <span
          className="bar"
          title={`${called(node)}: ${stands || "unknown"}, ${took}`}
          style={{ insetInlineStart: percent(from), inlineSize: percent(to - from) }}
        />
      )}
    </Line>
  );
}

/** Events of the workflow that are about none of its agents. */
export function OtherLane({ window, marks }: Pick<LaneProps, "window" | "marks">) {
  return (
    <Line
      depth={1}
      marks={marks}
      window={window}
      name={<span className="quiet">Other events</span>}
    />
  );
}

interface LineProps extends Pick<LaneProps, "window" | "marks"> {
  className?: string;
  depth: number;
  name: ReactNode;
  children?: ReactNode;
}

function Line({ className = "", depth, name, marks, window, children }: LineProps) {
  return (
    <li className={`lane ${className}`}>
      <span className="name" style={{ paddingInlineStart: `${Math.min(depth, 12) * 14}px` }}>
        {name}
      </span>
      {/* For eyes and pointers. The same events are behind the name, as a list. */}
      <span className="track" aria-hidden="true">
        {children}
        {marks.map((event) => (
          <Mark key={event.position} event={event} window={window} />
        ))}
      </span>
    </li>
  );
}

function Mark({ event, window }: { event: EventItem; window: Window }) {
  const at = place(Date.parse(event.timestamp), window);
  if (!(at >= 0 && at <= 1)) return null;
  return (
    <a
      href={to("events", event.id)}
      tabIndex={-1}
      className={event.status === "failure" ? "mark failure" : "mark"}
      title={`${event.type}, ${local(Date.parse(event.timestamp))}`}
      style={{ insetInlineStart: percent(at) }}
    />
  );
}

export function eventsOf(node: TreeNode): string {
  return to(
    "events",
    null,
    new URLSearchParams({ aggregate_type: node.kind, aggregate_id: node.id }),
  );
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(3)}%`;
}
