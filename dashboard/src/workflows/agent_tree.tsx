/** A workflow as a tree: who started whom. */
import { counted } from "../parts/amounts";
import { lasting, Moment } from "../parts/moment";
import { StandingMark } from "../parts/outcome";
import { duration, standing } from "../parts/summaries";
import type { TreeNode } from "../server/shapes";
import { eventsOf } from "./lane";
import { called } from "./life";

export function AgentTree({ nodes, now }: { nodes: TreeNode[]; now: number }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const roots = nodes.filter((node) => node.parent_id === null);
  return (
    <ul className="agent-tree" aria-label="Who started whom">
      {roots.map((node) => (
        <Branch key={node.id} node={node} byId={byId} now={now} />
      ))}
    </ul>
  );
}

function Branch({ node, byId, now }: { node: TreeNode; byId: Map<string, TreeNode>; now: number }) {
  const children = node.children.map((id) => byId.get(id)).filter((each) => each !== undefined);
  return (
    <li>
      <span className="node">
        <StandingMark standing={standing(node, now)} />
        <a href={eventsOf(node)}>{called(node)}</a>
        {called(node) !== node.id && <span className="quiet mono">{node.id}</span>}
        <span className="quiet">
          {counted(node.events, "event")} · {lasting(duration(node, now))} ·{" "}
          <Moment at={node.started_at} />
        </span>
      </span>
      {children.length > 0 && (
        <ul>
          {children.map((child) => (
            <Branch key={child.id} node={child} byId={byId} now={now} />
          ))}
        </ul>
      )}
    </li>
  );
}
