/** What went wrong in a workflow, loudly and in its own words; each leads to its event. */

import { complaintOf } from "../parts/payloads";
import { to } from "../place/place";
import type { EventItem, TreeNode } from "../server/shapes";
import { called } from "./life";

/** So many are told; the rest is in the list. */
const MOST = 5;

export function Failures({ nodes, events }: { nodes: TreeNode[]; events: EventItem[] }) {
  const failures = events.filter(({ status }) => status === "failure");
  if (failures.length === 0) return null;
  const names = new Map(nodes.map((node) => [node.id, called(node)]));
  return (
    <ul className="failures" aria-label="What failed">
      {failures.slice(0, MOST).map((event) => (
        <li key={event.position}>
          <span aria-hidden="true">✕ </span>
          <strong>{names.get(event.aggregate_id) ?? event.aggregate_id}</strong>{" "}
          <a href={to("events", event.id)}>{event.type}</a> {complaintOf(event)}
        </li>
      ))}
      {failures.length > MOST && <li className="quiet">and {failures.length - MOST} more</li>}
    </ul>
  );
}
