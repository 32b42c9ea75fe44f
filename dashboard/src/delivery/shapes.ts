/** What the server tells of delivery. */

export interface Partition {
  index: number;
  position: number;
  owner: string | null;
  host: string | null;
  pid: number | null;
  waiting: number;
  held: number;
  handled: number;
  failed: number;
}

export interface Subscription {
  name: string;
  kind: string;
  paused: boolean;
  filter: string;
  created_at: string;
  head: number;
  position: number;
  lag: number;
  waiting: number;
  held: number;
  dead_letters: number;
  handled: number;
  failed: number;
  partitions: Partition[];
}

export interface Webhook {
  id: string;
  url: string;
  description: string;
  state: "active" | "paused" | "disabled";
  disabled: string | null;
  position: number;
  lag: number;
  waiting: number;
  next_attempt_at: string | null;
  failing_since: string | null;
  dead_letters: number;
}

export interface Attempt {
  at: string;
  ok: boolean;
  status: number | null;
  seconds: number;
  error: string | null;
  answer: string;
  trigger: string;
  event_id: string;
  position: number | null;
  type: string;
}

export interface DeadLetter {
  id: string;
  subscription: string;
  position: number;
  event_id: string;
  type: string;
  project: string;
  given_up_at: string;
  held: boolean;
  asked: string;
  error: string;
  attempts: {
    at: string;
    seconds: number;
    error: string;
    status: number | null;
    answer: string | null;
  }[];
}
