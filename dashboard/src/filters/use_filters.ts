/** The filters of the view that is shown, and how to change them; back and forward undo that. */
import { useMemo } from "react";
import { go, to, usePlace } from "../place/place";
import { Filters } from "./filters";

export function useFilters(): [Filters, (next: Filters) => void] {
  const { view, id, search } = usePlace();
  const filters = useMemo(() => new Filters(search), [search]);
  return [filters, (next) => go(to(view, id, next.toString()))];
}
