/** One run of a job: a line that opens, and then how it went, with the end of its output. */

import { memo, useState } from "react";
import { useAnswer } from "../live/fresh";
import { bytes } from "../parts/amounts";
import { lasting, Moment } from "../parts/moment";
import { Failed, Loading } from "../parts/notice";
import { type Standing, StandingMark } from "../parts/outcome";
import { field, text } from "../parts/payloads";
import { duration } from "../parts/summaries";
import { to } from "../place/place";
import { ask } from "../server/ask";
import type { EventItem, EventsPage, Json, Summary } from "../server/shapes";
import { commandOf, hostOf, taskOf } from "./runs";

interface RunProps {
  run: Summary;
  stands: Standing;
  /** The event it began with, where that is known. */
  beginning: EventItem | undefined;
  /** Only while it runs, so that a thousand others are not drawn each second. */
  now: number;
  open: boolean;
}

export const Run = memo(function Run({ run, stands, beginning, now, open }: RunProps) {
  const [shown, show] = useState(open);
  const task = beginning ? taskOf(beginning) : "";
  const command = beginning ? commandOf(beginning) : "";
  return (
    <li className={stands}>
      <details open={shown} onToggle={(event) => show(event.currentTarget.open)}>
        <summary>
          <StandingMark standing={stands} />
          {task !== "" && <span>Task {task}</span>}
          <span className="mono command">{command || run.id}</span>
          <span className="quiet">
            {lasting(duration(run, now))} · <Moment at={run.started_at} />
          </span>
        </summary>
        {shown && <RunDetails id={run.id} />}
      </details>
    </li>
  );
});

function RunDetails({ id }: { id: string }) {
  const events = useAnswer(["run", id], (signal) => {
    const params = new URLSearchParams({ aggregate_type: "run", aggregate_id: id, limit: "20" });
    return ask<EventsPage>("events/", { params, signal });
  });
  if (!events.data)
    return events.error ? <Failed error={events.error} /> : <Loading what="the run" />;
  const [newest] = events.data.events;
  if (newest === undefined) return null;
  const tail = field(newest, "tail");
  return (
    <div className="run-details">
      <dl>
        {factsOf(newest).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="mono">{value}</dd>
          </div>
        ))}
      </dl>
      {typeof tail === "string" && (
        <>
          <h2 className="quiet">End of its output</h2>
          {tail === "" ? (
            <p className="quiet">It wrote nothing.</p>
          ) : (
            <pre role="region" aria-label="End of its output" tabIndex={0}>
              {tail}
            </pre>
          )}
        </>
      )}
      <p>
        {events.data.events.map((event) => (
          <a key={event.id} href={to("events", event.id)}>
            {event.type}
          </a>
        ))}
      </p>
    </div>
  );
}

/** What an event of a run says, in the order in which one wants to know it. */
function factsOf(event: EventItem): [name: string, value: string][] {
  const said: [string, Json | undefined, (value: number) => string][] = [
    ["Error", field(event, "error"), String],
    ["Exit code", field(event, "exit_code"), String],
    ["Signal", field(event, "signal"), String],
    ["Took", field(event, "duration"), lasting],
    ["Memory", field(event, "max_rss"), bytes],
  ];
  const facts = said.flatMap(([name, value, write]): [string, string][] =>
    value === undefined ? [] : [[name, typeof value === "number" ? write(value) : text(value)]],
  );
  const found: [string, string][] = [
    ["Command", commandOf(event)],
    ["Array task", taskOf(event)],
    ["Host", hostOf(event)],
    ["Run", event.aggregate_id],
  ];
  return [...facts, ...found.filter(([, value]) => value !== "")];
}
