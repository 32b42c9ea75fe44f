/** What is filtered, to see and to change: a field to type in, chips to turn and take away. */
import { type SyntheticEvent, type RefObject, useState } from "react";
import { current } from "../parts/settings";
import { serverNow } from "../server/clock";
import { canFlip, type Filter, Filters, LABELS, RANGES, read } from "./filters";
import { instant } from "./instant";
import "./filter_bar.css";

interface Props {
  filters: Filters;
  change: (next: Filters) => void;
  /** The known types, to complete `type:…`. */
  types: string[];
  field: RefObject<HTMLInputElement | null>;
}

export function FilterBar({ filters, change, types, field }: Props) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const add = (event: SyntheticEvent) => {
    event.preventDefault();
    const filter = timed(read(text));
    if (filter === null) return;
    const bad = wrong(filter);
    setProblem(bad);
    if (bad) return;
    let next = filters.with(filter.name, filter.value);
    if (/^agent:/.test(text.trim())) next = next.with("aggregate_type", "agent");
    change(next);
    setText("");
  };
  return (
    <search className="filters">
      <form onSubmit={add}>
        <input
          ref={field}
          type="search"
          value={text}
          list="filter-suggestions"
          aria-label="Filter events"
          aria-describedby="filter-help"
          aria-invalid={problem !== ""}
          placeholder="Find text, or type:job.*  status:failure  -source:ci  workflow:…  payload.host=n12"
          onChange={(event) => setText(event.target.value)}
        />
        <datalist id="filter-suggestions">
          {["status:failure", "status:success", ...types.map((type) => `type:${type}`)].map(
            (each) => (
              <option key={each} value={each} />
            ),
          )}
        </datalist>
        <select
          aria-label="Time range"
          value={filters.range}
          onChange={(event) => change(filters.with("range", event.target.value))}
        >
          <option value="">{hasTime(filters) ? "Chosen time" : "All time"}</option>
          {Object.keys(RANGES).map((range) => (
            <option key={range} value={range}>
              Last {range}
            </option>
          ))}
        </select>
      </form>
      <p
        id="filter-help"
        className={problem ? "problem" : "unseen"}
        role={problem ? "alert" : undefined}
      >
        {problem || "Enter adds a filter; text without a colon is looked for in payloads."}
      </p>
      {filters.list.length > 0 && (
        <ul className="chips" aria-label="Filters">
          {filters.list.map((filter) => (
            <Chip
              key={`${filter.name}=${filter.value}`}
              filter={filter}
              filters={filters}
              change={change}
            />
          ))}
          <li>
            <button type="button" className="plain small" onClick={() => change(new Filters(""))}>
              Clear all
            </button>
          </li>
        </ul>
      )}
    </search>
  );
}

function Chip({ filter, filters, change }: { filter: Filter } & Pick<Props, "filters" | "change">) {
  const excluded = filter.name.startsWith("not.");
  const name = filter.name.replace(/^not\./, "");
  const label = LABELS[name] ?? name.replace(/:$/, "");
  const value = filter.value === "" ? "(none)" : filter.value;
  const words = `${excluded ? "not " : ""}${label}: ${value}`;
  return (
    <li className={excluded ? "chip excluded" : "chip"}>
      {canFlip(filter.name) ? (
        <button
          type="button"
          className="plain small"
          title={excluded ? "Ask for it instead" : "Exclude it instead"}
          onClick={() => change(filters.flipped(filter))}
        >
          {words}
        </button>
      ) : (
        <span>{words}</span>
      )}
      <button
        type="button"
        className="plain small"
        aria-label={`Remove ${words}`}
        onClick={() => change(filters.without(filter.name, filter.value))}
      >
        ×
      </button>
    </li>
  );
}

function hasTime(filters: Filters): boolean {
  return filters.list.some(({ name }) => name === "since" || name === "until");
}

/** With its time as the server is told it, if it is one. */
function timed(filter: Filter | null): Filter | null {
  if (filter?.name !== "since" && filter?.name !== "until") return filter;
  const at = instant(filter.value, serverNow(), current().times === "utc");
  return at === null ? filter : { ...filter, value: at };
}

function wrong({ name, value }: Filter): string {
  if ((name === "since" || name === "until") && Number.isNaN(Date.parse(value))) {
    return `${name}: needs a time such as 2h, 2026-01-31 or 2026-01-31T12:00Z`;
  }
  return "";
}
