/**
 * The list of events, newest first, with only the rows in sight in the document.
 *
 * All rows are one line high, so that a hundred thousand of them scroll as fast as ten.
 */
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useImperativeHandle, useMemo, useRef } from "react";
import type { Row } from "../live/row";
import { Moment } from "../parts/moment";
import { Outcome } from "../parts/outcome";
import "./event_list.css";

const HEIGHT = 30;
const NEAR_END = 60;
/** Rows are added to the virtualizer so many at a time: it looks at all of them at each addition. */
const STEP = 1000;

export interface ListHandle {
  toTop: () => void;
  show: (index: number) => void;
  /** Give the keyboard's focus to a row, or to the list where that is not in sight. */
  focus: (index: number) => void;
}

interface Props {
  count: number;
  /** Whether there are older ones than these. */
  more: boolean;
  row: (index: number) => Row | undefined;
  chosen: string | null;
  choose: (row: Row) => void;
  pick: (name: string, value: string, exclude: boolean) => void;
  /** The reader has scrolled away from the newest, or back to it. */
  scrolled: (top: boolean) => void;
  nearEnd: () => void;
  handle: React.Ref<ListHandle>;
  foot: ReactNode;
}

export function EventList({
  count,
  more,
  row,
  chosen,
  choose,
  pick,
  scrolled,
  nearEnd,
  handle,
  foot,
}: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- React's compiler is not used
  const list = useVirtualizer({
    count: Math.ceil(count / STEP) * STEP,
    getScrollElement: () => scroller.current,
    estimateSize: () => HEIGHT,
    overscan: 8,
  });
  const items = list.getVirtualItems();
  const last = Math.min(items[items.length - 1]?.index ?? 0, count - 1);
  const latest = useRef({ choose, pick, nearEnd });
  latest.current = { choose, pick, nearEnd };
  const act = useMemo(
    () => ({
      choose: (event: Row) => latest.current.choose(event),
      pick: (...wanted: Parameters<Props["pick"]>) => latest.current.pick(...wanted),
    }),
    [],
  );
  useEffect(() => {
    if (last > count - NEAR_END) latest.current.nearEnd();
  }, [last, count]);
  useImperativeHandle(handle, () => ({
    toTop: () => list.scrollToOffset(0),
    show: (index) => list.scrollToIndex(index, { align: "auto" }),
    focus: (index) => {
      const row = scroller.current?.querySelector(`[aria-rowindex="${index + 2}"] .type button`);
      ((row ?? scroller.current) as HTMLElement | null)?.focus({ preventScroll: true });
    },
  }));
  return (
    <div
      ref={scroller}
      className="events-scroller"
      tabIndex={-1}
      onScroll={(event) => scrolled(event.currentTarget.scrollTop < HEIGHT / 2)}
    >
      <div
        className="events"
        role="table"
        aria-label="Events, newest first"
        aria-rowcount={more ? -1 : count + 1}
      >
        <Head />
        <div role="rowgroup" className="rows" style={{ blockSize: count * HEIGHT }}>
          {items.map((item) => {
            const event = row(item.index);
            return event ? (
              <EventRow
                key={event.position}
                event={event}
                index={item.index}
                top={item.start}
                chosen={event.id === chosen}
                {...act}
              />
            ) : null;
          })}
        </div>
      </div>
      {foot}
    </div>
  );
}

const COLUMNS = ["Time", "Outcome", "Type", "Project", "About", "Says"];

function Head() {
  return (
    <div role="rowgroup" className="head">
      <div role="row" tabIndex={-1} aria-rowindex={1}>
        {COLUMNS.map((name) => (
          <span role="columnheader" key={name} tabIndex={-1} className={name.toLowerCase()}>
            {name}
          </span>
        ))}
      </div>
    </div>
  );
}

interface RowProps extends Pick<Props, "choose" | "pick"> {
  event: Row;
  index: number;
  top: number;
  chosen: boolean;
}

function EventRow({ event, index, top, chosen, choose, pick }: RowProps) {
  return (
    <div
      role="row"
      tabIndex={-1}
      aria-rowindex={index + 2}
      aria-current={chosen || undefined}
      className={event.status === "failure" ? "row failure" : "row"}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => {
        // Who marks text wants to copy it.
        if (window.getSelection()?.isCollapsed ?? true) choose(event);
      }}
    >
      <Cells event={event} choose={choose} pick={pick} />
    </div>
  );
}

/** What an event says does not change as its row moves down. */
const Cells = memo(function Cells({
  event,
  choose,
  pick,
}: Pick<RowProps, "event" | "choose" | "pick">) {
  return (
    <>
      <span role="cell" className="time mono">
        <Moment at={event.at} />
      </span>
      <span role="cell" className="outcome-cell">
        <Outcome status={event.status} />
      </span>
      <span role="cell" className="type">
        <button
          type="button"
          className="link"
          title={event.type}
          onClick={(click) => {
            click.stopPropagation();
            choose(event);
          }}
        >
          {event.type}
        </button>
      </span>
      <span role="cell" className="project">
        {event.project && <Value name="project" value={event.project} pick={pick} />}
      </span>
      <span role="cell" className="about mono" title={event.about}>
        {event.about}
      </span>
      <span role="cell" className="says mono">
        {event.says}
      </span>
    </>
  );
});

/** A value that can be clicked to ask for it, or with Alt to exclude it. */
export function Value({
  name,
  value,
  pick,
}: { name: string; value: string } & Pick<Props, "pick">) {
  return (
    <button
      type="button"
      className="link"
      title={`Only ${value}; with Alt, all but ${value}`}
      onClick={(event) => {
        event.stopPropagation();
        pick(name, value, event.altKey);
      }}
    >
      {value}
    </button>
  );
}
