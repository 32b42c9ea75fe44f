/** What the server answers; the names are those of its OpenAPI document. */

export type Outcome = "success" | "failure" | "";

/** Whole numbers past 2^53 are `bigint`. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

export interface EventItem {
  id: string;
  type: string;
  project: string;
  status: string;
  payload: Json;
  source: string;
  timestamp: string;
  aggregate_type: string;
  aggregate_id: string;
  event_type: string;
  version: number | null;
  correlation_id: string | null;
  causation_id: string | null;
  user_id: string | null;
  context: { [key: string]: Json };
  extensions: { [key: string]: Json };
  position: number;
  recorded_at: string | null;
  redacted: boolean;
  agent_name?: string | null;
}

export interface EventsPage {
  events: EventItem[];
  total: number | null;
  limit: number;
  offset: number;
  next: string | null;
  complete: boolean;
  exact: boolean;
  at_least: number;
}

export type State = "running" | "done" | "failed" | "";

export interface Summary {
  id: string;
  kind: string;
  project: string;
  state: State;
  status: string;
  events: number;
  successes: number;
  failures: number;
  started_at: string;
  last_event_at: string;
  first_type: string;
  last_type: string;
  first_position: number;
  last_position: number;
  correlation_id: string | null;
}

export interface TypeItem {
  type: string;
  known: boolean;
  description: string;
  payload_keys: string[];
  aggregate_type: string | null;
  has_schema: boolean;
  count: number | null;
  last_position: number | null;
  last_seen: string | null;
}

export interface Bin {
  start: string;
  counts: Record<string, number>;
  total: number;
}

export interface Histogram {
  since: string;
  until: string;
  /** Width of a bin, in seconds. */
  interval: number;
  bins: Bin[];
}

export interface TreeNode {
  id: string;
  kind: string;
  name: string;
  parent_id: string | null;
  caused_by: string | null;
  depth: number;
  children: string[];
  state: State;
  status: string;
  events: number;
  started_at: string | null;
  last_event_at: string | null;
  duration: number | null;
}

export interface Tree {
  workflow_id: string;
  nodes: TreeNode[];
  truncated: boolean;
}

export interface Health {
  status: string;
  timestamp: string;
  api_connected: boolean;
  database_connected: boolean;
}

export interface Session {
  /** Whether the server asks for keys. */
  keys: boolean;
  authenticated: boolean;
  name: string;
  scopes: string[];
  projects: string[] | null;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  request_id?: string;
  errors?: { field: string; message: string }[];
}
