/**
 * Which events are shown: the filters in the URL, and what the server is asked for.
 *
 * In the URL stand the server's own parameters, so a filter means the same here, in curl and in
 * `tidings history`. Only `range`, the time up to now, is the page's own.
 */

import { serverNow } from "../server/clock";

export interface Filter {
  name: string;
  value: string;
}

/** The parameters that say which events; all else in the URL is the view's own business. */
const NAMES = [
  "type",
  "project",
  "status",
  "source",
  "aggregate_type",
  "aggregate_id",
  "correlation_id",
  "causation_id",
  "user_id",
  "since",
  "until",
  "contains",
  "not.type",
  "not.project",
  "not.status",
  "not.source",
];

/** What may be excluded as well as asked for. */
const EXCLUDABLE = new Set(["type", "project", "status", "source"]);

export const LABELS: Record<string, string> = {
  type: "type",
  project: "project",
  status: "outcome",
  source: "source",
  aggregate_type: "about a",
  aggregate_id: "about",
  correlation_id: "workflow",
  causation_id: "caused by",
  user_id: "user",
  since: "since",
  until: "until",
  contains: "contains",
};

/** The words a person may type before a colon. */
const WORDS: Record<string, string> = {
  workflow: "correlation_id",
  outcome: "status",
  about: "aggregate_id",
  agent: "aggregate_id",
  cause: "causation_id",
  user: "user_id",
};

export const RANGES: Record<string, number> = {
  "15m": 900,
  "1h": 3600,
  "6h": 21_600,
  "24h": 86_400,
  "7d": 604_800,
};

export class Filters {
  private readonly params: URLSearchParams;

  constructor(search: string | URLSearchParams) {
    this.params = new URLSearchParams();
    for (const [name, value] of new URLSearchParams(search)) {
      if (NAMES.includes(name) || name === "range" || name.startsWith("payload.")) {
        this.params.append(name, value);
      }
    }
  }

  get list(): Filter[] {
    return [...this.params]
      .filter(([name]) => name !== "range")
      .map(([name, value]) => ({ name, value }));
  }

  get range(): string {
    return this.params.get("range") ?? "";
  }

  get text(): string {
    return this.params.get("contains") ?? "";
  }

  /** Whether it looks at a time that is over: then nothing new can come. */
  get isOver(): boolean {
    const until = this.params.get("until");
    return until !== null && Date.parse(until) <= serverNow();
  }

  get isEmpty(): boolean {
    return this.params.size === 0;
  }

  has(name: string, value: string): boolean {
    return this.params.has(name, value);
  }

  /** As in the URL. */
  toString(): string {
    return this.params.toString();
  }

  /** As the server is asked. */
  toParams(now: number): URLSearchParams {
    const params = new URLSearchParams(this.params);
    const seconds = RANGES[this.range];
    params.delete("range");
    if (seconds !== undefined) params.set("since", new Date(now - seconds * 1000).toISOString());
    return params;
  }

  with(name: string, value: string): Filters {
    const params = new URLSearchParams(this.params);
    const isSingle = ["since", "until", "contains", "range", "aggregate_id"].includes(name);
    if (isSingle) params.delete(name);
    params.delete(opposite(name), value);
    if (value !== "" || !isSingle) {
      params.delete(name, value);
      params.append(name, value);
    }
    if (name === "since" || name === "until") params.delete("range");
    if (name === "range") {
      params.delete("since");
      params.delete("until");
    }
    return new Filters(params);
  }

  without(name: string, value: string): Filters {
    const params = new URLSearchParams(this.params);
    params.delete(name, value);
    return new Filters(params);
  }

  /** Ask for what was excluded, or the other way round. */
  flipped({ name, value }: Filter): Filters {
    return canFlip(name) ? this.without(name, value).with(opposite(name), value) : this;
  }
}

export function canFlip(name: string): boolean {
  return EXCLUDABLE.has(name.replace(/^not\./, ""));
}

function opposite(name: string): string {
  return name.startsWith("not.") ? name.slice(4) : `not.${name}`;
}

/** What a person typed: `type:job.*`, `-status:failure`, `payload.host=n12`, or text to find. */
export function read(text: string): Filter | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const equal = /^(payload\.[^=:\s]+):?=(.*)$/.exec(trimmed);
  if (equal) {
    const name = trimmed.includes(":=") ? `${equal[1]}:` : (equal[1] ?? "");
    return { name, value: equal[2] ?? "" };
  }
  const named = /^(-?)([a-z_]+):(.*)$/.exec(trimmed);
  if (named) {
    const word = named[2] ?? "";
    const name = WORDS[word] ?? word;
    if (named[1] === "-" && EXCLUDABLE.has(name))
      return { name: `not.${name}`, value: named[3] ?? "" };
    if (named[1] === "" && NAMES.includes(name)) return { name, value: (named[3] ?? "").trim() };
  }
  return { name: "contains", value: trimmed };
}
