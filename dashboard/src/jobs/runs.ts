/** What a run ran, and where: as its start event says. */
import { field, isObject, text } from "../parts/payloads";
import type { EventItem, Json } from "../server/shapes";

/** The type of every run's first event; that of its last one, users choose. */
export const STARTED = "run.started";

/** The number of a task within its array; empty outside of one. Names as `tidings.context` has them. */
const TASK_NUMBERS: [system: string, name: string][] = [
  ["slurm", "array_task_id"],
  ["pbs", "array_index"],
  ["lsf", "index"],
];

export function taskOf({ context }: EventItem): string {
  for (const [system, name] of TASK_NUMBERS) {
    const fields = context[system];
    const number = isObject(fields) ? fields[name] : undefined;
    // LSF numbers what is no array 0.
    if (number !== undefined && !(system === "lsf" && text(number) === "0")) return text(number);
  }
  return "";
}

/** The command as one would type it. */
export function commandOf(event: EventItem): string {
  const command = field(event, "command");
  return Array.isArray(command) ? command.map(word).join(" ") : "";
}

function word(argument: Json): string {
  const plain = text(argument);
  return /^[\w./:=@%+,-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", `'\\''`)}'`;
}

export function hostOf({ context }: EventItem): string {
  return context["host"] === undefined ? "" : text(context["host"]);
}
