/** The events of one set of filters: volume, the list, and beside it the event that was chosen. */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useLayoutEffect, useRef } from "react";
import type { Filters } from "../filters/filters";
import type { Row } from "../live/row";
import { useKeys } from "../parts/keys";
import { Empty, Failed, Loading } from "../parts/notice";
import { go, to } from "../place/place";
import { address } from "../server/address";
import type { EventItem } from "../server/shapes";
import { beside } from "./asking";
import { EventList, type ListHandle } from "./event_list";
import { EventPanel } from "./event_panel";
import { LiveState } from "./live_state";
import { type Reading, useReading } from "./reading";
import { Volume } from "./volume";

interface Props {
  filters: Filters;
  change: (next: Filters) => void;
  /** The event that is looked at, if one is. */
  id: string | null;
}

/** With a `key` for its filters: others are another reading. */
export function FilteredEvents({ filters, change, id }: Props) {
  const list = useRef<ListHandle>(null);
  const reading = useReading(filters);
  const { shown, kept } = reading;
  const count = shown.length + kept.length;
  const row = useCallback(
    (index: number): Row | undefined =>
      index < shown.length ? shown.rows[shown.length - 1 - index] : kept[index - shown.length],
    [shown, kept],
  );
  const open = (next: string) => {
    reading.pause();
    go(to("events", next, filters.toString()), { replace: id !== null });
  };
  const close = () => go(to("events", null, filters.toString()));
  const left = useRef(id);
  useLayoutEffect(() => {
    // The keyboard goes on in the list, at the event that was looked at.
    if (id === null && left.current !== null)
      list.current?.focus(indexOf(left.current, count, row));
    left.current = id;
  });
  const step = useStep({ id, filters, count, row, open, list, reading });
  const resume = () => {
    reading.resume();
    list.current?.toTop();
  };
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    " ": () => (shown.paused ? resume() : reading.pause()),
    Escape: () => id !== null && close(),
  });
  const pick = (name: string, value: string, exclude: boolean) =>
    change(filters.with(exclude ? `not.${name}` : name, value));
  const oldest = kept[kept.length - 1] ?? shown.rows[0];
  return (
    <>
      <div className="above">
        <Volume
          filters={filters}
          change={change}
          moved={shown.change}
          oldest={oldest?.at ?? null}
        />
        <LiveState reading={reading} filters={filters} resume={resume} />
      </div>
      <div className={id === null ? "below" : "below with-panel"}>
        <div className="list">
          {count > 0 ? (
            <EventList
              count={count}
              more={reading.more}
              row={row}
              chosen={id}
              choose={(each) => open(each.id)}
              pick={pick}
              scrolled={(top) => !top && reading.pause()}
              nearEnd={() => reading.loadMore(false)}
              handle={list}
              foot={<Foot reading={reading} />}
            />
          ) : (
            <Nothing reading={reading} filters={filters} />
          )}
        </div>
        {id !== null && <EventPanel id={id} close={close} step={step} pick={pick} />}
      </div>
    </>
  );
}

interface Stepping {
  id: string | null;
  filters: Filters;
  count: number;
  row: (index: number) => Row | undefined;
  open: (id: string) => void;
  list: React.RefObject<ListHandle | null>;
  reading: Reading;
}

/** Go to the event below (1) or above (-1); where the list does not hold it, the server is asked. */
function useStep({ id, filters, count, row, open, list, reading }: Stepping) {
  const client = useQueryClient();
  return async (by: 1 | -1) => {
    const here = id === null ? -1 : indexOf(id, count, row);
    const next = row(here + by);
    if (next !== undefined && (here >= 0 || id === null)) {
      open(next.id);
      list.current?.show(here + by);
      return;
    }
    const position = row(here)?.position ?? client.getQueryData<EventItem>(["event", id])?.position;
    if (id === null || position === undefined) return;
    reading.loadMore(false);
    const found = await beside(filters, position, by > 0);
    if (found !== null) open(found);
  };
}

function indexOf(id: string, count: number, row: (index: number) => Row | undefined): number {
  for (let index = 0; index < count; index += 1) if (row(index)?.id === id) return index;
  return -1;
}

function Nothing({ reading, filters }: { reading: Reading; filters: Filters }) {
  if (reading.error) return <Failed error={reading.error} again={reading.again} />;
  if (reading.loading) return <Loading what="events" />;
  if (reading.more) return <Foot reading={reading} />;
  if (!filters.isEmpty) {
    return (
      <Empty title="No event matches">
        <p>Take a filter away, or wait: what matches appears here as it happens.</p>
      </Empty>
    );
  }
  const url = address("").href.replace(/\/$/, "");
  return (
    <Empty
      title="No events yet"
      line={`curl -s ${url}/events/ -H 'content-type: application/json' -d '{"type": "hello"}'`}
    >
      <p>Paste this into a shell, and watch it appear here.</p>
    </Empty>
  );
}

function Foot({ reading }: { reading: Reading }) {
  const { error, searched } = reading;
  if (error) return <Failed error={error} again={reading.again} />;
  const through = searched === null ? "" : `Searched the newest ${searched.toLocaleString("en")}.`;
  if (reading.loadingMore) return <p className="foot quiet">{through} Loading older events …</p>;
  if (!reading.more) return <p className="foot quiet">That is all there is.</p>;
  return (
    <p className="foot">
      {through}{" "}
      <button type="button" onClick={() => reading.loadMore(true)}>
        Look further back
      </button>
    </p>
  );
}
