/** An event as the list shows it: small, because the page holds a hundred thousand of them. */
import type { EventItem, Json } from "../server/shapes";

export interface Row {
  id: string;
  position: number;
  type: string;
  project: string;
  status: string;
  source: string;
  /** When it happened, in milliseconds since 1970. */
  at: number;
  about: string;
  says: string;
}

/** A line is never longer, whatever the payload holds. */
const SAYS = 160;

export function rowOf(event: EventItem): Row {
  const about = event.aggregate_id
    ? `${event.aggregate_type.replace(/_aggregate$/, "")}/${event.aggregate_id}`
    : "";
  return {
    id: event.id,
    position: event.position,
    type: event.type,
    project: event.project,
    status: event.status,
    source: event.source,
    at: Date.parse(event.timestamp),
    about,
    says: event.redacted ? "(redacted)" : own(line(event.payload)),
  };
}

/** The payload in a line: its values by name, or what an agent or a person said. */
function line(payload: Json): string {
  if (payload === null) return "";
  if (typeof payload !== "object") return String(payload).slice(0, SAYS);
  if (Array.isArray(payload)) return short(payload, SAYS).slice(0, SAYS);
  let text = "";
  for (const name in payload) {
    const value = payload[name] ?? null;
    const shown = typeof value === "string" ? value.slice(0, SAYS) : short(value, SAYS);
    text += `${text ? "  " : ""}${name}=${shown}`;
    if (text.length > SAYS) break;
  }
  return text.slice(0, SAYS);
}

/** The beginning of a value as JSON; of a megabyte only that is written. */
function short(value: Json, room: number): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, room));
  if (value === null || typeof value !== "object") return String(value);
  let text = Array.isArray(value) ? "[" : "{";
  const begin = () => {
    if (text.length > 1) text += ",";
    return text.length < room;
  };
  const rest = () => Math.max(0, room - text.length);
  if (Array.isArray(value)) {
    for (const each of value) {
      if (!begin()) return text;
      text += short(each, rest());
    }
    return `${text}]`;
  }
  for (const name in value) {
    if (!begin()) return text;
    text += `${JSON.stringify(name.slice(0, room))}:`;
    text += short(value[name] ?? null, rest());
  }
  return `${text}}`;
}

/** A copy of its own: a part of a long text keeps all of it in memory. */
function own(text: string): string {
  return text.length < SAYS ? text : (JSON.parse(JSON.stringify(text)) as string);
}
