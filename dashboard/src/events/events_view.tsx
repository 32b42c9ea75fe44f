/** The events: filters above, and what they let through below. */
import { useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { FilterBar } from "../filters/filter_bar";
import { useFilters } from "../filters/use_filters";
import { useKeys } from "../parts/keys";
import { ask } from "../server/ask";
import type { TypeItem } from "../server/shapes";
import { FilteredEvents } from "./filtered_events";
import "./events_view.css";

/** `id` is the event that is looked at, if one is. */
export function EventsView({ id }: { id: string | null }) {
  const [filters, change] = useFilters();
  const field = useRef<HTMLInputElement>(null);
  const types = useTypes();
  useKeys({ "/": () => field.current?.focus() });
  return (
    <div className="events-view">
      <h1 className="unseen">Events</h1>
      <div className="above">
        <FilterBar filters={filters} change={change} types={types} field={field} />
      </div>
      <FilteredEvents key={filters.toString()} filters={filters} change={change} id={id} />
    </div>
  );
}

function useTypes(): string[] {
  const { data } = useQuery({
    queryKey: ["types"],
    queryFn: () => ask<{ types: TypeItem[] }>("events/types"),
    staleTime: 30_000,
  });
  return data?.types.map((each) => each.type) ?? [];
}
