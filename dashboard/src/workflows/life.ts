/** What a tree's nodes do not say each for itself: who is heard of through those below, and names. */
import type { TreeNode } from "../server/shapes";

/**
 * The same nodes, each as lately heard of as whatever stands below it: who waits for agents it
 * started says nothing meanwhile, and is not stuck. Parents stand before their children.
 */
export function heardOf(nodes: TreeNode[]): TreeNode[] {
  const last = new Map<string | null, string>();
  const heard = [...nodes].reverse().map((node) => {
    const at = later(node.last_event_at, last.get(node.id) ?? null);
    if (at !== null) last.set(node.parent_id, later(at, last.get(node.parent_id) ?? null) ?? at);
    return node.state === "running" ? { ...node, last_event_at: at } : node;
  });
  return heard.reverse();
}

function later(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return Date.parse(a) < Date.parse(b) ? b : a;
}

/** What to call a node. An agent that gave no name is called `unknown` by the server, as all are. */
export function called(node: TreeNode): string {
  return node.name === "unknown" ? node.id : node.name;
}
