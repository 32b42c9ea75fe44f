/** What payloads say under well-known names. */
import { writeJson } from "../server/json";
import type { EventItem, Json } from "../server/shapes";

/** The value of a key of the payload; none where the payload is no object, or has no such key. */
export function field({ payload }: EventItem, name: string): Json | undefined {
  return isObject(payload) ? payload[name] : undefined;
}

export function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function text(value: Json): string {
  return typeof value === "string" ? value : writeJson(value);
}

/** What somebody asked an agent for; empty where the event does not say. */
export function promptOf(event: EventItem): string {
  return firstText(event, ["user_prompt", "prompt"]);
}

/** What went wrong, in the words of who failed; empty where they said nothing. */
export function complaintOf(event: EventItem): string {
  return firstText(event, ["error", "message", "reason"]);
}

function firstText(event: EventItem, names: string[]): string {
  for (const name of names) {
    const value = field(event, name);
    if (typeof value === "string" && value !== "") return value;
  }
  return "";
}
