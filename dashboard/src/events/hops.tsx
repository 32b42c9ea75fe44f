/** Where one can go from an event: what caused it, what it caused, what it is about, its workflow. */

import { useQuery } from "@tanstack/react-query";
import { to } from "../place/place";
import { ask, Refused } from "../server/ask";
import type { EventItem, EventsPage } from "../server/shapes";
import { kindOf } from "./event_panel";

export function Hops({ event }: { event: EventItem }) {
  const cause = useCause(event.causation_id);
  const effects = useEffects(event.id);
  const about = new URLSearchParams({
    aggregate_type: kindOf(event),
    aggregate_id: event.aggregate_id,
  });
  return (
    <section className="hops" aria-label="What it hangs together with">
      {event.causation_id && (
        <a href={cause.data ? to("events", cause.data.id) : things(event.causation_id)}>
          ← Caused by {cause.data?.type ?? event.causation_id}
        </a>
      )}
      {effects.data && effects.data.events.length > 0 && (
        <a href={effect(event, effects.data)}>→ {effectWords(effects.data)}</a>
      )}
      {event.aggregate_id && <a href={to("events", null, about)}>All about this {kindOf(event)}</a>}
      {event.correlation_id && (
        <a href={to(kindOf(event) === "run" ? "jobs" : "workflows", event.correlation_id)}>
          {kindOf(event) === "run" ? "Job" : "Workflow"} {event.correlation_id}
        </a>
      )}
    </section>
  );
}

/** A cause may be an aggregate's id as well, such as a parent agent. */
const things = (id: string) => to("events", null, new URLSearchParams({ aggregate_id: id }));

function effect(event: EventItem, { events }: EventsPage): string {
  const [only] = events;
  if (events.length === 1 && only) return to("events", only.id);
  return to("events", null, new URLSearchParams({ causation_id: event.id }));
}

function effectWords({ events, total }: EventsPage): string {
  if (events.length === 1) return `Caused ${events[0]?.type}`;
  return `Caused ${total ?? "many"} events`;
}

function useCause(id: string | null) {
  return useQuery({
    queryKey: ["cause", id],
    enabled: id !== null,
    queryFn: async ({ signal }) => {
      try {
        return await ask<EventItem>(`events/by-id/${encodeURIComponent(id ?? "")}`, { signal });
      } catch (error) {
        if (error instanceof Refused && error.status === 404) return null;
        throw error;
      }
    },
  });
}

function useEffects(id: string) {
  return useQuery({
    queryKey: ["effects", id],
    queryFn: ({ signal }) => {
      const params = new URLSearchParams({ causation_id: id, limit: "2" });
      return ask<EventsPage>("events/", { params, signal });
    },
  });
}
