/** One event: what it says, where it comes from, and what it hangs together with. */

import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { Copy } from "../parts/copy";
import { JsonTree } from "../parts/json_tree";
import { Moment } from "../parts/moment";
import { Failed, Loading } from "../parts/notice";
import { Outcome } from "../parts/outcome";
import { to } from "../place/place";
import { address } from "../server/address";
import { ask } from "../server/ask";
import { writeJson } from "../server/json";
import { useSession } from "../server/session";
import type { EventItem } from "../server/shapes";
import { Value } from "./event_list";
import { Hops } from "./hops";
import "./event_panel.css";

const LOOK_EVERY = 10_000;

interface Props {
  id: string;
  close: () => void;
  /** Go to the event below (1) or above (-1). */
  step: (by: 1 | -1) => unknown;
  pick: (name: string, value: string, exclude: boolean) => void;
}

export function EventPanel({ id, close, step, pick }: Props) {
  const event = useQuery({
    queryKey: ["event", id],
    queryFn: ({ signal }) => ask<EventItem>(`events/by-id/${encodeURIComponent(id)}`, { signal }),
    // It may be redacted while somebody looks at it.
    refetchInterval: LOOK_EVERY,
  });
  const panel = useRef<HTMLElement>(null);
  // What opened it may be covered by it, on a narrow screen.
  useEffect(() => panel.current?.focus({ preventScroll: true }), []);
  return (
    <aside ref={panel} tabIndex={-1} className="panel event-panel" aria-label="Event">
      <div className="bar">
        <button type="button" className="small" onClick={() => step(-1)} aria-keyshortcuts="k">
          ↑ Newer
        </button>
        <button type="button" className="small" onClick={() => step(1)} aria-keyshortcuts="j">
          ↓ Older
        </button>
        <button type="button" className="small close" onClick={close} aria-keyshortcuts="Escape">
          Close
        </button>
      </div>
      {event.data ? (
        <Details event={event.data} pick={pick} />
      ) : event.error ? (
        <Failed error={event.error} again={() => void event.refetch()} />
      ) : (
        <Loading what="the event" />
      )}
    </aside>
  );
}

function Details({ event, pick }: { event: EventItem } & Pick<Props, "pick">) {
  return (
    <>
      <h2>
        <bdi>{event.type}</bdi> <Outcome status={event.status} />
      </h2>
      <dl>
        <Fact name="Happened">
          <Moment at={event.timestamp} />
        </Fact>
        <Fact name="Recorded">
          <Moment at={event.recorded_at} />
        </Fact>
        {event.project && (
          <Fact name="Project">
            <Value name="project" value={event.project} pick={pick} />
          </Fact>
        )}
        <Fact name="Source">
          <Value name="source" value={event.source} pick={pick} />
        </Fact>
        {event.aggregate_id && (
          <Fact name="About">
            <span className="mono">
              {kindOf(event)}/{event.aggregate_id}
            </span>
            {event.version !== null && <span className="quiet"> version {event.version}</span>}
          </Fact>
        )}
        {event.user_id && <Fact name="User">{event.user_id}</Fact>}
        <Fact name="Position">{event.position.toLocaleString("en")}</Fact>
        <Fact name="Id">
          <a className="mono" href={to("events", event.id)}>
            {event.id}
          </a>
        </Fact>
      </dl>
      <Hops event={event} />
      <Payload event={event} />
      <Extra title="Context" value={event.context} />
      <Extra title="Extensions" value={event.extensions} />
    </>
  );
}

export function kindOf(event: EventItem): string {
  return event.aggregate_type.replace(/_aggregate$/, "");
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Payload({ event }: { event: EventItem }) {
  const [raw, setRaw] = useState(false);
  const keys = useSession().data?.keys ?? false;
  const { payload } = event;
  const json = useMemo(() => (raw ? writeJson(payload, 2) : ""), [raw, payload]);
  return (
    <section>
      <div className="title">
        <h3>Payload</h3>
        <label className="small">
          <input type="checkbox" checked={raw} onChange={(e) => setRaw(e.target.checked)} /> Raw
        </label>
        <Copy text={() => writeJson(payload, 2)}>JSON</Copy>
        <Copy text={() => curl(event.id, keys)}>curl</Copy>
        <Copy text={() => `tidings history --id ${quoted(event.id)} --json`}>tidings</Copy>
      </div>
      {event.redacted ? (
        <p className="quiet">Its payload was redacted.</p>
      ) : raw ? (
        <pre className="raw" tabIndex={0}>
          {json}
        </pre>
      ) : (
        <JsonTree key={event.id} value={payload} />
      )}
    </section>
  );
}

function curl(id: string, keys: boolean): string {
  const key = keys ? ' -H "Authorization: Bearer $TIDINGS_KEY"' : "";
  const url = address(`events/by-id/${encodeURIComponent(id)}`).href.replaceAll("'", "%27");
  return `curl -s${key} '${url}'`;
}

/** As one word of a shell. */
export function quoted(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function Extra({ title, value }: { title: string; value: EventItem["context"] }) {
  if (Object.keys(value).length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <JsonTree value={value} />
    </section>
  );
}
